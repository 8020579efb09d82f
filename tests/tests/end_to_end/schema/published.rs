//! What an API server publishes of its built-in kinds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What the names of definitions begin with.
const PREFIXES: [&str; 4] = [
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
];

/// The definitions, by name.
pub(super) struct Published(Map<String, Value>);

/// What a field holds.
pub(super) enum Holds<'a> {
    /// A mapping with the fields of this definition.
    Fields(&'a str),
    /// A list of this.
    List(&'a Value),
    /// A mapping of this, with any keys.
    Map(&'a Value),
    /// Text, and all that is allowed where that is counted up.
    Text(Vec<&'a str>),
    /// Anything else, by its name in the table.
    Plain(&'a str),
}

impl Published {
    /// Asks for them.
    pub(super) async fn by(client: &kube::Client) -> Self {
        let request = hyper::Request::get("/openapi/v2").body(Vec::new()).unwrap();
        let mut published: Value = client.request(request).await.unwrap();
        let Value::Object(definitions) = published["definitions"].take() else {
            panic!("an API server publishes definitions");
        };
        Self(definitions)
    }

    /// The kinds whose objects people write, `apiVersion/Kind`, with the names of their definitions: one version, with
    /// metadata, and no list.
    pub(super) fn kinds(&self) -> BTreeMap<String, &str> {
        // The definitions that other tests bring are not built in.
        let is_built_in = |name: &&String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let names = self.0.keys().filter(is_built_in);
        let kinds = names.filter_map(|name| Some((self.kind(name)?, name.as_str())));
        kinds.collect()
    }

    fn kind(&self, name: &str) -> Option<String> {
        let kinds = self.0[name].get("x-kubernetes-group-version-kind")?;
        let [kind] = kinds.as_array()?.as_slice() else {
            return None;
        };
        let text = |field: &str| kind[field].as_str().unwrap();
        let is_object =
            self.fields(name)?.contains_key("metadata") && !text("kind").ends_with("List");
        let version = match text("group") {
            "" => text("version").to_owned(),
            group => format!("{group}/{}", text("version")),
        };
        is_object.then(|| format!("{version}/{}", text("kind")))
    }

    /// The fields of a definition, with their schemas.
    pub(super) fn fields(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0[name].get("properties")?.as_object()
    }

    /// Whether it is published that a field must be there.
    pub(super) fn requires(&self, name: &str, field: &str) -> bool {
        let required = self.0[name]["required"].as_array();
        required.is_some_and(|required| required.iter().any(|it| it == field))
    }

    /// What a schema says that a field holds.
    pub(super) fn holds<'a>(&'a self, schema: &'a Value) -> Holds<'a> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return match self.fields(name) {
                _ if name.ends_with(".resource.Quantity") => Holds::Plain("quantity"),
                Some(_) => Holds::Fields(name),
                None => self.holds(&self.0[name]),
            };
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("array"), _) => Holds::List(&schema["items"]),
            (Some("object"), _) if schema["additionalProperties"].is_object() => {
                Holds::Map(&schema["additionalProperties"])
            }
            (Some("object") | None, _) => Holds::Plain("any"),
            (Some(_), Some("int-or-string")) => Holds::Plain("int-or-string"),
            (Some("string"), _) => Holds::Text(allowed(schema)),
            (Some(plain), _) => Holds::Plain(plain),
        }
    }
}

fn allowed(schema: &Value) -> Vec<&str> {
    let allowed = schema["enum"].as_array().into_iter().flatten();
    allowed.filter_map(Value::as_str).collect()
}

/// A definition's name as the table has it.
pub(super) fn short(name: &str) -> &str {
    let cut = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    cut.unwrap_or(name)
}
