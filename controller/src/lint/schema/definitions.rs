//! Custom kinds, from their definitions (`CustomResourceDefinition`).

use overlay::yaml::{Mapping, Node, from_json};

use super::fields::{Fields, Schemas, Type};
use crate::api::definitions;

/// The metadata that every object has.
const METADATA: &str = "meta.v1.ObjectMeta";

/// Definitions may be nested this deep; what lies deeper is not checked.
const DEPTH: usize = 64;

/// Adds the kinds that Weir itself serves.
pub(super) fn own(schemas: &mut Schemas) {
    for definition in definitions::crds() {
        if let Ok(value) = serde_json::to_value(&definition) {
            add(schemas, &from_json(value));
        }
    }
}

/// Adds what a document defines, in all its versions; nothing when it is no definition.
pub(super) fn add(schemas: &mut Schemas, document: &Node) {
    if document.find_str(&["kind"]) != Some("CustomResourceDefinition") {
        return;
    }
    let group = document.find_str(&["spec", "group"]);
    let kind = document.find_str(&["spec", "names", "kind"]);
    let versions = document
        .find(&["spec", "versions"])
        .and_then(Node::as_sequence);
    let (Some(group), Some(kind)) = (group, kind) else {
        return;
    };
    for version in versions.unwrap_or_default() {
        let name = version.find_str(&["name"]).unwrap_or_default();
        if let Some(schema) = version.find(&["schema", "openAPIV3Schema"]) {
            let key = (format!("{group}/{name}"), kind.to_owned());
            schemas.kinds.insert(key, whole(schema));
        }
    }
}

/// A whole object: what every object has besides.
fn whole(schema: &Node) -> Type {
    let mut kind = of(schema, 0);
    if let Type::Fields(fields) = &mut kind {
        for field in ["apiVersion", "kind"] {
            fields.known.insert(field.to_owned(), Type::Text);
        }
        fields
            .known
            .insert("metadata".to_owned(), Type::Named(METADATA.to_owned()));
    }
    kind
}

fn of(schema: &Node, depth: usize) -> Type {
    let says = |field: &str| schema.find_str(&[field]) == Some("true");
    if depth > DEPTH {
        return Type::Any;
    }
    if says("x-kubernetes-int-or-string") {
        return Type::IntegerOrText;
    }
    match schema.find_str(&["type"]) {
        Some("string") => Type::Text,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("boolean") => Type::Boolean,
        Some("array") => {
            let items = schema
                .get("items")
                .map_or(Type::Any, |items| of(items, depth + 1));
            Type::List(Box::new(items))
        }
        Some("object") => mapping(schema, depth),
        _ => Type::Any,
    }
}

fn mapping(schema: &Node, depth: usize) -> Type {
    let says = |field: &str| schema.find_str(&[field]) == Some("true");
    if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.as_mapping().is_some())
    {
        return Type::Map(Box::new(of(values, depth + 1)));
    }
    let Some(properties) = schema.get("properties").and_then(Node::as_mapping) else {
        return Type::Any;
    };
    let required = schema
        .get("required")
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    Type::Fields(Box::new(Fields {
        known: known(properties, depth),
        required: required
            .iter()
            .filter_map(Node::as_str)
            .map(str::to_owned)
            .collect(),
        is_open: [
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-embedded-resource",
        ]
        .iter()
        .any(|field| says(field)),
    }))
}

fn known(properties: &Mapping, depth: usize) -> std::collections::BTreeMap<String, Type> {
    let fields = properties.iter();
    fields
        .map(|(name, schema)| (name.text.to_string(), of(schema, depth + 1)))
        .collect()
}
