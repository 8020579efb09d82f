//! Generated objects whose content is not known: their names end in a hash of it, which is not known either.

use overlay::unknown::Marker;
use overlay::yaml::{Node, Value};
use overlay::{Build, Object};

use super::values::holds_token;

/// What takes the place of the hash in a name.
pub const UNKNOWN_SUFFIX: &str = "(unknown)";

/// The letters and digits that kustomize writes a hash with.
const HASH_ALPHABET: &[u8] = b"2456789bcdfghkmt";

/// How long a hash is.
const HASH_LENGTH: usize = 10;

/// The name without the hash of its content; `None` when it has none, or is not generated.
pub fn stem(object: &Object) -> Option<&str> {
    object.origin.generator.as_ref()?;
    let name = &object.id.name;
    let unknown = name
        .rsplit_once('-')
        .filter(|(_, end)| *end == UNKNOWN_SUFFIX);
    stem_of(name).or(unknown.map(|(stem, _)| stem))
}

/// A name without what looks like the hash of a generator; `None` when it ends otherwise.
pub(super) fn stem_of(name: &str) -> Option<&str> {
    let (stem, hash) = name.rsplit_once('-')?;
    let is_hash = hash.len() == HASH_LENGTH && hash.bytes().all(|c| HASH_ALPHABET.contains(&c));
    is_hash.then_some(stem)
}

/// Whether a name is one that a generated object of this stem has had: with some hash behind it.
pub fn is_of_stem(stem: &str, name: &str) -> bool {
    stem_of(name) == Some(stem)
}

/// Gives objects other names, in all references to them too: pairs of what was and what is to be.
pub fn rename_all(objects: &mut [Object], names: &[(String, String)]) {
    for object in objects {
        rename(&mut object.node, names);
        if let Some((_, name)) = names.iter().find(|(old, _)| *old == object.id.name) {
            object.id.name.clone_from(name);
        }
    }
}

/// Names what is generated out of unknown values `name-(unknown)`, in its references too.
pub(super) fn name_unknown(build: &mut Build, marker: &Marker) {
    let renamed: Vec<(String, String)> = build
        .objects
        .iter()
        .filter(|object| object.origin.generator.is_some() && holds_token(&object.node, marker))
        .filter_map(|object| {
            let name = format!("{}-{UNKNOWN_SUFFIX}", stem(object)?);
            Some((object.id.name.clone(), name))
        })
        .collect();
    if renamed.is_empty() {
        return;
    }
    rename_all(&mut build.objects, &renamed);
}

fn rename(node: &mut Node, names: &[(String, String)]) {
    if !is_named(node, names) {
        return;
    }
    match &mut node.value {
        Value::Scalar(scalar) => {
            let new = names.iter().find(|(old, _)| *old == *scalar.text);
            if let Some((_, new)) = new {
                scalar.text = new.as_str().into();
            }
        }
        Value::Secret(_) => {}
        Value::Sequence(_) => {
            let items = node.as_sequence_mut().into_iter().flatten();
            items.for_each(|item| rename(item, names));
        }
        Value::Mapping(_) => {
            let mapping = node.as_mapping_mut().into_iter();
            let entries = mapping.flat_map(|mapping| mapping.iter_mut());
            entries.for_each(|(_, value)| rename(value, names));
        }
    }
}

/// Looked at first, so that what stays is not unshared.
fn is_named(node: &Node, names: &[(String, String)]) -> bool {
    match &node.value {
        Value::Scalar(scalar) => names.iter().any(|(old, _)| *old == *scalar.text),
        Value::Secret(_) => false,
        Value::Sequence(items) => items.iter().any(|item| is_named(item, names)),
        Value::Mapping(mapping) => mapping.iter().any(|(_, value)| is_named(value, names)),
    }
}
