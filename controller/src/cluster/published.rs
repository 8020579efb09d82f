//! What the API server publishes of its kinds: OpenAPI documents, one a group and version, those of custom resources
//! among them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::approximate::defaults;
use super::client::Client;
use super::discovery::Resource;

/// A document; none where the server, or its rules for this account, give none.
type Document = Option<Arc<Value>>;

/// The documents that were asked for, by path.
#[derive(Default)]
pub(super) struct Published {
    documents: Mutex<HashMap<String, Arc<OnceCell<Document>>>>,
}

impl Published {
    /// The document that tells of a kind, asked for once.
    pub(super) async fn document(&self, client: &Client, resource: &Resource) -> Document {
        let root = match resource.group.is_empty() {
            true => "api",
            false => "apis",
        };
        let path = format!("/openapi/v3/{root}/{}", resource.api_version());
        let document = {
            let mut documents = self
                .documents
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(documents.entry(path.clone()).or_default())
        };
        let asked = async || client.get(&path).await.ok().map(Arc::new);
        document.get_or_init(asked).await.clone()
    }
}

/// What a document says of one place in an object.
#[derive(Clone, Copy)]
pub(super) struct Shape<'d> {
    document: &'d Value,
    /// What stands at the place itself.
    own: &'d Value,
    /// What that refers to; itself when it refers to nothing.
    schema: &'d Value,
    /// The name of what is referred to: `io.k8s.api.core.v1.Container`.
    definition: &'d str,
}

/// How a list is merged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListType {
    /// As a whole.
    Atomic,
    /// Item by item, each with a value of its own.
    Set,
    /// Item by item, told apart by these fields.
    Map(Vec<String>),
}

/// Where definitions stand in a document.
const DEFINITIONS: &str = "#/components/schemas/";

impl<'d> Shape<'d> {
    /// What a document says of a kind.
    pub(super) fn of(document: &'d Value, object: &Value) -> Option<Self> {
        let api_version = object["apiVersion"].as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is_it = |schema: &Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.into_iter().flatten().any(|it| {
                it["group"] == group && it["version"] == version && it["kind"] == object["kind"]
            })
        };
        let schemas = document["components"]["schemas"].as_object()?;
        let (definition, schema) = schemas.iter().find(|(_, schema)| is_it(schema))?;
        Some(Self {
            document,
            own: schema,
            schema,
            definition,
        })
    }

    /// What it says of a field; of any, where it does not name them.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let named = self.schema.get("properties").and_then(|all| all.get(name));
        let any = || self.schema.get("additionalProperties");
        Some(self.at(named.or_else(any)?))
    }

    /// What it says of the items of a list.
    pub(super) fn items(self) -> Option<Self> {
        Some(self.at(self.schema.get("items")?))
    }

    /// Whether a map here is replaced as a whole.
    pub(super) fn is_whole(self) -> bool {
        self.mark("x-kubernetes-map-type") == Some(&"atomic".into())
    }

    /// Whether it is a number with a unit, which the server writes in a form of its own.
    pub(super) fn is_quantity(self) -> bool {
        self.definition == "io.k8s.apimachinery.pkg.api.resource.Quantity"
    }

    /// What the server calls the type of a place here, where that is one of Kubernetes' own.
    pub(super) fn built_in(self) -> Option<&'d str> {
        let name = self.definition.strip_prefix("io.k8s.")?;
        let is_own = |prefix: &&str| name.starts_with(prefix);
        let found = ["api.", "apimachinery."].into_iter().find(is_own)?;
        name.strip_prefix(found)
    }

    /// Whether it says of a field that there is one.
    pub(super) fn names(self, field: &str) -> bool {
        let named = self.schema.get("properties");
        named.is_some_and(|named| named.get(field).is_some())
    }

    /// The fields that the server fills in beside these, with their values.
    pub(super) fn defaults(self, fields: &Map<String, Value>) -> Vec<(&'d str, Value)> {
        let named = self.schema.get("properties").and_then(Value::as_object);
        let missing = named.into_iter().flatten().filter_map(|(name, schema)| {
            let default = || self.default(name, schema, fields);
            let is_missing = !fields.contains_key(name);
            is_missing.then(default).flatten().map(|it| (&**name, it))
        });
        missing.collect()
    }

    /// The value of one field that is not said.
    pub(super) fn default_of(self, name: &str, fields: &Map<String, Value>) -> Option<Value> {
        let schema = self.schema.get("properties")?.get(name)?;
        self.default(name, schema, fields)
    }

    fn default(self, name: &str, schema: &'d Value, fields: &Map<String, Value>) -> Option<Value> {
        let there = self.at(schema);
        let Some(built_in) = self.built_in() else {
            return there.mark("default").cloned();
        };
        let known = defaults::of(built_in, name, fields);
        known.or_else(|| {
            there
                .mark("default")
                .filter(|it| there.is_written(it))
                .cloned()
        })
    }

    /// Kubernetes publishes the empty value of each Go type as a default; only empty structures are written.
    fn is_written(self, default: &Value) -> bool {
        match default {
            Value::Object(fields) if fields.is_empty() => self.schema.get("properties").is_some(),
            Value::String(text) => !text.is_empty(),
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Null | Value::Bool(false) => false,
            _ => true,
        }
    }

    /// How a list here is merged.
    pub(super) fn list_type(self) -> ListType {
        let text = |name| self.mark(name).and_then(Value::as_str);
        let keys = self.mark("x-kubernetes-list-map-keys");
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        match text("x-kubernetes-list-type") {
            Some("set") => ListType::Set,
            Some("map") => {
                ListType::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => ListType::Atomic,
        }
    }

    /// A mark of the place, which may stand beside a reference or in what that leads to.
    fn mark(self, name: &str) -> Option<&'d Value> {
        self.own.get(name).or_else(|| self.schema.get(name))
    }

    /// A reference stands alone, or with a default in a list of one.
    fn at(self, own: &'d Value) -> Self {
        let reference = own.get("$ref").or_else(|| own.pointer("/allOf/0/$ref"));
        let name = reference
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix(DEFINITIONS));
        let referred = name.and_then(|name| {
            let schema = self.document["components"]["schemas"].get(name)?;
            Some((name, schema))
        });
        let (definition, schema) = referred.unwrap_or(("", own));
        Self {
            own,
            schema,
            definition,
            ..self
        }
    }
}
