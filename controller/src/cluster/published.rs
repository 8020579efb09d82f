//! How the API server merges lists, as it publishes it: its OpenAPI documents, one a group and version, those of custom
//! resources among them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use super::client::Client;
use super::discovery::Resource;

/// The documents that were asked for, by path; none where the server, or its rules for this account, give none.
#[derive(Default)]
pub(super) struct Published {
    documents: Mutex<HashMap<String, Option<Arc<Value>>>>,
}

impl Published {
    /// The document that tells of a kind, asked for once.
    pub(super) async fn document(
        &self,
        client: &Client,
        resource: &Resource,
    ) -> Option<Arc<Value>> {
        let root = match resource.group.is_empty() {
            true => "api",
            false => "apis",
        };
        let path = format!("/openapi/v3/{root}/{}", resource.api_version());
        let mut documents = self.documents.lock().await;
        if let Some(document) = documents.get(&path) {
            return document.clone();
        }
        let document = client.get(&path).await.ok().map(Arc::new);
        documents.insert(path, document.clone());
        document
    }
}

/// What a document says of one place in an object.
#[derive(Clone, Copy)]
pub(super) struct Shape<'d> {
    document: &'d Value,
    schema: &'d Value,
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

impl<'d> Shape<'d> {
    /// What a document says of a kind.
    pub(super) fn of(document: &'d Value, object: &Value) -> Option<Self> {
        let api_version = object["apiVersion"].as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is_it = |schema: &&Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.into_iter().flatten().any(|it| {
                it["group"] == group && it["version"] == version && it["kind"] == object["kind"]
            })
        };
        let schemas = document["components"]["schemas"].as_object()?;
        let schema = schemas.values().find(is_it)?;
        Some(Self { document, schema })
    }

    /// What it says of a field; of any, where it does not name them.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let schema = self.resolved();
        let named = schema.get("properties").and_then(|all| all.get(name));
        self.at(named.or_else(|| schema.get("additionalProperties"))?)
    }

    /// What it says of the items of a list.
    pub(super) fn items(self) -> Option<Self> {
        self.at(self.resolved().get("items")?)
    }

    /// A mark of the list here, which may stand beside a reference or in what that leads to.
    fn mark(self, name: &str) -> Option<&'d Value> {
        let own = self.schema.get(name);
        own.or_else(|| self.resolved().get(name))
    }

    fn at(self, schema: &'d Value) -> Option<Self> {
        Some(Self { schema, ..self })
    }

    /// What a reference leads to; it stands alone, or with a default in a list of one.
    fn resolved(self) -> &'d Value {
        let reference = self.schema.get("$ref");
        let reference = reference.or_else(|| self.schema.pointer("/allOf/0/$ref"));
        let path = reference
            .and_then(Value::as_str)
            .and_then(|it| it.strip_prefix('#'));
        path.and_then(|path| self.document.pointer(path))
            .unwrap_or(self.schema)
    }
}

impl From<Shape<'_>> for ListType {
    fn from(shape: Shape<'_>) -> Self {
        let keys = shape.mark("x-kubernetes-list-map-keys");
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        match shape.mark("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Self::Set,
            Some("map") => Self::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => Self::Atomic,
        }
    }
}
