//! Rule: a file of manifests that no environment is made of and no kustomization names, or a folder of them.

use std::collections::BTreeSet;

use overlay::build::Read;
use overlay::path::{clean, is_within};
use overlay::yaml::{Node, Value};
use overlay::{Place, TreeError};

use super::files::File;
use super::{Finding, Site};
use crate::environments::Outcome;
use crate::promotion::policy;

/// What stands beside manifests and is often meant to be taken in.
const ENDINGS: [&str; 6] = [".yaml", ".yml", ".env", ".properties", ".encrypted", ".enc"];

/// Looks for what is left over.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let used = Used::of(site);
    let folders = site
        .graph
        .folders
        .roots()
        .filter(|folder| !used.has_folder(site, folder));
    let folders: BTreeSet<&str> = folders.collect();
    let mut found: Vec<Finding> = folders
        .iter()
        .map(|folder| unused_folder(site, folder))
        .collect();
    for file in &site.files {
        if !used.has(file) && is_meant(site, file) {
            found.push(unused_file(site, file));
        }
    }
    Ok(found)
}

/// What something is made of, or may be.
struct Used {
    /// Files that went into a build.
    read: BTreeSet<String>,
    /// Paths that a kustomization names, whether anything is made of that or not.
    named: BTreeSet<String>,
    /// Folders of which nobody knows: their build fails.
    failed: Vec<String>,
}

impl Used {
    fn of(site: &Site<'_>) -> Self {
        let (mut read, mut failed) = (BTreeSet::new(), Vec::new());
        for (_, leaf) in site.leaves() {
            match &leaf.outcome {
                Outcome::Built(built) => {
                    let reads = built.composed.reads.paths.iter();
                    let files =
                        reads.filter(|(_, read)| matches!(read, Read::File(_) | Read::Link(_)));
                    read.extend(files.map(|(path, _)| path.clone()));
                }
                Outcome::Failed(_) => {
                    let folders = site.graph.folders.closure(&leaf.path);
                    failed.extend(folders.into_iter().map(str::to_owned));
                    failed.push(leaf.path.clone());
                }
                Outcome::External(_) => {}
            }
        }
        Self {
            read,
            named: named(site),
            failed,
        }
    }

    fn has(&self, file: &File) -> bool {
        self.read.contains(&file.path)
            || self.named.contains(&file.path)
            || file.is_kustomization()
            || self
                .failed
                .iter()
                .any(|folder| is_within(&file.path, folder))
    }

    fn has_folder(&self, site: &Site<'_>, folder: &str) -> bool {
        let file = site.kustomization_file(folder);
        self.read.contains(file) || self.failed.iter().any(|failed| failed == folder)
    }
}

/// Everything that a kustomization file says and that may be a path.
fn named(site: &Site<'_>) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for file in site.files.iter().filter(|file| file.is_kustomization()) {
        let mut texts = Vec::new();
        file.documents
            .iter()
            .for_each(|document| collect(document, &mut texts));
        for text in texts {
            let behind = text.split_once('=').map(|(_, path)| path);
            let paths = [Some(text), behind].into_iter().flatten();
            named.extend(paths.filter_map(|path| clean(file.folder(), path)));
        }
    }
    named
}

fn collect<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.value {
        Value::Scalar(scalar) => texts.push(&scalar.text),
        Value::Secret(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Mapping(mapping) => mapping.iter().for_each(|(_, value)| collect(value, texts)),
    }
}

/// Whether a file that nothing is made of was meant for that: objects anywhere, and what lies beside a kustomization.
fn is_meant(site: &Site<'_>, file: &File) -> bool {
    let is_input = ENDINGS.iter().any(|ending| file.name().ends_with(ending));
    let beside = site.graph.folders.by_path.contains_key(file.folder());
    let is_policy = file.path == policy::FILE;
    (file.holds_manifests() || (is_input && beside) || file.is_encrypted) && !is_policy
}

fn unused_file(site: &Site<'_>, file: &File) -> Finding {
    let hint = match site.graph.folders.by_path.get(file.folder()) {
        Some(folder) => format!("add it to the resources of {}, or remove it", folder.file),
        None => "name it in the resources of a kustomization, or remove it".to_owned(),
    };
    let message = "no environment is made of this file, and no kustomization names it".to_owned();
    Finding::new(Place::file(&file.path), message).hint(hint)
}

fn unused_folder(site: &Site<'_>, folder: &str) -> Finding {
    let message =
        "no environment is made of this folder, and no kustomization includes it".to_owned();
    Finding::new(Place::file(site.kustomization_file(folder)), message)
        .hint("let a Kustomization build it or another folder include it, or remove it")
}
