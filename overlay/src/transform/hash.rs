//! Name hashes: generated objects get a digest of their content behind their names.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::{Setting, Transformer};
use crate::error::{Error, Errors};
use crate::load::Session;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::scalar;
use crate::yaml::{Node, Secrets, to_json};

/// Adds the hashes.
struct Hashes;

pub(super) fn from_object(
    _: &Node,
    _: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    Ok(Box::new(Hashes))
}

impl Transformer for Hashes {
    fn transform(&self, resources: &mut Resources, _: &mut Session<'_>) -> Result<(), Errors> {
        Ok(add_hashes(resources)?)
    }
}

/// Renames every object that asks for a hash.
pub(crate) fn add_hashes(resources: &mut Resources) -> Result<(), Error> {
    for resource in &mut resources.list {
        if !resource.needs_hash {
            continue;
        }
        let hash = hash(resource)?;
        resource.remember_id();
        let name = format!("{}-{hash}", resource.name());
        if let Some(metadata) = resource
            .node
            .get_mut("metadata")
            .and_then(Node::as_mapping_mut)
        {
            let name = scalar::name(&name, metadata.get("name"));
            metadata.insert("name", name);
        }
    }
    Ok(())
}

/// The first ten hexadecimal digits of the content's SHA-256, without those that could spell words.
fn hash(resource: &Resource) -> Result<String, Error> {
    let fields: &[&str] = match resource.kind() {
        "ConfigMap" => &["data", "binaryData"],
        "Secret" => &["data", "stringData", "type"],
        kind => return Err(Error::new(format!("a {kind} gets no hash behind its name"))),
    };
    // The name takes part as nothing: kustomize looks for a field called `metadata/name`.
    let mut content = Map::from_iter([
        ("kind".to_owned(), resource.kind().into()),
        ("name".to_owned(), "".into()),
    ]);
    for field in fields {
        let required = matches!(*field, "data" | "type");
        match resource.node.get(field) {
            Some(node) if node.as_mapping().is_some() => {
                content.insert(
                    (*field).to_owned(),
                    sorted(to_json(node, Secrets::Revealed)),
                );
            }
            node if required => {
                let text = node.and_then(Node::exposed).unwrap_or_default();
                content.insert((*field).to_owned(), text.into());
            }
            _ => {}
        }
    }
    let text = go_json(&sorted(Json::Object(content)));
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(hex.chars().map(safe_digit).collect())
}

fn safe_digit(digit: char) -> char {
    match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

/// Keys in the order of their bytes.
fn sorted(value: Json) -> Json {
    match value {
        Json::Object(entries) => {
            let mut entries: Vec<(String, Json)> = entries.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect::<Map<_, _>>()
                .into()
        }
        other => other,
    }
}

/// JSON as Go writes it: `<`, `>`, `&` and the two Unicode line ends are escaped.
fn go_json(value: &Json) -> String {
    let mut out = String::new();
    for char in value.to_string().chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            _ => out.push(char),
        }
    }
    out
}
