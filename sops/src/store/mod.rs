//! Reading and writing the formats, each in a file of its own.

mod dotenv;
mod ini;
mod json;
pub(crate) mod yaml;

use zeroize::Zeroizing;

use crate::canonical::{self, FloatStyle};
use crate::document::SIZE_LIMIT;
use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::metadata::{self, METADATA_KEY, Metadata};
use crate::tree::{Branch, Element, Item, Value, pairs};

/// Where a comment goes that stood behind a value, on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inline {
    /// On a line of its own above the value: what `sops decrypt` printed up to version 3.11.
    Above,
    /// Where it stood.
    Beside,
}

/// Reads the documents of a file, metadata and all.
pub(crate) fn read(bytes: &[u8], format: Format) -> Result<Vec<Branch>, Error> {
    if bytes.len() > SIZE_LIMIT {
        return Err(ErrorKind::TooLarge {
            size: bytes.len(),
            limit: SIZE_LIMIT,
        }
        .error());
    }
    match format {
        Format::Yaml => yaml::read(bytes),
        Format::Json | Format::Binary => Ok(vec![json::read(bytes, format)?]),
        Format::Dotenv => Ok(vec![dotenv::read(bytes)?]),
        Format::Ini => Ok(vec![ini::read(bytes)?]),
    }
}

/// Takes the metadata out of the documents.
pub(crate) fn take_metadata(branches: &mut [Branch], format: Format) -> Result<Branch, Error> {
    match format {
        Format::Yaml | Format::Json | Format::Binary => metadata::take(branches),
        Format::Dotenv => dotenv::take_metadata(branches),
        Format::Ini => ini::take_metadata(branches),
    }
}

/// Reads a file that is to be encrypted.
pub(crate) fn read_plain(bytes: &[u8], format: Format) -> Result<Vec<Branch>, Error> {
    if format == Format::Binary {
        let data = Value::Text(Zeroizing::new(bytes.to_vec()));
        return Ok(vec![vec![Item::pair("data", data)]]);
    }
    let branches = read(bytes, format)?;
    let reserved = |key: &str| match format {
        Format::Dotenv => key.starts_with(dotenv::PREFIX),
        _ => key == METADATA_KEY,
    };
    for pair in branches.iter().flat_map(|branch| pairs(branch)) {
        if reserved(&pair.key) {
            return Err(ErrorKind::AlreadyEncrypted.at(pair.node.position));
        }
    }
    Ok(branches)
}

/// Writes encrypted documents with their metadata.
pub(crate) fn write_encrypted(
    branches: &[Branch],
    metadata: &Metadata,
    format: Format,
) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let written = metadata::write(metadata);
    let items: Branch = match format {
        Format::Yaml | Format::Json | Format::Binary => {
            vec![Item::pair(METADATA_KEY, Value::Map(written))]
        }
        Format::Dotenv => dotenv::metadata_items(&written),
        Format::Ini => ini::metadata_items(&written),
    };
    let branches: Vec<Branch> = branches
        .iter()
        .map(|branch| [branch.as_slice(), &items].concat())
        .collect();
    let format = match format {
        Format::Binary => Format::Json,
        _ => format,
    };
    write(&branches, format, Inline::Beside)
}

/// Writes documents.
pub(crate) fn write(
    branches: &[Branch],
    format: Format,
    inline: Inline,
) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    match format {
        Format::Yaml => Ok(yaml::write(branches, inline)),
        Format::Json => json::write(only(branches, format)?),
        Format::Dotenv => dotenv::write(only(branches, format)?),
        Format::Ini => ini::write(only(branches, format)?),
        Format::Binary => binary(only(branches, format)?),
    }
}

/// A scalar in formats whose values are all texts; `None` for lists and mappings.
fn flat_text(value: &Value) -> Option<Zeroizing<Vec<u8>>> {
    let text = match value {
        Value::Text(bytes) => return Some(bytes.clone()),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => canonical::float(*float, FloatStyle::Flat),
        Value::Time(time) => time.seconds(),
        Value::List(_) | Value::Map(_) => return None,
    };
    Some(Zeroizing::new(text.into_bytes()))
}

/// Replaces each occurrence of a pattern.
fn replace(bytes: &[u8], pattern: &[u8], with: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(pattern.len())
        .position(|window| window == pattern)
    {
        out.extend(&rest[..at]);
        out.extend(with);
        rest = &rest[at + pattern.len()..];
    }
    out.extend(rest);
    out
}

fn only(branches: &[Branch], format: Format) -> Result<&Branch, ErrorKind> {
    match branches {
        [branch] => Ok(branch),
        _ => Err(ErrorKind::Emit {
            format,
            problem: "it holds one document, not several",
        }),
    }
}

/// No less than the items take when they are written in any of the formats: a buffer that never grows leaves no copies
/// of plain texts behind.
fn room(branch: &Branch, depth: usize) -> usize {
    let item = |item: &Item| match item {
        Item::Comment(comment) => room_of_text(&comment.text, depth),
        Item::Pair(pair) => {
            room_of_text(pair.key.as_bytes(), depth) + room_of_value(&pair.node.value, depth)
        }
    };
    branch.iter().map(item).sum::<usize>() + LINE
}

/// More than the marks around a value and the longest number take.
const LINE: usize = 64;

fn room_of_value(value: &Value, depth: usize) -> usize {
    match value {
        Value::Text(bytes) => room_of_text(bytes, depth),
        Value::Map(branch) => room(branch, depth + 1) + LINE,
        Value::List(elements) => {
            let element = |element: &Element| match element {
                Element::Comment(comment) => room_of_text(&comment.text, depth + 1),
                Element::Node(node) => room_of_value(&node.value, depth + 1) + LINE,
            };
            elements.iter().map(element).sum::<usize>() + LINE
        }
        // A float without exponent has up to 330 digits.
        Value::Float(_) => 6 * LINE,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Time(_) => LINE,
    }
}

/// Each character escaped, each line indented.
fn room_of_text(text: &[u8], depth: usize) -> usize {
    const LONGEST_ESCAPE: usize = 10;
    const INDENT: usize = 4;
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    text.len() * LONGEST_ESCAPE + lines * (INDENT * (depth + 1)) + LINE
}

/// True for JSON of the shape that a binary file is wrapped in: one text and the metadata.
pub(crate) fn wraps_bytes(bytes: &[u8]) -> bool {
    let Ok(branches) = read(bytes, Format::Binary) else {
        return false;
    };
    let mut others = branches
        .iter()
        .flat_map(|branch| pairs(branch))
        .filter(|pair| pair.key != METADATA_KEY);
    let only = (others.next(), others.next());
    matches!(only, (Some(pair), None) if pair.key == "data" && matches!(pair.node.value, Value::Text(_)))
}

/// The bytes that a binary file wraps.
fn binary(branch: &Branch) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    pairs(branch)
        .find(|pair| pair.key == "data")
        .and_then(|pair| match &pair.node.value {
            Value::Text(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .ok_or(ErrorKind::Emit {
            format: Format::Binary,
            problem: "there is no text under the key data",
        })
}

#[cfg(test)]
mod tests {
    use super::{Inline, read, room, write};
    use crate::format::Format;

    #[test]
    fn what_is_written_fits_the_room_that_it_was_given() {
        let value = "\u{1}\u{2028}\u{e9}".repeat(50);
        let long = "k".repeat(300);
        let json = format!(
            "{{\"{long}\": \"{}\", \"f\": 1e-300, \"g\": -1.5e300, \"s\": {{\"a\": {{\"b\": [[\"x\\ny\\nz\"], null, true]}}}}}}",
            value.replace('\u{1}', "\\u0001")
        );
        let flat = format!(
            "{{\"s\": {{\"{long}\": \"a\\nb\", \"k1\": \"'\", \"k2\": \"\\\"\", \"k3\": 1e300}}}}"
        );
        for (text, formats) in [
            (&json, &[Format::Json, Format::Yaml][..]),
            (&flat, &[Format::Ini, Format::Yaml, Format::Json]),
        ] {
            let branches = read(text.as_bytes(), Format::Json).expect("reads");
            for &format in formats {
                let written = write(&branches, format, Inline::Above).expect("writes");
                assert!(written.len() <= room(&branches[0], 0), "{format}");
            }
        }
    }
}
