//! A cluster that brings several environments: which Kustomizations are one's own, which are the others', and where all
//! of these are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use overlay::ObjectId;
use overlay::path::is_within;

use super::DraftError;
use crate::environments::{Environment, Graph, Leaf, LeafName};

/// The cluster of a model and of other environments, as far as that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its folder.
    pub path: String,
    /// The Kustomizations that bring the model alone, when another one comes beside them.
    pub own: Vec<Written>,
    /// Those that bring others, when the cluster is copied without them.
    pub others: Vec<Written>,
}

/// A Kustomization in a file of the cluster's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub file: String,
    /// A line of its document.
    pub line: u32,
    /// What it is called.
    pub name: String,
}

/// The other environments of the model's cluster.
pub(super) fn others_on<'g>(graph: &'g Graph, model: &Environment) -> Vec<&'g Environment> {
    let others = graph.environments.iter();
    others
        .filter(|other| other.path == model.path && other.name != model.name)
        .collect()
}

/// The Kustomizations that bring the model alone, in the files of its cluster, for another one to be written beside.
pub(super) fn shared(model: &Environment, others: &[&Environment]) -> Result<Platform, DraftError> {
    let of_others: Vec<&Arc<Leaf>> = others.iter().flat_map(|other| &other.leaves).collect();
    let own = model.leaves.iter();
    let own = own.filter(|leaf| !is_among(&of_others, &leaf.name));
    Ok(Platform {
        path: model.path.clone(),
        own: in_files(model, topmost(own.collect()))?,
        others: Vec::new(),
    })
}

/// The Kustomizations that bring others, in the files of the cluster, for a copy to be without them.
pub(super) fn copied(model: &Environment, others: &[&Environment]) -> Result<Platform, DraftError> {
    let own: Vec<&Arc<Leaf>> = model.leaves.iter().collect();
    let mut foreign: Vec<&Arc<Leaf>> = Vec::new();
    for leaf in others.iter().flat_map(|other| &other.leaves) {
        if !is_among(&own, &leaf.name) && !is_among(&foreign, &leaf.name) {
            foreign.push(leaf);
        }
    }
    Ok(Platform {
        path: model.path.clone(),
        own: Vec::new(),
        others: in_files(model, topmost(foreign))?,
    })
}

fn is_among(leaves: &[&Arc<Leaf>], name: &LeafName) -> bool {
    leaves.iter().any(|leaf| leaf.name == *name)
}

/// Those that no other of these brings.
fn topmost(leaves: Vec<&Arc<Leaf>>) -> Vec<&Arc<Leaf>> {
    let is_brought = |leaf: &Arc<Leaf>| {
        let parent = leaf.parent.as_ref();
        parent.is_some_and(|parent| is_among(&leaves, parent))
    };
    let topmost = leaves.iter().filter(|leaf| !is_brought(leaf));
    topmost.copied().collect()
}

fn in_files(model: &Environment, leaves: Vec<&Arc<Leaf>>) -> Result<Vec<Written>, DraftError> {
    let in_file = |leaf: &Arc<Leaf>| {
        let place = leaf.place.as_ref();
        match place.filter(|place| is_within(&place.file, &model.path)) {
            Some(place) => Ok(Written {
                file: place.file.to_string(),
                line: place.line,
                name: leaf.name.name.clone(),
            }),
            None => Err(DraftError::Form(elsewhere(model, leaf))),
        }
    };
    leaves.into_iter().map(in_file).collect()
}

/// What to do by hand where a Kustomization is not the cluster's own to copy or to leave out.
fn elsewhere(model: &Environment, leaf: &Leaf) -> String {
    let place = leaf
        .place
        .as_ref()
        .map_or("another folder", |place| &*place.file);
    format!(
        "{0} brings several environments, and {1} ({2}) is written in {place}, which others may build, too: write a Kustomization like it into {0}, with a name and a `path` of its own, and copy {2} to that path",
        model.path, leaf.name, leaf.path
    )
}

/// An object that a new environment would bring although another Kustomization of its cluster does, and both of these.
pub fn clash(graph: &Graph, new: &Environment) -> Option<(ObjectId, LeafName, LeafName)> {
    let others = others_on(graph, new);
    let others: Vec<&Arc<Leaf>> = others.iter().flat_map(|other| &other.leaves).collect();
    let is_shared = |leaf: &Arc<Leaf>| others.iter().any(|other| other.name == leaf.name);
    let own = new.leaves.iter().filter(|leaf| !is_shared(leaf));
    let ids = |leaf: &Arc<Leaf>| -> Vec<(ObjectId, LeafName)> {
        let objects = leaf.objects().iter();
        objects
            .map(|object| (object.id.clone(), leaf.name.clone()))
            .collect()
    };
    let own: BTreeMap<ObjectId, LeafName> = own.flat_map(ids).collect();
    let taken = others.iter().flat_map(|leaf| ids(leaf));
    let mut twice = taken.filter_map(|(id, theirs)| {
        let ours = own.get(&id)?;
        Some((id, ours.clone(), theirs))
    });
    twice.next()
}
