//! Opened documents as the composer's nodes: what was encrypted is secret, what was not is as it was written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::yaml::{Key, Mapping, Mark, Node as Composed, Scalar, Secret, Style, Tag};

use crate::canonical::{self, FloatStyle};
use crate::error::{Error, ErrorKind, Position};
use crate::tree::{Branch, Element, Node, Value, pairs};

/// The key whose mappings are merged into the one it stands in.
const MERGE: &str = "<<";

/// A document's node; `None` for a document without keys.
pub(crate) fn document(branch: &Branch) -> Result<Option<Composed>, Error> {
    let mut keys = pairs(branch).peekable();
    match keys.peek() {
        None => Ok(None),
        Some(_) => mapping(branch, Position::default()).map(Some),
    }
}

fn mapping(branch: &Branch, position: Position) -> Result<Composed, Error> {
    let mut out = Mapping::default();
    let mut merged = Vec::new();
    for pair in pairs(branch) {
        if pair.key == MERGE {
            merged.extend(sources(&pair.node)?);
            continue;
        }
        let key = Key {
            mark: mark(pair.node.position),
            ..pair.key.as_str().into()
        };
        if out.insert(key, node(&pair.node)?).is_some() {
            return Err(ErrorKind::DuplicateKey.at(pair.node.position));
        }
    }
    for (key, value) in merged {
        out.get_or_insert_with(&key, || value);
    }
    Ok(Composed::from(out).at(mark(position)))
}

/// The keys that a merge brings, the first of each name.
fn sources(node: &Node) -> Result<Vec<(String, Composed)>, Error> {
    let branches: Vec<&Branch> = match &node.value {
        Value::Map(branch) => vec![branch],
        Value::List(elements) => elements
            .iter()
            .filter_map(|element| match element {
                Element::Node(Node {
                    value: Value::Map(branch),
                    ..
                }) => Some(branch),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    branches
        .into_iter()
        .flat_map(|branch| pairs(branch))
        .map(|pair| Ok((pair.key.clone(), self::node(&pair.node)?)))
        .collect()
}

fn node(source: &Node) -> Result<Composed, Error> {
    let (tag, text) = match &source.value {
        Value::Map(branch) => return mapping(branch, source.position),
        Value::List(elements) => {
            let items = elements
                .iter()
                .filter_map(|element| match element {
                    Element::Node(item) => Some(node(item)),
                    Element::Comment(_) => None,
                })
                .collect::<Result<_, _>>()?;
            return Ok(Composed::sequence(items).at(mark(source.position)));
        }
        Value::Null => (Tag::Null, "null".to_owned()),
        Value::Bool(truth) => (Tag::Bool, truth.to_string()),
        Value::Int(int) => (Tag::Int, int.to_string()),
        Value::Float(float) => (Tag::Float, float_text(*float)),
        Value::Time(time) => (Tag::Timestamp, time.to_string()),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => (Tag::Str, text.to_owned()),
            Err(_) => (Tag::Binary, STANDARD.encode(bytes)),
        },
    };
    let composed = match (&source.written, source.opened) {
        (_, true) => Composed::from(overlay::yaml::Value::Secret(Secret::new(
            text,
            tag,
            Style::Plain,
        ))),
        (Some(written), false) => scalar(written, tag),
        (None, false) => scalar(&text, tag),
    };
    Ok(composed.at(mark(source.position)))
}

fn scalar(text: &str, tag: Tag) -> Composed {
    overlay::yaml::Value::Scalar(Scalar {
        text: text.into(),
        tag,
        style: Style::Plain,
    })
    .into()
}

fn float_text(float: f64) -> String {
    match float {
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        float if float.is_nan() => ".nan".to_owned(),
        float => canonical::float(float, FloatStyle::Yaml),
    }
}

fn mark(position: Position) -> Mark {
    Mark {
        line: position.line,
        column: u16::try_from(position.column).unwrap_or(u16::MAX),
        file: 0,
    }
}
