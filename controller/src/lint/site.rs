//! What the rules look at: the files of the tree, and what its environments make of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use overlay::unknown::Marker;
use overlay::yaml::Node;
use overlay::yaml::{Mark, Value};
use overlay::{Object, Place, Tree, TreeError};

use super::files::{File, files};
use crate::environments::{self, Environment, Graph, Leaf, Settings};

/// A repository that is looked through.
pub struct Site<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) graph: Graph,
    pub(super) marker: Marker,
    /// The files that marks of the graph's objects mean, from 1.
    names: Vec<Arc<str>>,
    pub(super) files: Vec<File>,
}

impl<'a> Site<'a> {
    /// Reads and builds all of it. Where `kept` is given, files that are not in it are none of the repository's.
    pub fn open(
        tree: &'a dyn Tree,
        settings: &Settings,
        kept: Option<&BTreeSet<String>>,
    ) -> Result<Self, TreeError> {
        let (graph, names) = environments::graph_and_files(tree, settings)?;
        Ok(Self {
            tree,
            graph,
            marker: settings.marker.clone(),
            names,
            files: files(tree, kept)?,
        })
    }

    /// The environments that were looked at.
    pub fn environments(&self) -> usize {
        self.graph.environments.len()
    }

    /// Where a node of an object was set last; else where the object was written.
    pub(super) fn place(&self, mark: Mark, object: &Object) -> Place {
        let file = usize::from(mark.file).checked_sub(1);
        match file.and_then(|index| self.names.get(index)) {
            Some(file) => Place {
                file: file.clone(),
                line: mark.line,
                column: mark.column.into(),
            },
            None => object.origin.place.clone(),
        }
    }

    /// Whether a text may become another one: a variable nobody has set here, or a value that is not known.
    pub(super) fn is_open(&self, node: &Node) -> bool {
        match &node.value {
            Value::Scalar(scalar) => scalar.text.contains("${") || self.marker.is_in(&scalar.text),
            Value::Secret(_) => true,
            Value::Sequence(_) | Value::Mapping(_) => false,
        }
    }

    /// Every leaf with its environment. What several environments of a cluster have in common comes once for each.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (&Environment, &Arc<Leaf>)> {
        let environments = self.graph.environments.iter();
        environments.flat_map(|environment| {
            environment
                .leaves
                .iter()
                .map(move |leaf| (environment, leaf))
        })
    }

    /// Every object with its environment.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&Environment, &Object)> {
        let objects = |(environment, leaf)| {
            let leaf: &Arc<Leaf> = leaf;
            leaf.objects()
                .iter()
                .map(move |object| (environment, object))
        };
        self.leaves().flat_map(objects)
    }

    /// The path of the kustomization file of a folder, else the folder.
    pub(super) fn kustomization_file<'f>(&'f self, folder: &'f str) -> &'f str {
        let own = self.graph.folders.by_path.get(folder);
        own.map_or(folder, |own| own.file.as_str())
    }
}
