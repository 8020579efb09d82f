//! Which object of one side is which of the other.

use std::collections::HashMap;

use overlay::Object;

use crate::environments::{Leaf, stem};

/// An object and the Kustomization that has it.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) leaf: &'a Leaf,
    pub(super) object: &'a Object,
}

/// The two sides of an object, one at least.
pub(super) struct Pair<'a> {
    pub(super) before: Option<Side<'a>>,
    pub(super) after: Option<Side<'a>>,
}

/// What an object is known by: group, kind, namespace, and its name without the hash of a generator.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str, bool);

fn key(object: &Object) -> Key<'_> {
    let id = &object.id;
    let stem = stem(object);
    let name = stem.unwrap_or(&id.name);
    (&id.group, &id.kind, &id.namespace, name, stem.is_some())
}

/// Pairs what two lists of Kustomizations have, in the order of the later ones; what is left of the earlier comes last.
/// Of several objects that share a key the one of the same Kustomization is preferred.
pub(super) fn pairs<'a>(before: &[&'a Leaf], after: &[&'a Leaf]) -> Vec<Pair<'a>> {
    let mut waiting: HashMap<Key<'a>, Vec<Side<'a>>> = HashMap::new();
    for side in sides(before) {
        waiting.entry(key(side.object)).or_default().push(side);
    }
    let mut take = |side: &Side<'a>, same_leaf: bool| {
        let list = waiting.get_mut(&key(side.object))?;
        let fits = |other: &Side<'_>| !same_leaf || other.leaf.name == side.leaf.name;
        let at = list.iter().position(fits)?;
        Some(list.remove(at))
    };
    let mut pairs: Vec<Pair<'a>> = sides(after)
        .map(|side| Pair {
            before: take(&side, true),
            after: Some(side),
        })
        .collect();
    // What moves from one Kustomization to another, once each has what is its own.
    for pair in pairs.iter_mut().filter(|pair| pair.before.is_none()) {
        pair.before = pair.after.as_ref().and_then(|side| take(side, false));
    }
    let left = sides(before).filter(|side| {
        let list = waiting.get(&key(side.object));
        list.is_some_and(|list| {
            list.iter()
                .any(|other| std::ptr::eq(other.object, side.object))
        })
    });
    pairs.extend(left.map(|side| Pair {
        before: Some(side),
        after: None,
    }));
    pairs
}

fn sides<'a>(leaves: &[&'a Leaf]) -> impl Iterator<Item = Side<'a>> {
    leaves.iter().flat_map(|leaf| {
        let objects = leaf.objects().iter();
        objects.map(|object| Side { leaf, object })
    })
}
