//! Which repository a command about environments reads: the files on disk, or a revision.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use overlay::Tree;
use overlay::yaml::{Dialect, Node, read_documents};

use super::Failure;
use crate::environments::Settings;
use crate::source::git_tree::GitTree;
use crate::source::revision::RevisionError;
use crate::source::subtree::Subtree;
use crate::source::{revision, work_tree};

/// Where a repository lies, and what its environments are built with.
#[derive(Clone, clap::Args)]
pub(super) struct Fleet {
    /// The folder that the paths of Kustomizations begin at; default the enclosing Git work tree.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The repository of the revisions, bare or not; `--root` is then relative to its root. Default the one around here.
    #[arg(long, value_name = "DIR")]
    git_dir: Option<PathBuf>,
    /// Variables that the repository does not hold: a YAML file of names and values; may be repeated.
    #[arg(long = "vars", value_name = "FILE")]
    variables: Vec<PathBuf>,
}

impl Fleet {
    /// What another command was told.
    pub(super) fn new(
        root: Option<PathBuf>,
        git_dir: Option<PathBuf>,
        variables: Vec<PathBuf>,
    ) -> Self {
        Self {
            root,
            git_dir,
            variables,
        }
    }

    /// A folder of the repository.
    pub(super) fn repository(&self) -> &Path {
        let named = self.git_dir.as_deref().or(self.root.as_deref());
        named.unwrap_or(Path::new("."))
    }

    /// The files of a revision, else those on disk.
    pub(super) fn open(&self, revision: Option<&str>) -> Result<Box<dyn Tree>, Failure> {
        let root = self.root.as_deref();
        match revision {
            Some(revision) => self.of_revision(revision),
            None if self.git_dir.is_some() => Err(Failure::with_hint(
                "`--git-dir` reads no files on disk",
                "name a revision of that repository",
            )),
            None => {
                let root = match root {
                    Some(root) => root.to_owned(),
                    None => enclosing()?,
                };
                let (tree, _) = work_tree::open(&root, Some(&root)).map_err(refused)?;
                Ok(Box::new(tree))
            }
        }
    }

    /// The files of a revision, and those of another one or on disk.
    pub(super) fn open_both(
        &self,
        from: &str,
        to: Option<&str>,
    ) -> Result<[Box<dyn Tree>; 2], Failure> {
        let Some(to) = to else {
            return Ok([self.open(Some(from))?, self.open(None)?]);
        };
        let folder = self.root.as_deref().unwrap_or(Path::new("."));
        let opened = revision::open_both(folder, [from, to], self.git_dir.as_deref());
        let (trees, path) = opened.map_err(unresolved)?;
        Ok(trees.map(|tree| self.below(tree, &path)))
    }

    /// The folder on disk whose files [`Fleet::open`] reads.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        match &self.root {
            Some(root) => Ok(root.clone()),
            None => enclosing(),
        }
    }

    fn of_revision(&self, revision: &str) -> Result<Box<dyn Tree>, Failure> {
        let folder = self.root.as_deref().unwrap_or(Path::new("."));
        let opened = revision::open(folder, revision, self.git_dir.as_deref());
        let (tree, path) = opened.map_err(unresolved)?;
        Ok(self.below(tree, &path))
    }

    /// What of a repository's files lies below the folder that was asked for.
    fn below(&self, tree: GitTree, path: &str) -> Box<dyn Tree> {
        match self.root {
            Some(_) => Box::new(Subtree::new(tree, path)),
            None => Box::new(tree),
        }
    }

    /// How environments are built.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let mut variables = BTreeMap::new();
        for file in &self.variables {
            variables.extend(read_variables(file)?);
        }
        Ok(Settings {
            variables,
            ..Settings::default()
        })
    }
}

/// The work tree around here; without one the whole disk would be searched.
fn enclosing() -> Result<PathBuf, Failure> {
    let found = work_tree::root_of(Path::new(".")).map_err(refused)?;
    found.ok_or_else(|| {
        Failure::with_hint(
            "this folder is in no Git work tree",
            "`--root` names the folder that the paths of Kustomizations begin at",
        )
    })
}

fn unresolved(error: RevisionError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

fn read_variables(file: &Path) -> Result<Vec<(String, String)>, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::io("reading", file, &error))?;
    let refused = |problem: &str| refused(format!("{}: {problem}", file.display()));
    let documents =
        read_documents(&bytes, 0, Dialect::Kustomize).map_err(|error| refused(&error.message))?;
    let mut variables = Vec::new();
    for document in &documents {
        let mapping = document
            .as_mapping()
            .ok_or_else(|| refused("variables are lines of `name: value`"))?;
        for (name, value) in mapping.iter() {
            let text = Node::as_str(value)
                .ok_or_else(|| refused(&format!("`{}` is no text", name.text)))?;
            variables.push((name.text.to_string(), text.to_owned()));
        }
    }
    Ok(variables)
}

/// A tree that could not be read.
pub(super) fn unreadable(error: overlay::TreeError) -> Failure {
    refused(error)
}
