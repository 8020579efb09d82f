//! Environments out of entries: one for each folder under `envs/` that an entry reaches, named after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::build::Read;
use overlay::path::join;

use super::entries::{Entry, LAYERS, topmost};
use super::folders::{Folders, is_below};
use super::walk::{Instead, Walked, walk};
use super::{Environment, Kind, Leaf, LeafName, Outcome, Site, parallel};

/// Where environments lie.
const ENVIRONMENTS: &str = "envs";

/// Between the path of an entry and a folder in the name of an environment.
const BEHIND: char = ':';

/// All environments, by name, and what was noticed on the way.
pub(super) struct Named {
    pub(super) environments: Vec<Environment>,
    pub(super) warnings: Vec<String>,
}

/// Names what was found below the entries, and adds the folders that none of it reaches.
pub(super) fn environments(
    site: &Site<'_>,
    folders: &Folders,
    entries: &[Entry],
    walked: Vec<Walked>,
) -> Named {
    let mut named = Named {
        environments: Vec::new(),
        warnings: Vec::new(),
    };
    let reached = reached(folders, &walked);
    for (entry, walked) in entries.iter().zip(walked) {
        named
            .environments
            .extend(of_entry(folders, entry, &walked.leaves));
        let at = |warning: &String| format!("{}: {warning}", shown(&entry.path));
        named.warnings.extend(walked.warnings.iter().map(at));
    }
    settle_names(&mut named.environments);
    if entries.iter().any(|entry| entry.kind == Kind::Cluster) {
        let unreached = unreached(site, folders, &reached);
        named.environments.extend(unreached);
    }
    named
        .environments
        .sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    named
}

/// The root of a tree has no name of its own.
fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// The environments of one entry.
fn of_entry(all: &Folders, entry: &Entry, leaves: &[Arc<Leaf>]) -> Vec<Environment> {
    let environment = |name: &str, leaves: Vec<Arc<Leaf>>| Environment {
        name: name.to_owned(),
        kind: entry.kind,
        path: entry.path.clone(),
        leaves,
    };
    let mut paths: Vec<&str> = leaves
        .iter()
        .filter(|leaf| is_environment(leaf))
        .map(|leaf| leaf.path.as_str())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let folders = topmost(paths);
    if folders.is_empty() {
        let name = one_included(all, leaves).unwrap_or(shown(&entry.path).to_owned());
        return vec![environment(&name, leaves.to_vec())];
    }
    let of_folder = |folder: &&str| {
        let others = folders.iter().filter(|other| *other != folder);
        let others: Vec<&str> = others.copied().collect();
        environment(short(folder), without(leaves, &others))
    };
    folders.iter().map(of_folder).collect()
}

/// Whether a leaf is a folder under `envs/`. One that does not build is called by it all the same.
pub(super) fn is_environment(leaf: &Leaf) -> bool {
    !matches!(leaf.outcome, Outcome::External(_)) && is_below(ENVIRONMENTS, &leaf.path)
}

/// The leaves that build none of these folders and that no leaf that does brings.
fn without(leaves: &[Arc<Leaf>], folders: &[&str]) -> Vec<Arc<Leaf>> {
    let mut left_out: BTreeSet<&LeafName> = BTreeSet::new();
    let builds = |leaf: &Leaf| {
        let mut folders = folders.iter();
        folders.any(|folder| leaf.path == **folder || is_below(folder, &leaf.path))
    };
    let mut kept = Vec::new();
    for leaf in leaves {
        let is_below = leaf
            .parent
            .as_ref()
            .is_some_and(|parent| left_out.contains(parent));
        match is_below || builds(leaf) {
            true => drop(left_out.insert(&leaf.name)),
            false => kept.push(leaf.clone()),
        }
    }
    kept
}

/// The folders under `envs/` that a leaf has files of.
pub(super) fn included(leaf: &Leaf) -> BTreeSet<&str> {
    let reads = leaf.built().map(|built| &built.composed.reads.paths);
    let below = reads.map(|paths| paths.range(join(ENVIRONMENTS, "")..));
    let below = below.into_iter().flatten();
    below
        .take_while(|(path, _)| is_below(ENVIRONMENTS, path))
        .filter(|(_, read)| matches!(read, Read::File(_)))
        .filter_map(|(path, _)| Some(path.rsplit_once('/')?.0))
        .filter(|folder| *folder != ENVIRONMENTS)
        .collect()
}

/// The one folder under `envs/` that is included from elsewhere.
fn one_included(all: &Folders, leaves: &[Arc<Leaf>]) -> Option<String> {
    let mut folders: BTreeSet<&str> = leaves.iter().flat_map(|leaf| included(leaf)).collect();
    let written = leaves.iter().flat_map(|leaf| written(all, leaf));
    folders.extend(written.filter(|folder| is_below(ENVIRONMENTS, folder)));
    match topmost(folders.into_iter().collect()).as_slice() {
        [folder] => Some(short(folder).to_owned()),
        _ => None,
    }
}

/// The path below `envs/`.
fn short(folder: &str) -> &str {
    folder
        .strip_prefix(ENVIRONMENTS)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(folder)
}

/// Where two entries reach the same folder, each is named after its own path; where that holds for several folders of one
/// entry, after its path and the folder.
fn settle_names(environments: &mut [Environment]) {
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for environment in environments.iter() {
        *by_name.entry(environment.name.clone()).or_default() += 1;
    }
    let is_taken = |environment: &Environment| by_name[&environment.name] > 1;
    let mut by_path: BTreeMap<String, usize> = BTreeMap::new();
    for environment in environments.iter().filter(|it| is_taken(it)) {
        *by_path.entry(environment.path.clone()).or_default() += 1;
    }
    for environment in environments.iter_mut().filter(|it| is_taken(it)) {
        let path = shown(&environment.path);
        environment.name = match by_path[&environment.path] {
            1 => path.to_owned(),
            _ => format!("{path}{BEHIND}{}", environment.name),
        };
    }
}

/// Whether an environment is called by the path of its entry, as others may reach what it reaches.
pub(super) fn is_by_path(environment: &Environment) -> bool {
    let rest = environment.name.strip_prefix(shown(&environment.path));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(BEHIND))
}

/// The folder under `envs/` that the name of an environment holds, by itself or behind the path of its entry.
pub fn folder_in(name: &str) -> &str {
    name.rsplit_once(BEHIND).map_or(name, |(_, folder)| folder)
}

/// The folders that a leaf includes which does not build, as far as its kustomizations say.
fn written<'a>(all: &'a Folders, leaf: &'a Leaf) -> Vec<&'a str> {
    match leaf.outcome {
        Outcome::Failed(_) => all.closure(&leaf.path),
        Outcome::Built(_) | Outcome::External(_) => Vec::new(),
    }
}

/// All files and folders that builds looked at.
fn reached(folders: &Folders, walked: &[Walked]) -> BTreeSet<String> {
    let leaves = || walked.iter().flat_map(|walked| &walked.leaves);
    let mut seen = BTreeSet::new();
    let written = leaves().flat_map(|leaf| written(folders, leaf));
    let mut reached: BTreeSet<String> = written.map(str::to_owned).collect();
    for built in leaves().filter_map(|leaf| leaf.built()) {
        if seen.insert(Arc::as_ptr(&built.composed)) {
            let reads = built.composed.reads.paths.iter();
            let found = reads.filter(|(_, read)| **read != Read::Absent);
            let in_layers =
                found.filter(|(path, _)| LAYERS.iter().any(|layer| is_below(layer, path)));
            reached.extend(in_layers.map(|(path, _)| path.clone()));
        }
    }
    reached
}

/// Folders under `envs/` and `stages/` that no entry leads to, built as they lie.
fn unreached(site: &Site<'_>, folders: &Folders, reached: &BTreeSet<String>) -> Vec<Environment> {
    let is_reached = |folder: &str| {
        let mut from = reached.range(folder.to_owned()..);
        let mut next = from.by_ref().take_while(|path| path.starts_with(folder));
        next.any(|path| path == folder || is_below(folder, path))
    };
    let bare = folders.bare.iter().map(String::as_str);
    let mut paths: Vec<&str> = folders
        .roots()
        .chain(bare)
        .filter(|path| LAYERS.iter().any(|layer| is_below(layer, path)))
        .collect();
    paths.sort_unstable();
    let entries: Vec<Entry> = topmost(paths)
        .into_iter()
        .filter(|path| !is_reached(path))
        .map(|path| Entry::of_folder(Kind::Unreached, path))
        .collect();
    let walked = parallel::each(&entries, |entry| walk(site, entry, &Instead::default()));
    let environment = |(entry, walked): (&Entry, Walked)| Environment {
        name: short(&entry.path).to_owned(),
        kind: Kind::Unreached,
        path: entry.path.clone(),
        leaves: walked.leaves,
    };
    entries.iter().zip(walked).map(environment).collect()
}
