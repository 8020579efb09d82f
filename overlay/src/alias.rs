//! Values that several fields of one object share. kustomize sets a new label or annotation as one node in all the
//! places that it goes to; whatever changes one of them later changes them all (a label that an overlay sets in
//! the metadata alone changes the selectors that a base gave it to).

use ecow::EcoString;

use crate::resource::Resource;
use crate::yaml::{Node, Value};

/// One step to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(EcoString),
    Index(usize),
}

/// The fields of one object that share a value.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    fields: Vec<Vec<Step>>,
    value: Node,
}

/// The mappings that a field spec's path leads to, in the order in which they are visited.
fn mappings(node: &Node, path: &[EcoString], here: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let Some((key, rest)) = path.split_first() else {
        return found.push(here.clone());
    };
    if let Some(items) = node.as_sequence() {
        for (index, item) in items.iter().enumerate() {
            here.push(Step::Index(index));
            mappings(item, path, here, found);
            here.pop();
        }
        return;
    }
    let key = key.strip_suffix("[]").unwrap_or(key);
    if let Some(field) = node.get(key) {
        here.push(Step::Key(key.into()));
        mappings(field, rest, here, found);
        here.pop();
    }
}

/// The new keys that one transformer sets in one object.
#[derive(Default)]
pub(crate) struct NewKeys {
    keys: Vec<(EcoString, Vec<Vec<Step>>)>,
}

impl NewKeys {
    /// Notes the keys that the mappings at a path were given: for each mapping in the order of the visit, which.
    pub(crate) fn note(&mut self, node: &Node, path: &[EcoString], given: Vec<Vec<EcoString>>) {
        let mut found = Vec::new();
        mappings(node, path, &mut Vec::new(), &mut found);
        for (mapping, keys) in found.into_iter().zip(given) {
            for key in keys {
                let mut field = mapping.clone();
                field.push(Step::Key(key.clone()));
                match self.keys.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, fields)) => fields.push(field),
                    None => self.keys.push((key, vec![field])),
                }
            }
        }
    }

    /// Remembers with the object which fields share a value.
    pub(crate) fn share(self, resource: &mut Resource) {
        for (_, fields) in self.keys.into_iter().filter(|(_, fields)| fields.len() > 1) {
            if let Some(value) = at(&resource.node, &fields[0]).cloned() {
                resource.shared.push(Shared { fields, value });
            }
        }
    }
}

fn at<'n>(node: &'n Node, field: &[Step]) -> Option<&'n Node> {
    field.iter().try_fold(node, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.as_sequence()?.get(*index),
    })
}

fn at_mut<'n>(node: &'n mut Node, field: &[Step]) -> Option<&'n mut Node> {
    field.iter().try_fold(node, |node, step| match step {
        Step::Key(key) => node.get_mut(key),
        Step::Index(index) => node.as_sequence_mut()?.get_mut(*index),
    })
}

/// Gives all fields that share a value the value that one of them was given.
pub(crate) fn settle(resource: &mut Resource) {
    let Resource { node, shared, .. } = resource;
    for shared in shared.iter_mut() {
        shared.fields.retain(|field| at(node, field).is_some());
        let changed = shared
            .fields
            .iter()
            .filter_map(|field| at(node, field))
            .find(|value| **value != shared.value && is_scalar(value))
            .cloned();
        let Some(value) = changed else { continue };
        for field in &shared.fields {
            if let Some(place) = at_mut(node, field) {
                *place = value.clone();
            }
        }
        shared.value = value;
    }
    shared.retain(|shared| shared.fields.len() > 1);
}

fn is_scalar(node: &Node) -> bool {
    matches!(node.value, Value::Scalar(_) | Value::Secret(_))
}
