//! Generators: objects that no file holds, made from files and literals.

use std::collections::BTreeMap;

use ecow::EcoString;

use crate::resource::{Behavior, Resource};
use crate::yaml::{Mapping, Node};

/// Takes over what an object has that a generated one of its name replaces or merges into: name, namespace,
/// labels and annotations that the new one does not set, its history, and for a merge its data.
pub(crate) fn adopt(new: &mut Resource, old: &Resource) {
    if new.behavior == Behavior::Merge {
        for field in ["data", "binaryData"] {
            inherit(&mut new.node, &old.node, &[field]);
        }
    }
    for field in ["labels", "annotations"] {
        inherit(&mut new.node, &old.node, &["metadata", field]);
    }
    for field in ["name", "namespace"] {
        let value = old.node.find(&["metadata", field]).cloned();
        if let Some(metadata) = new.node.get_mut("metadata").and_then(Node::as_mapping_mut) {
            match value {
                Some(value) => drop(metadata.insert(field, value)),
                None => drop(metadata.remove(field)),
            }
        }
    }
    new.needs_hash &= old.needs_hash;
    new.behavior = old.behavior;
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.variables.clone_from(&old.variables);
}

/// Adds to a mapping of texts those of the old object that it lacks; an empty mapping goes away.
fn inherit(new: &mut Node, old: &Node, path: &[&str]) {
    let Some((field, parents)) = path.split_last() else {
        return;
    };
    let mut values: BTreeMap<EcoString, Node> = BTreeMap::new();
    for source in [old.find(path), new.find(path)].into_iter().flatten() {
        for (key, value) in source.as_mapping().into_iter().flat_map(Mapping::iter) {
            values.insert(key.text.clone(), text_of(value));
        }
    }
    let parent = parents
        .iter()
        .try_fold(new, |node, key| node.get_mut(key))
        .and_then(Node::as_mapping_mut);
    let Some(parent) = parent else { return };
    if values.is_empty() {
        parent.remove(field);
        return;
    }
    let mut mapping = Mapping::default();
    for (key, value) in values {
        mapping.insert(key.as_str(), value);
    }
    parent.insert(*field, mapping.into());
}

/// A scalar as text, whatever it was; a secret stays one.
pub(crate) fn text_of(node: &Node) -> Node {
    use crate::yaml::{Secret, Style, Tag, Value};
    let value = match &node.value {
        Value::Scalar(scalar) => return Node::string(scalar.text.clone()).at(node.mark),
        Value::Secret(secret) => Value::Secret(Secret::new(
            secret.expose().to_owned(),
            Tag::Str,
            Style::Plain,
        )),
        Value::Sequence(_) | Value::Mapping(_) => return Node::string("").at(node.mark),
    };
    Node::from(value).at(node.mark)
}
