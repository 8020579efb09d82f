//! The files of a repository, those that hold documents read.

use std::collections::BTreeSet;
use std::sync::Arc;

use overlay::path::join;
use overlay::yaml::{Dialect, Mark, Node, read_documents};
use overlay::{EntryKind, Place, Tree, TreeError};
use sops::Format;

/// Larger files are no manifests.
const LARGEST: usize = 4 << 20;

/// Folders may lie this deep.
const DEPTH: usize = 64;

/// The names that a kustomization file may have.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A file of the repository.
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: Arc<[u8]>,
    /// SOPS encrypted it.
    pub(super) is_encrypted: bool,
    /// Its documents, when it holds such; a file that cannot be read holds none, which its build tells.
    pub(super) documents: Vec<Node>,
}

impl File {
    /// The folder that it lies in.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        overlay::path::base(&self.path)
    }

    /// Whether it says what its folder is made of.
    pub(super) fn is_kustomization(&self) -> bool {
        KUSTOMIZATION_FILES.contains(&self.name())
    }

    /// Whether a document of it is an object of Kubernetes.
    pub(super) fn holds_manifests(&self) -> bool {
        let is_manifest = |document: &Node| {
            document.get("kind").is_some() && document.get("apiVersion").is_some()
        };
        self.documents.iter().any(is_manifest)
    }

    /// A place in it.
    pub(super) fn place(&self, mark: Mark) -> Place {
        Place {
            file: self.path.as_str().into(),
            line: mark.line,
            column: mark.column.into(),
        }
    }
}

/// All files below the root; of those that are kept, when that is said. What begins with a dot belongs to tools: it is
/// looked at as text, and holds no documents.
pub(super) fn files(
    tree: &dyn Tree,
    kept: Option<&BTreeSet<String>>,
) -> Result<Vec<File>, TreeError> {
    let mut found = Vec::new();
    search(tree, "", 0, kept, &mut found)?;
    Ok(found)
}

fn search(
    tree: &dyn Tree,
    folder: &str,
    depth: usize,
    kept: Option<&BTreeSet<String>>,
    found: &mut Vec<File>,
) -> Result<(), TreeError> {
    if depth > DEPTH {
        return Ok(());
    }
    for entry in tree.list(folder)? {
        let path = join(folder, &entry.name);
        if entry.name == ".git" {
            continue;
        }
        match entry.kind {
            EntryKind::Folder => search(tree, &path, depth + 1, kept, found)?,
            EntryKind::File if kept.is_none_or(|kept| kept.contains(&path)) => {
                if let Some(bytes) = tree.read_within(&path, LARGEST)? {
                    found.push(file(path, bytes));
                }
            }
            EntryKind::File | EntryKind::Link | EntryKind::Submodule => {}
        }
    }
    Ok(())
}

fn file(path: String, bytes: Arc<[u8]>) -> File {
    let format = Format::of_name(&path).or_else(|| Format::of_content(&bytes));
    let is_encrypted = format.is_some_and(|format| sops::is_encrypted(&bytes, format));
    let is_text = matches!(format, Some(Format::Yaml | Format::Json))
        || KUSTOMIZATION_FILES.contains(&overlay::path::base(&path));
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    let documents = match is_text && !is_hidden {
        true => read_documents(&bytes, 0, Dialect::Kustomize).unwrap_or_default(),
        false => Vec::new(),
    };
    File {
        path,
        bytes,
        is_encrypted,
        documents,
    }
}
