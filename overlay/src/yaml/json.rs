//! Nodes as JSON for the API server, with the numbers that Kubernetes would send, and JSON as nodes.

use serde_json::{Map, Number as JsonNumber, Value as Json};

use super::number::{Number, number_value, through_json};
use super::resolve::truth;
use super::timestamp::to_rfc3339;
use super::write::Secrets;
use super::{Key, Mapping, Node, Scalar, Style, Tag, Value};

/// The node as JSON; secret scalars as they are or as `***`.
pub fn to_json(node: &Node, secrets: Secrets) -> Json {
    match &node.value {
        Value::Scalar(scalar) => scalar_to_json(&scalar.text, scalar.tag),
        Value::Secret(secret) if secrets == Secrets::Revealed => {
            scalar_to_json(secret.expose(), secret.tag)
        }
        Value::Secret(_) => Json::from("***"),
        Value::Sequence(items) => items.iter().map(|item| to_json(item, secrets)).collect(),
        Value::Mapping(mapping) => mapping
            .iter()
            .map(|(key, value)| (key.text.to_string(), to_json(value, secrets)))
            .collect::<Map<String, Json>>()
            .into(),
    }
}

fn scalar_to_json(text: &str, tag: Tag) -> Json {
    match tag {
        Tag::Null => Json::Null,
        Tag::Bool => Json::Bool(truth(text).unwrap_or_default()),
        Tag::Int | Tag::Float => number_to_json(text, tag),
        Tag::Str => Json::from(text),
        Tag::Timestamp => Json::from(to_rfc3339(text).unwrap_or_else(|| text.to_owned())),
        Tag::Binary => Json::from(super::binary_text(text)),
    }
}

fn number_to_json(text: &str, tag: Tag) -> Json {
    match number_value(text, tag == Tag::Float).map(through_json) {
        Some(Number::Int(value)) => Json::from(value),
        Some(Number::Uint(value)) => Json::from(value),
        Some(Number::Float(value)) => JsonNumber::from_f64(value).map_or(Json::Null, Json::Number),
        None => Json::from(text),
    }
}

/// JSON as a node without places.
pub fn from_json(json: Json) -> Node {
    match json {
        Json::Null => Node::null(),
        Json::Bool(value) => Node::scalar(if value { "true" } else { "false" }, Tag::Bool),
        Json::Number(number) => {
            let tag = if number.is_f64() {
                Tag::Float
            } else {
                Tag::Int
            };
            Node::scalar(number.to_string(), tag)
        }
        Json::String(text) => Value::Scalar(Scalar {
            text: text.into(),
            tag: Tag::Str,
            style: Style::Double,
        })
        .into(),
        Json::Array(items) => Node::sequence(items.into_iter().map(from_json).collect()),
        Json::Object(entries) => {
            let mut mapping = Mapping::default();
            for (key, value) in entries {
                mapping.push(Key::from(key.as_str()), from_json(value));
            }
            mapping.into()
        }
    }
}
