//! Secrets of a new environment that nobody has filled in yet: they are never applied.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use overlay::yaml::{Mark, Node, Value};
use overlay::{Build, Object};
use zeroize::Zeroizing;

use crate::api::kustomization::reason;
use crate::report::failure::Failure;

/// How many keys a refusal names.
const NAMED: usize = 5;

/// Refuses secret values that still are, or hold, the marker, by file and key.
pub(super) fn refuse(build: &Build) -> Result<(), Failure> {
    let mut found = Vec::new();
    for object in &build.objects {
        let mut path = Vec::new();
        search(&object.node, &mut path, &mut |path, mark| {
            found.push((object, path.to_owned(), mark));
        });
    }
    let Some((object, _, mark)) = found.first() else {
        return Ok(());
    };
    let keys = found.iter().filter(|(other, ..)| other.id == object.id);
    let keys: Vec<&str> = keys.map(|(_, path, _)| path.as_str()).collect();
    let more = match keys.len() {
        0..=NAMED => String::new(),
        count => format!(" and {} more", count - NAMED),
    };
    let named = &keys[..keys.len().min(NAMED)];
    let message = format!(
        "{}: {}{more} must be filled in: {} still stands there ({})",
        object.id,
        named.join(", "),
        sops::FILL_IN,
        place(build, object, *mark)
    );
    Err(Failure::new(reason::BUILD_FAILED, message))
}

fn place(build: &Build, object: &Object, mark: Mark) -> String {
    let place = build.place(mark);
    place
        .unwrap_or_else(|| object.origin.place.clone())
        .file
        .to_string()
}

/// Tells of every secret scalar with the marker in it, plain or in base64.
fn search(node: &Node, path: &mut Vec<String>, tell: &mut impl FnMut(&str, Mark)) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::Secret(secret) => {
            if holds_marker(secret.expose()) {
                tell(&path.join("."), node.mark);
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                search(item, path, tell);
                path.pop();
            }
        }
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                path.push(key.text.to_string());
                search(value, path, tell);
                path.pop();
            }
        }
    }
}

fn holds_marker(text: &str) -> bool {
    if text.contains(sops::FILL_IN) {
        return true;
    }
    let compact: Zeroizing<String> = text.split_ascii_whitespace().collect::<String>().into();
    let decoded = BASE64.decode(compact.as_bytes()).map(Zeroizing::new);
    decoded.is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(sops::FILL_IN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Secret, Style, Tag};
    use overlay::{ObjectId, Origin, Place};

    fn refused(value: &str) -> Option<String> {
        let secret = Value::Secret(Secret::new(value.to_owned(), Tag::Str, Style::Plain));
        let (mut data, mut node) = (Node::mapping(), Node::mapping());
        data.as_mapping_mut()?.insert("password", secret.into());
        node.as_mapping_mut()?.insert("data", data);
        let origin = Origin {
            place: Place::file("envs/new/secrets.yaml"),
            generator: None,
        };
        let object = Object {
            id: ObjectId {
                kind: "Secret".to_owned(),
                name: "shop".to_owned(),
                ..ObjectId::default()
            },
            node,
            origin,
        };
        let mut build = Build::default();
        build.objects.push(object);
        refuse(&build).err().map(|failure| failure.message)
    }

    #[test]
    fn the_marker_is_refused_plain_and_encoded() {
        let want = "Secret/shop: data.password must be filled in: WEIR-FILL-IN still stands there (envs/new/secrets.yaml)";
        for value in [
            "WEIR-FILL-IN",
            "postgres://WEIR-FILL-IN@db",
            "V0VJUi1GSUxMLUlO",
        ] {
            assert_eq!(refused(value).as_deref(), Some(want), "{value}");
        }
        assert_eq!(refused("a password"), None);
        assert_eq!(refused("YSBwYXNzd29yZA=="), None);
    }
}
