//! What may be remembered of a tree's graph from one run to the next: what each Kustomization of each entry was made of.
//! Paths and names, no content of any file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use overlay::build::{Read, Reads};
use overlay::unknown::Marker;
use overlay::vars::Variables;
use overlay::{ObjectHash, Tree};
use serde::{Deserialize, Serialize};

use super::entries::{Written, spec_of_folder};
use super::facts::stages_of;
use super::name::{is_by_path, is_environment};
use super::secret_names::SecretNames;
use super::siblings::{Layer, OwnFiles, layer};
use super::spec::is_source;
use super::values::secrets_in;
use super::walk::{Instead, Walked};
use super::{Changed, Composed, Environment, Graph, Kind, Leaf, LeafName, Outcome};
use crate::api::kustomization::KustomizationSpec;

/// A graph's entries.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// All paths that builds looked at, sorted.
    paths: Vec<String>,
    materials: Vec<Material>,
    /// What lies in the folders of siblings, by their number.
    pub(super) layers: Vec<Layer>,
    pub(super) entries: Vec<Row>,
    /// How many environments there are.
    pub(super) environments: usize,
}

/// What some Kustomizations are made of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Material {
    /// Numbers of paths, sorted.
    reads: Vec<u32>,
    /// The stages among them.
    stages: Vec<String>,
}

/// An entry, its Kustomizations and its environments.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) path: String,
    /// Where it is written; a mere folder is nowhere.
    pub(super) written: Option<Written>,
    /// What the folders were made of whose builds say how it is written.
    written_by: Vec<u32>,
    pub(super) environments: Vec<Named>,
    /// Those that bring others before these.
    pub(super) parts: Vec<Part>,
}

/// An environment.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    /// Its Kustomizations, by number.
    pub(super) parts: Vec<usize>,
}

/// A Kustomization.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: LeafName,
    /// The folder that it builds.
    pub(super) path: String,
    /// Who brings it, by number.
    pub(super) parent: Option<usize>,
    /// What it is made of; nothing here when its files lie in another repository.
    material: Option<u32>,
    /// Parts of the same number are one and the same but for the values of their variables, and for where the folder lies
    /// in which the same files are. Variables are put into each object by itself: none has its name of them, and all
    /// together are far from the budget.
    pub(super) twins: Option<u32>,
    /// Those of the same number are such but for what files of their own say of the same objects.
    pub(super) siblings: Option<u32>,
    /// It does not build: nobody knows what that looked at.
    fails: bool,
    /// It holds values or names that must not be shown, wherever else in the environment they turn up.
    pub(super) holds_secrets: bool,
    /// It says where files come from, which others may go by.
    holds_sources: bool,
}

/// An entry that a change reaches.
pub(super) struct Reached<'i> {
    pub(super) row: &'i Row,
    /// The Kustomizations that are made of what has changed, by number.
    pub(super) touched: Vec<usize>,
    /// For each Kustomization, whether it must be built: it is touched, or what is touched depends on it or it on that.
    pub(super) needed: Vec<bool>,
    /// Nobody knows what of it is touched.
    pub(super) is_unknown: bool,
}

impl Index {
    /// What may be remembered of a tree's graph; nothing of one whose environments' names depend on one another.
    pub fn of(graph: &Graph, tree: &dyn Tree, marker: &Marker) -> Option<Self> {
        let is_named_alone = graph.environments.iter().all(is_named_by_itself);
        is_named_alone.then(|| Indexing::new(graph, tree, marker).index())
    }

    /// What was written of one, where it is one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }

    /// All of it, for the next run: in a form without names of fields, as every run waits for it to be read.
    pub fn written(&self) -> Option<Vec<u8>> {
        rmp_serde::to_vec(self).ok()
    }

    /// The entries that are made of what has changed, and those of which nobody knows.
    pub(super) fn reached(&self, changed: &Changed) -> Vec<Reached<'_>> {
        let mut is_changed = vec![false; self.paths.len()];
        let numbers = changed.paths.iter();
        let numbers = numbers.filter_map(|path| self.paths.binary_search(path).ok());
        numbers.for_each(|number| is_changed[number] = true);
        let is_changed = |path: &u32| is_changed.get(*path as usize) == Some(&true);
        let materials = self.materials.iter();
        let touched: Vec<bool> = materials
            .map(|material| material.reads.iter().any(is_changed))
            .collect();
        let is_touched = |material: u32| touched.get(material as usize) == Some(&true);
        let reached = self.entries.iter().map(|row| row.reached(&is_touched));
        reached.flatten().collect()
    }

    /// The stages of some Kustomizations.
    pub(super) fn stages<'p>(&self, parts: impl Iterator<Item = &'p Part>) -> Vec<String> {
        let materials = parts.filter_map(|part| part.material);
        let materials = materials.filter_map(|number| self.materials.get(number as usize));
        materials
            .flat_map(|material| material.stages.iter().cloned())
            .collect()
    }
}

impl<'i> Reached<'i> {
    /// What is not built as a whole.
    pub(super) fn instead(&self) -> Instead<'i> {
        let parts = &self.row.parts;
        let unneeded = parts.iter().zip(&self.needed).filter(|(_, is)| !**is);
        let left_out =
            unneeded.filter_map(|(part, _)| Some((&part.name, &parts[part.parent?].name)));
        let numbers = self.touched.iter().filter(|number| self.is_apart(**number));
        Instead {
            left_out: left_out.collect(),
            composed: numbers.map(|number| &parts[*number].name).collect(),
        }
    }

    /// Whether of a touched Kustomization only the objects count that change: nothing looks at the others, and variables
    /// are put into each by itself.
    fn is_apart(&self, number: usize) -> bool {
        let parts = &self.row.parts;
        let part = &parts[number];
        let mut above = std::iter::successors(part.parent, |above| parts[*above].parent);
        !self.is_unknown
            && part.twins.is_some()
            && !part.holds_secrets
            && !above.any(|above| self.touched.contains(&above))
            && !parts.iter().any(|other| other.parent == Some(number))
    }

    /// Whether all that is needed was built, and nothing else.
    pub(super) fn is_whole(&self, walked: &Walked) -> bool {
        let parts = self.row.parts.iter().zip(&self.needed);
        let needed = parts.filter(|(_, needed)| **needed);
        let needed: BTreeSet<&LeafName> = needed.map(|(part, _)| &part.name).collect();
        let built = walked.leaves.iter().map(|leaf| &leaf.name);
        needed == built.collect()
    }
}

impl Row {
    fn reached(&self, is_touched: &dyn Fn(u32) -> bool) -> Option<Reached<'_>> {
        let parts = || self.parts.iter();
        let touched: Vec<usize> = (0..)
            .zip(parts())
            .filter(|(_, part)| part.material.is_some_and(is_touched))
            .map(|(number, _)| number)
            .collect();
        let is_unknown = parts().any(|part| part.fails)
            || self.written_by.iter().any(|made_of| is_touched(*made_of))
            || touched
                .iter()
                .any(|number| self.parts[*number].holds_sources);
        if touched.is_empty() && !is_unknown {
            return None;
        }
        let needed = match is_unknown {
            true => vec![true; self.parts.len()],
            false => self.needed(&touched),
        };
        Some(Reached {
            row: self,
            touched,
            needed,
            is_unknown,
        })
    }

    /// What is touched with all that it brings, what others may look at, and what leads to these.
    fn needed(&self, touched: &[usize]) -> Vec<bool> {
        let mut below: Vec<bool> = Vec::with_capacity(self.parts.len());
        for (number, part) in self.parts.iter().enumerate() {
            let is_below = part.parent.is_some_and(|parent| below[parent]);
            below.push(is_below || touched.contains(&number));
        }
        let mut needed = below;
        for (number, part) in self.parts.iter().enumerate().rev() {
            needed[number] |= part.holds_secrets || part.holds_sources;
            if let Some(parent) = part.parent
                && needed[number]
            {
                needed[parent] = true;
            }
        }
        needed
    }
}

/// An index in the making.
struct Indexing<'g> {
    graph: &'g Graph,
    tree: &'g dyn Tree,
    marker: &'g Marker,
    paths: Vec<String>,
    /// By where they lie in memory: what several are made of is noted once.
    known: HashMap<*const Reads, u32>,
    materials: Vec<Material>,
    /// The numbers of twins, by what makes them such.
    twins: HashMap<ObjectHash, u32>,
    siblings: HashMap<ObjectHash, u32>,
    layers: Vec<Layer>,
}

impl<'g> Indexing<'g> {
    fn new(graph: &'g Graph, tree: &'g dyn Tree, marker: &'g Marker) -> Self {
        let composed = graph.composer.all();
        let reads = composed.iter().map(|composed| &composed.reads.paths);
        let paths: BTreeSet<&String> = reads.flat_map(|paths| paths.keys()).collect();
        Self {
            graph,
            tree,
            marker,
            paths: paths.into_iter().cloned().collect(),
            known: HashMap::new(),
            materials: Vec::new(),
            twins: HashMap::new(),
            siblings: HashMap::new(),
            layers: Vec::new(),
        }
    }

    fn index(mut self) -> Index {
        let mut entries: BTreeMap<(Kind, &str), Vec<&'g Environment>> = BTreeMap::new();
        for environment in &self.graph.environments {
            let key = (environment.kind, environment.path.as_str());
            entries.entry(key).or_default().push(environment);
        }
        let rows = entries.into_iter();
        let entries = rows.map(|((kind, path), environments)| self.row(kind, path, &environments));
        let entries = entries.collect();
        Index {
            entries,
            environments: self.graph.environments.len(),
            paths: self.paths,
            materials: self.materials,
            layers: self.layers,
        }
    }

    fn row(&mut self, kind: Kind, path: &str, environments: &[&'g Environment]) -> Row {
        let mut leaves: Vec<&'g Leaf> = Vec::new();
        let mut named = Vec::new();
        for environment in environments {
            let mut parts = Vec::new();
            for leaf in &environment.leaves {
                let known = leaves.iter().position(|other| other.name == leaf.name);
                parts.push(known.unwrap_or(leaves.len()));
                if known.is_none() {
                    leaves.push(leaf);
                }
            }
            named.push(Named {
                name: environment.name.clone(),
                parts,
            });
        }
        let written = written(self.graph, &leaves);
        Row {
            kind,
            path: path.to_owned(),
            written_by: self.written_by(written.as_ref()),
            written,
            environments: named,
            parts: leaves.iter().map(|leaf| self.part(leaf, &leaves)).collect(),
        }
    }

    fn written_by(&mut self, written: Option<&Written>) -> Vec<u32> {
        let builders = written.into_iter().flat_map(|written| &written.builders);
        let composer = &self.graph.composer;
        let made_of = builders.filter_map(|folder| composer.made_of(&spec_of_folder(folder)));
        let made_of: Vec<Arc<Composed>> = made_of.collect();
        let reads = made_of.iter().map(|composed| &composed.reads);
        reads.map(|reads| self.note(reads)).collect()
    }

    fn part(&mut self, leaf: &'g Leaf, all: &[&Leaf]) -> Part {
        let parent = leaf.parent.as_ref();
        let reads = leaf.built().map(|built| &built.composed.reads);
        let (twins, siblings) = self.alike(leaf).unwrap_or_default();
        Part {
            name: leaf.name.clone(),
            path: leaf.path.clone(),
            parent: parent.and_then(|parent| all.iter().position(|other| other.name == *parent)),
            material: reads.map(|reads| self.material(reads)),
            twins,
            siblings,
            fails: matches!(leaf.outcome, Outcome::Failed(_)),
            holds_secrets: holds_secrets(leaf, self.marker),
            holds_sources: leaf.objects().iter().any(|object| is_source(&object.id)),
        }
    }

    fn material(&mut self, reads: &'g Reads) -> u32 {
        if let Some(number) = self.known.get(&std::ptr::from_ref(reads)) {
            return *number;
        }
        let number = self.note(reads);
        self.known.insert(reads, number);
        number
    }

    fn note(&mut self, reads: &Reads) -> u32 {
        let paths = reads.paths.keys();
        let number = |path: &String| self.paths.binary_search(path).ok();
        let numbers = paths.filter_map(|path| u32::try_from(number(path)?).ok());
        self.materials.push(Material {
            reads: numbers.collect(),
            stages: stages_of(reads),
        });
        count(self.materials.len() - 1)
    }

    /// The numbers of its twins and siblings.
    fn alike(&mut self, leaf: &'g Leaf) -> Option<(Option<u32>, Option<u32>)> {
        let built = leaf.built()?;
        let composed = &built.composed.build.objects;
        let ids = built.objects.iter().map(|object| &object.id);
        let is_light = |variables: &Variables| built.steps <= variables.steps / 2;
        if !ids.eq(composed.iter().map(|object| &object.id))
            || !leaf.variables.as_ref().is_none_or(is_light)
        {
            return None;
        }
        let reads = &built.composed.reads;
        let next = count(self.twins.len());
        let twins = likeness(leaf, reads, &OwnFiles::new())?;
        let twins = *self.twins.entry(twins).or_insert(next);
        Some((Some(twins), self.siblings(leaf, reads)))
    }

    fn siblings(&mut self, leaf: &Leaf, reads: &Reads) -> Option<u32> {
        if !leaf.spec.components.is_empty() {
            return None;
        }
        let (layer, files) = layer(self.tree, &self.graph.folders, &leaf.path)?;
        if files.is_empty() {
            return None;
        }
        let next = count(self.layers.len());
        let siblings = likeness(leaf, reads, &files)?;
        let number = *self.siblings.entry(siblings).or_insert(next);
        if number == next {
            self.layers.push(layer);
        }
        Some(number)
    }
}

/// What those that are alike have in common: the name, all of the spec but the folder, and what was found at each path,
/// wherever the folder itself lies beside others. Of some files only whose objects they write.
fn likeness(leaf: &Leaf, reads: &Reads, own_files: &OwnFiles) -> Option<ObjectHash> {
    let spec = KustomizationSpec {
        path: None,
        ..leaf.spec.clone()
    };
    let (beside, _) = leaf.path.rsplit_once('/').unwrap_or_default();
    let mut text =
        serde_json::to_vec(&(&leaf.name.namespace, &leaf.name.name, beside, spec)).ok()?;
    for (path, read) in &reads.paths {
        let own = path.strip_prefix(leaf.path.as_str());
        let own = own.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let (mark, rest) = own.map_or((0, path.as_str()), |rest| (1, rest));
        text.push(mark);
        text.extend_from_slice(rest.as_bytes());
        let written = own_files.get(path);
        let written = written.map(serde_json::to_vec).transpose().ok()?;
        let (kind, content): (u8, &[u8]) = match (read, &written) {
            (Read::File(_), Some(written)) => (6, written),
            (Read::File(id), None) => (2, &id.0),
            (Read::Folder(id), _) => (3, &id.0),
            (Read::Link(id), _) => (4, &id.0),
            (Read::Absent, _) => (5, &[]),
        };
        text.push(kind);
        text.extend_from_slice(content);
    }
    Some(ObjectHash::of("likeness", &text))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where the entry among some Kustomizations is written. One that is a folder has a path alone, and no name.
fn written(graph: &Graph, leaves: &[&Leaf]) -> Option<Written> {
    let entry = leaves.iter().find(|leaf| leaf.parent.is_none())?;
    let place = entry.place.as_ref()?;
    let folder = place.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let builders = match graph.folders.stays_as_written(folder) {
        true => Vec::new(),
        false => graph.folders.tops(folder),
    };
    Some(Written {
        file: place.file.to_string(),
        builders: builders.into_iter().map(str::to_owned).collect(),
    })
}

/// Whether values or names are in it that may not be shown. A value that is not known is none.
fn holds_secrets(leaf: &Leaf, marker: &Marker) -> bool {
    !secrets_in(leaf.objects(), marker).is_empty()
        || !SecretNames::of(leaf.objects(), marker).is_empty()
}

/// An environment that lies under `envs/` and is called after its cluster's path shares that folder with another one.
fn is_named_by_itself(environment: &Environment) -> bool {
    let mut leaves = environment.leaves.iter();
    environment.kind != Kind::Cluster
        || !is_by_path(environment)
        || !leaves.any(|leaf| is_environment(leaf))
}
