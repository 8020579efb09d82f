//! What ConfigMaps and Secrets hold, and where a text has a token.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use overlay::unknown::Marker;
use overlay::yaml::{Mapping, Node, Value};
use overlay::{Object, ObjectId};
use zeroize::Zeroizing;

use crate::cluster::redact::Redactor;

/// One entry of a ConfigMap or a Secret.
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value, decoded.
    pub value: Zeroizing<String>,
    /// It may not be shown.
    pub is_secret: bool,
}

/// The entries of a ConfigMap or Secret; `stringData` stands above `data`, as the API server has it.
pub fn data_of(object: &Object) -> Vec<Entry<'_>> {
    let is_secret = is_secret(&object.id);
    let fields: &[&str] = match is_secret {
        true => &["data", "stringData"],
        false => &["data"],
    };
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for field in fields {
        let mapping = object.node.get(field).and_then(Node::as_mapping);
        for (key, value) in mapping.into_iter().flat_map(Mapping::iter) {
            let Some(text) = text_of(value) else { continue };
            let text = match *field == "data" && is_secret {
                true => decoded(text),
                false => text.to_owned(),
            };
            entries.retain(|entry| entry.key != key.text);
            entries.push(Entry {
                key: &key.text,
                value: Zeroizing::new(text),
                is_secret: is_secret || value.is_secret(),
            });
        }
    }
    entries
}

fn is_secret(id: &ObjectId) -> bool {
    id.group.is_empty() && id.kind == "Secret"
}

/// The text of a scalar that is compared or put in, never printed.
pub(super) fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::Secret(secret) => Some(secret.expose()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// What a text is base64 of; itself when it is of nothing, as a token in place of base64 is.
fn decoded(text: &str) -> String {
    let plain: String = text.split_ascii_whitespace().collect();
    let bytes = BASE64.decode(plain).ok().map(Zeroizing::new);
    let text_of = |bytes: &Zeroizing<Vec<u8>>| std::str::from_utf8(bytes).ok().map(str::to_owned);
    bytes
        .as_ref()
        .and_then(text_of)
        .unwrap_or_else(|| text.to_owned())
}

/// What is secret in some objects, to be shown nowhere. A value that is not known is none.
pub(crate) fn secrets_in<'o>(
    objects: impl IntoIterator<Item = &'o Object>,
    marker: &Marker,
) -> Redactor {
    let mut redactor = Redactor::of(objects);
    redactor.retain(|value| token_in(value, marker).is_none());
    redactor
}

/// The text in which a token stands: itself, or what it is base64 of. Nothing when all of it is known.
pub fn token_in<'t>(text: &'t str, marker: &Marker) -> Option<Cow<'t, str>> {
    if marker.is_in(text) {
        return Some(Cow::Borrowed(text));
    }
    // Generators break long values into lines.
    let plain: String = text.split_ascii_whitespace().collect();
    let bytes = BASE64.decode(plain).ok()?;
    let inner = String::from_utf8(bytes).ok()?;
    marker.is_in(&inner).then_some(Cow::Owned(inner))
}

/// Whether a token stands in any scalar of a node.
pub fn holds_token(node: &Node, marker: &Marker) -> bool {
    match &node.value {
        Value::Scalar(_) | Value::Secret(_) => {
            text_of(node).is_some_and(|text| token_in(text, marker).is_some())
        }
        Value::Sequence(items) => items.iter().any(|item| holds_token(item, marker)),
        Value::Mapping(mapping) => mapping.iter().any(|(_, value)| holds_token(value, marker)),
    }
}
