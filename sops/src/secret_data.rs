//! Values of a Secret that are encrypted files themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::yaml::{Node, Secret, Style, Tag, Value};
use zeroize::Zeroizing;

use crate::document::Document;
use crate::error::Error;
use crate::format::Format;

/// Opens what is encrypted in a Secret; `open` is given the bytes, the format they are in and the one to write, and
/// leaves a value closed with `None`.
pub(crate) fn open(
    object: &mut Node,
    open: impl Fn(&[u8], Format, Format) -> Result<Option<Zeroizing<Vec<u8>>>, Error>,
) -> Result<bool, Error> {
    if object.find_str(&["kind"]) != Some("Secret") {
        return Ok(false);
    }
    let mut found = false;
    for field in ["data", "stringData"] {
        let encoded = field == "data";
        let Some(mapping) = object.get_mut(field).and_then(Node::as_mapping_mut) else {
            continue;
        };
        for (key, node) in mapping.iter_mut() {
            let Some(bytes) = node.as_str().and_then(|text| stored(text, encoded)) else {
                continue;
            };
            let Some(format) = Format::of_content(&bytes) else {
                continue;
            };
            let target = format_of_key(&key.text).unwrap_or(Format::Binary);
            let path = [field.to_owned(), key.text.to_string()];
            let plain = open(&bytes, format, target).map_err(|mut error| {
                error.path = [&path[..], &error.path].concat();
                // Lines of the inner file say nothing in the outer one.
                error.position.line = node.mark.line;
                error
            })?;
            let Some(plain) = plain else { continue };
            let text = match encoded {
                true => STANDARD.encode(&*plain),
                false => String::from_utf8_lossy(&plain).into_owned(),
            };
            node.value = Value::Secret(Secret::new(text, Tag::Str, Style::Plain));
            found = true;
        }
    }
    Ok(found)
}

/// What an encrypted value starts with, whatever file it was copied out of.
const CIPHERTEXT: &str = "ENC[AES256_GCM,";

/// The field of a Secret's first value that is still encrypted: a file of its own, or a value of one.
pub fn sealed_value(object: &Node) -> Option<String> {
    if object.find_str(&["kind"]) != Some("Secret") {
        return None;
    }
    ["data", "stringData"].into_iter().find_map(|field| {
        let values = object.get(field).and_then(Node::as_mapping)?;
        let (key, _) = values.iter().find(|(_, value)| {
            let bytes = value
                .as_str()
                .and_then(|text| match text.starts_with(CIPHERTEXT) {
                    true => Some(text.as_bytes().to_vec()),
                    false => stored(text, field == "data"),
                });
            bytes.is_some_and(|bytes| is_sealed(&bytes))
        })?;
        Some(format!("{field}.{}", key.text))
    })
}

fn is_sealed(bytes: &[u8]) -> bool {
    let is_file = |format| Document::read(bytes, format).is_ok();
    bytes.starts_with(CIPHERTEXT.as_bytes()) || Format::of_content(bytes).is_some_and(is_file)
}

fn stored(text: &str, encoded: bool) -> Option<Vec<u8>> {
    match encoded {
        true => {
            let base64: String = text.split_ascii_whitespace().collect();
            STANDARD.decode(base64).ok()
        }
        false => Some(text.as_bytes().to_vec()),
    }
}

/// The format that the name of an entry asks for.
pub(crate) fn format_of_key(key: &str) -> Option<Format> {
    Format::of_name(key).or_else(|| key.ends_with(".dockerconfigjson").then_some(Format::Json))
}
