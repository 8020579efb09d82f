//! The paths in which two trees differ.

use std::collections::{BTreeMap, BTreeSet};

use overlay::build::Reads;
use overlay::path::join;
use overlay::{EntryKind, Tree, TreeError};

/// Paths that hold something else in one tree than in the other, the folders above them included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The paths, sorted.
    pub paths: BTreeSet<String>,
    /// Those of them that are files or links in one of the trees.
    pub files: BTreeSet<String>,
}

impl Changed {
    /// The changed paths among those that a build looked at, files before folders.
    pub fn among<'a>(&'a self, reads: &'a Reads) -> impl Iterator<Item = &'a str> {
        let is_read = |path: &&String| reads.paths.contains_key(path.as_str());
        self.paths.iter().filter(is_read).map(String::as_str)
    }

    /// Whether a build that looked at these paths would find the same again.
    pub fn leaves(&self, reads: &Reads) -> bool {
        self.among(reads).next().is_none()
    }

    fn note(&mut self, path: &str, is_file: bool) {
        self.paths.insert(path.to_owned());
        if is_file {
            self.files.insert(path.to_owned());
        }
    }
}

/// Compares two trees; folders of the same id are not entered.
pub fn changed(from: &dyn Tree, to: &dyn Tree) -> Result<Changed, TreeError> {
    let mut changed = Changed::default();
    compare(from, to, "", &mut changed)?;
    Ok(changed)
}

fn compare(
    from: &dyn Tree,
    to: &dyn Tree,
    path: &str,
    changed: &mut Changed,
) -> Result<(), TreeError> {
    if from.id(path)? == to.id(path)? && from.kind(path)? == to.kind(path)? {
        return Ok(());
    }
    let kinds = [from.kind(path)?, to.kind(path)?];
    let is_file = |kind: &Option<EntryKind>| kind.is_some_and(|kind| kind != EntryKind::Folder);
    changed.note(path, kinds.iter().any(is_file));
    let mut names = BTreeMap::new();
    for tree in [from, to] {
        for name in names_in(tree, path)? {
            names.insert(name, ());
        }
    }
    for name in names.keys() {
        compare(from, to, &join(path, name), changed)?;
    }
    Ok(())
}

fn names_in(tree: &dyn Tree, path: &str) -> Result<Vec<String>, TreeError> {
    if tree.kind(path)? != Some(EntryKind::Folder) {
        return Ok(Vec::new());
    }
    let entries = tree.list(path)?;
    Ok(entries
        .into_iter()
        .filter(|entry| entry.name != ".git")
        .map(|entry| entry.name)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::MemTree;

    #[test]
    fn only_what_differs_is_named_with_the_folders_above() {
        let mut from = MemTree::new();
        for path in ["a/one.yaml", "a/two.yaml", "b/c/three.yaml", "d/four.yaml"] {
            from.insert(path, path.as_bytes());
        }
        let mut to = from.clone();
        to.insert("a/two.yaml", *b"new");
        to.remove("d/four.yaml");
        to.insert("d", *b"a file now");
        let changed = changed(&from, &to).expect("trees in memory can be read");
        let paths: Vec<&str> = changed.paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["", "a", "a/two.yaml", "d", "d/four.yaml"]);
        let files: Vec<&str> = changed.files.iter().map(String::as_str).collect();
        assert_eq!(files, ["a/two.yaml", "d", "d/four.yaml"]);
    }
}
