//! Nodes as JSON for the API server, with the numbers that Kubernetes would send, and JSON as nodes.

use serde_json::{Map, Number as JsonNumber, Value as Json};
use zeroize::Zeroizing;

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

/// The node as JSON text with secret scalars in the clear: for the apply serializer only. The text is wiped when it is
/// dropped, and was never moved while it grew.
pub fn json_text_revealed(node: &Node) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(room(node)));
    write(&mut out, node);
    out
}

/// No less than a node takes as JSON text.
fn room(node: &Node) -> usize {
    const LONGEST_ESCAPE: usize = 6;
    const LONGEST_NUMBER: usize = 32;
    let text = |text: &str| text.len() * LONGEST_ESCAPE + LONGEST_NUMBER;
    match &node.value {
        Value::Scalar(scalar) => text(&scalar.text),
        Value::Secret(secret) => text(secret.expose()),
        Value::Sequence(items) => items.iter().map(|item| room(item) + 1).sum::<usize>() + 2,
        Value::Mapping(mapping) => {
            let entries = mapping
                .iter()
                .map(|(key, value)| text(&key.text) + room(value));
            entries.sum::<usize>() + 2
        }
    }
}

fn write(out: &mut Vec<u8>, node: &Node) {
    match &node.value {
        Value::Scalar(scalar) => write_scalar(out, &scalar.text, scalar.tag),
        Value::Secret(secret) => write_scalar(out, secret.expose(), secret.tag),
        Value::Sequence(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                out.extend((index > 0).then_some(b','));
                write(out, item);
            }
            out.push(b']');
        }
        Value::Mapping(mapping) => {
            out.push(b'{');
            for (index, (key, value)) in mapping.iter().enumerate() {
                out.extend((index > 0).then_some(b','));
                write_scalar(out, &key.text, Tag::Str);
                out.push(b':');
                write(out, value);
            }
            out.push(b'}');
        }
    }
}

fn write_scalar(out: &mut Vec<u8>, text: &str, tag: Tag) {
    // Writing to memory cannot fail.
    let _ = match scalar_to_json(text, tag) {
        Json::String(text) => serde_json::to_writer(out, Zeroizing::new(text).as_str()),
        other => serde_json::to_writer(out, &other),
    };
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

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Secret, Secrets, Style, Tag, Value, read_documents};
    use super::{json_text_revealed, room, to_json};

    #[test]
    fn the_text_is_that_of_the_value_and_fits_the_room_it_was_given() {
        let text = "a: [1, 0x1F, 1e300, -0.0, true, null, 2001-01-01, !!binary aGk=, {}, []]\n\
                    \"k\\u0001\": \"\\u0001\\n\\\"é\"\nnested: {deeper: {still: x}}\n";
        let mut nodes = read_documents(text.as_bytes(), 0, Dialect::Kubernetes).expect("YAML");
        let mapping = nodes[0].as_mapping_mut().expect("a mapping");
        for (key, tag) in [("s", Tag::Str), ("i", Tag::Int), ("b", Tag::Binary)] {
            let secret = Secret::new("12345678".to_owned(), tag, Style::Plain);
            mapping.insert(key, Value::Secret(secret).into());
        }
        let written = json_text_revealed(&nodes[0]);
        let expected = to_json(&nodes[0], Secrets::Revealed).to_string();
        assert_eq!(std::str::from_utf8(&written), Ok(expected.as_str()));
        assert!(room(&nodes[0]) >= written.len());
    }
}
