//! Objects that an API server accepts, each with one thing wrong, and whether it still accepts them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use futures::{StreamExt as _, stream};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, ValidationDirective,
};
use kube::discovery::{Scope, oneshot};
use serde_json::{Map, Value, json};
use weir_tests::scene::documents_of;

use super::published::{Holds, Published};

/// The objects, as the server takes them.
const WHOLE: [&str; 2] = [
    include_str!("workloads.yaml"),
    include_str!("surroundings.yaml"),
];

/// So many requests are under way at once.
const AT_ONCE: usize = 16;

/// So often a request that gets no answer is made.
const ATTEMPTS: usize = 3;

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// Nothing.
    Nothing,
    /// A field is missing.
    Missing,
    /// A text is none of those that are allowed.
    Value,
    /// Something stands there that is of another type.
    Type,
    /// There is no such field.
    Unknown,
}

/// An object with one thing wrong.
pub(super) struct Probe {
    /// The name of a definition, and its field.
    pub(super) field: (String, String),
    pub(super) wrong: Wrong,
    pub(super) object: Value,
    /// Why the server refused it; none when it did not.
    pub(super) refusal: Option<String>,
}

/// What the server said, by field and what was wrong with it: whether it was always refused.
pub(super) struct Seen(BTreeMap<(String, String, Wrong), bool>);

impl Seen {
    /// All that was seen of some probes.
    pub(super) fn of(probes: &[Probe]) -> Self {
        let mut seen = BTreeMap::new();
        for probe in probes {
            let (name, field) = probe.field.clone();
            *seen.entry((name, field, probe.wrong)).or_insert(true) &= probe.refusal.is_some();
        }
        Self(seen)
    }

    /// Whether the server refuses this wherever it was tried; not where nobody tried.
    pub(super) fn is_always_refused(&self, name: &str, field: &str, wrong: Wrong) -> bool {
        let key = (name.to_owned(), field.to_owned(), wrong);
        self.0.get(&key).copied().unwrap_or(false)
    }
}

impl Probe {
    /// What it is about, for people.
    pub(super) fn about(&self) -> String {
        let text = |pointer: &str| self.object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or_default();
        let name = text("/metadata/name").unwrap_or_default();
        let (definition, field) = &self.field;
        let short = super::published::short(definition);
        format!("{kind}/{name}: {short}.{field}: {:?}", self.wrong)
    }
}

/// Makes every object wrong in every way, and asks the server about each.
pub(super) async fn asked(client: &kube::Client, published: &Published) -> Vec<Probe> {
    let mut making = Making {
        published,
        whole: Value::Null,
        tried: BTreeSet::new(),
        probes: Vec::new(),
    };
    let kinds = published.kinds();
    for text in WHOLE {
        for whole in documents_of(Path::new("whole.yaml"), text.as_bytes()) {
            let kind = |field: &str| whole[field].as_str().unwrap();
            let name = kinds[&format!("{}/{}", kind("apiVersion"), kind("kind"))];
            making.whole = whole.clone();
            making.keep((name, ""), Wrong::Nothing, whole.clone());
            making.mapping(name, whole.as_object().unwrap(), "");
        }
    }
    ask(client, making.probes).await
}

struct Making<'a> {
    published: &'a Published,
    whole: Value,
    /// Fields that have been tried with other types, and mappings with fields that they do not have.
    tried: BTreeSet<(String, String)>,
    probes: Vec<Probe>,
}

impl Making<'_> {
    fn keep(&mut self, (name, field): (&str, &str), wrong: Wrong, object: Value) {
        self.probes.push(Probe {
            field: (name.to_owned(), field.to_owned()),
            wrong,
            object,
            refusal: None,
        });
    }

    /// Is it the first time that this field is looked at?
    fn is_new(&mut self, (name, field): (&str, &str)) -> bool {
        self.tried.insert((name.to_owned(), field.to_owned()))
    }

    /// The whole object with another value in a place.
    fn with(&self, pointer: &str, value: Value) -> Value {
        let mut object = self.whole.clone();
        *object.pointer_mut(pointer).unwrap() = value;
        object
    }

    fn mapping(&mut self, name: &str, mapping: &Map<String, Value>, pointer: &str) {
        if self.is_new((name, "")) {
            let mut wider = mapping.clone();
            wider.insert("nonsense".to_owned(), json!("a"));
            let object = self.with(pointer, Value::Object(wider));
            self.keep((name, ""), Wrong::Unknown, object);
        }
        let published = self.published;
        for (field, value) in mapping {
            // What says which object it is goes into the request's path.
            if pointer.is_empty() && ["apiVersion", "kind", "metadata"].contains(&field.as_str()) {
                continue;
            }
            let mut smaller = mapping.clone();
            smaller.remove(field);
            let object = self.with(pointer, Value::Object(smaller));
            let of = (name, field.as_str());
            self.keep(of, Wrong::Missing, object);
            let schema = &published.fields(name).unwrap()[field];
            let is_new = self.is_new(of);
            self.value(
                of,
                schema,
                value,
                &format!("{pointer}/{}", step(field)),
                is_new,
            );
        }
    }

    fn value(
        &mut self,
        of: (&str, &str),
        schema: &Value,
        value: &Value,
        pointer: &str,
        is_new: bool,
    ) {
        let published = self.published;
        let holds = published.holds(schema);
        if let Some(other) = of_another_type(&holds).filter(|_| is_new) {
            let object = self.with(pointer, other);
            self.keep(of, Wrong::Type, object);
        }
        match (holds, value) {
            (Holds::Fields(name), Value::Object(mapping)) => self.mapping(name, mapping, pointer),
            (Holds::List(inner), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let is_new = is_new && index == 0;
                    self.value(of, inner, item, &format!("{pointer}/{index}"), is_new);
                }
            }
            (Holds::Map(inner), Value::Object(mapping)) => {
                for (key, value) in mapping {
                    let below = format!("{pointer}/{}", step(key));
                    self.value(of, inner, value, &below, is_new);
                }
            }
            (Holds::Text(allowed), Value::String(_)) if !allowed.is_empty() => {
                for nonsense in ["nonsense", "example.com/nonsense"] {
                    let object = self.with(pointer, json!(nonsense));
                    self.keep(of, Wrong::Value, object);
                }
            }
            _ => {}
        }
    }
}

/// A key as a JSON pointer has it.
fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn of_another_type(holds: &Holds<'_>) -> Option<Value> {
    match holds {
        Holds::Plain("any") => None,
        Holds::Fields(_) | Holds::Map(_) => Some(json!(["a"])),
        Holds::List(_) | Holds::Plain("integer" | "number" | "boolean") => Some(json!("a")),
        Holds::Text(_) => Some(json!(7)),
        Holds::Plain(_) => Some(json!({ "a": "b" })),
    }
}

/// Asks the server to apply each of some objects, strictly and without effect.
pub(super) async fn ask(client: &kube::Client, mut probes: Vec<Probe>) -> Vec<Probe> {
    let mut kinds = HashMap::new();
    for probe in &probes {
        let text = |field: &str| probe.object[field].as_str().unwrap().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !kinds.contains_key(&(version.clone(), kind.clone())) {
            let (group, name) = version.rsplit_once('/').unwrap_or(("", version.as_str()));
            let found = GroupVersionKind::gvk(group, name, &kind);
            let (resource, capabilities) = oneshot::pinned_kind(client, &found).await.unwrap();
            kinds.insert((version, kind), (resource, capabilities.scope));
        }
    }
    let asked = probes.iter().map(|probe| {
        let text = |field: &str| probe.object[field].as_str().unwrap().to_owned();
        let (resource, scope) = &kinds[&(text("apiVersion"), text("kind"))];
        refusal(client, resource, scope, &probe.object)
    });
    let said: Vec<Option<String>> = stream::iter(asked.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (probe, refusal) in probes.iter_mut().zip(said) {
        probe.refusal = refusal;
    }
    probes
}

async fn refusal(
    client: &kube::Client,
    resource: &ApiResource,
    scope: &Scope,
    object: &Value,
) -> Option<String> {
    let api: Api<DynamicObject> = match scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespaced => Api::default_namespaced_with(client.clone(), resource),
    };
    let strictly = PatchParams {
        dry_run: true,
        force: true,
        field_manager: Some("probe".to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match api.patch(name, &strictly, &Patch::Apply(object)).await {
            Ok(_) => return None,
            Err(kube::Error::Api(status)) => return Some(status.message.clone()),
            // It breaks off where its own code fails: a Job with a `successPolicy` and without `completions`.
            Err(error) => last = error.to_string(),
        }
    }
    Some(last)
}
