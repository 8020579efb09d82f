//! Values of a Secret that are encrypted files themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::yaml::{Node, Secret, Style, Tag, Value};
use zeroize::Zeroizing;

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
            let target = output_format(&key.text);
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

fn stored(text: &str, encoded: bool) -> Option<Vec<u8>> {
    match encoded {
        true => {
            let base64: String = text.split_ascii_whitespace().collect();
            STANDARD.decode(base64).ok()
        }
        false => Some(text.as_bytes().to_vec()),
    }
}

/// The format that the entry's name asks for.
fn output_format(key: &str) -> Format {
    match Format::of_name(key) {
        Some(format) => format,
        None if key.ends_with(".dockerconfigjson") => Format::Json,
        None => Format::Binary,
    }
}
