//! Custom kinds, from their definitions (`CustomResourceDefinition`).

use std::collections::BTreeMap;

use overlay::yaml::{Key, Mapping, Node, from_json};

use super::bounds::bounds;
use super::fields::{Field, Fields, Null, Schemas, Type};
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
    let mut kind = of_type(schema, 0);
    if let Type::Fields(fields) = &mut kind {
        add_metadata(fields);
    }
    kind
}

/// What every object has, whether its definition says so or not; what that requires stays required.
fn add_metadata(fields: &mut Fields) {
    let metadata = Type::Named(METADATA.to_owned());
    for (field, kind) in [
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("metadata", metadata),
    ] {
        let known = fields.known.entry(field.to_owned());
        known.or_insert(Field::optional(Type::Any)).kind = kind;
    }
}

fn of(schema: &Node, depth: usize) -> Type {
    if depth > DEPTH {
        return Type::Any;
    }
    let kind = of_type(schema, depth);
    match bounds(schema) {
        Some(bounds) if kind != Type::Any => Type::Bound(Box::new(kind), Box::new(bounds)),
        _ => kind,
    }
}

fn of_type(schema: &Node, depth: usize) -> Type {
    if says(schema, "x-kubernetes-int-or-string") {
        return Type::IntegerOrText;
    }
    match schema.find_str(&["type"]) {
        Some("string") => one_of(schema, Type::Text),
        Some("integer") => one_of(schema, Type::Integer),
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

fn says(schema: &Node, field: &str) -> bool {
    schema.find_str(&[field]) == Some("true")
}

/// What is allowed of a type, where the schema counts it up.
fn one_of(schema: &Node, kind: Type) -> Type {
    match schema.get("enum").and_then(Node::as_sequence) {
        Some(allowed) => Type::OneOf(Box::new(kind), texts(allowed)),
        None => kind,
    }
}

fn texts(nodes: &[Node]) -> Vec<String> {
    let texts = nodes.iter().filter_map(Node::as_str);
    texts.map(str::to_owned).collect()
}

fn mapping(schema: &Node, depth: usize) -> Type {
    let values = schema.get("additionalProperties");
    if let Some(values) = values.filter(|values| values.as_mapping().is_some()) {
        return Type::Map(Box::new(of(values, depth + 1)));
    }
    let says_nothing = |field: &str| schema.get(field).is_none();
    if says_nothing("properties") && says_nothing("x-kubernetes-embedded-resource") {
        return Type::Map(Box::new(Type::Any));
    }
    let mut fields = Fields {
        known: known(schema, depth),
        is_open: says(schema, "x-kubernetes-preserve-unknown-fields")
            || says(schema, "additionalProperties"),
    };
    if says(schema, "x-kubernetes-embedded-resource") {
        add_metadata(&mut fields);
    }
    Type::Fields(Box::new(fields))
}

fn known(schema: &Node, depth: usize) -> BTreeMap<String, Field> {
    let required = schema.get("required").and_then(Node::as_sequence);
    let required = texts(required.unwrap_or_default());
    let properties = schema.get("properties").and_then(Node::as_mapping);
    let declared = properties.into_iter().flat_map(Mapping::iter);
    let field = |(name, schema): (&Key, &Node)| {
        // The API server puts a default in where the field is not there.
        let is_filled_in = schema.get("default").is_some();
        let kind = of(schema, depth + 1);
        let null = match says(schema, "nullable") {
            true => Null::Value,
            false if is_filled_in || kind == Type::Any => Null::LeftOut,
            false => Null::Refused,
        };
        let field = Field {
            kind,
            is_required: !is_filled_in && required.iter().any(|it| *it == *name.text),
            null,
        };
        (name.text.to_string(), field)
    };
    declared.map(field).collect()
}
