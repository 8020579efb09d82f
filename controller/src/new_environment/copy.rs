//! The model's files under the new name. Encrypted ones are set aside.

use overlay::path::join;
use overlay::{EntryKind, Tree, TreeError};
use sops::Format;

use super::documents;
use super::listing;
use super::platform::Written;
use super::renamed::renamed;
use super::{DraftError, Request};
use crate::promotion::overlaid::Changes;

/// What was copied.
pub(super) struct Copied {
    pub(super) changes: Changes,
    /// Files that nobody can read without a key.
    pub(super) sealed: Vec<Sealed>,
}

/// An encrypted file of the model, and where its like goes.
pub(super) struct Sealed {
    pub(super) from: String,
    pub(super) to: String,
}

/// Copies the model's folders. Paths that lead to them, and its name, become the new ones. What of a cluster's files
/// brings other environments is left out.
pub(super) fn copied(tree: &dyn Tree, request: &Request<'_>) -> Result<Copied, DraftError> {
    let mut copied = Copied {
        changes: Changes::new(),
        sealed: Vec::new(),
    };
    let platform = request.places.platform.as_ref();
    let others = platform.map_or(&[][..], |platform| &platform.others);
    for (from, to) in &request.places.pairs {
        let mut emptied = Vec::new();
        for file in files_below(tree, from)? {
            let rest = file[from.len()..].trim_start_matches('/');
            let target = join(to, rest);
            let bytes = tree.read(&file)?;
            let format = Format::of_name(&file).or_else(|| Format::of_content(&bytes));
            match format.is_some_and(|format| sops::is_encrypted(&bytes, format)) {
                true => copied.sealed.push(Sealed {
                    from: file,
                    to: target,
                }),
                false => match text_of(&bytes, &file, others) {
                    Some(Ok(text)) => {
                        let text = renamed(tree, request, &file, &text)?;
                        copied.changes.insert(target, Some(text.into_bytes()));
                    }
                    Some(Err(bytes)) => drop(copied.changes.insert(target, Some(bytes))),
                    None => emptied.push(target),
                },
            }
        }
        for file in emptied {
            listing::remove(&mut copied.changes, &file);
        }
    }
    Ok(copied)
}

/// What is copied of a file: its text without the documents that bring others, or its bytes when it is no text; nothing
/// when it held such documents alone.
fn text_of(bytes: &[u8], file: &str, others: &[Written]) -> Option<Result<String, Vec<u8>>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Some(Err(bytes.to_vec()));
    };
    let lines: Vec<u32> = others
        .iter()
        .filter(|written| written.file == file)
        .map(|written| written.line)
        .collect();
    documents::without(text, &lines).map(Ok)
}

/// The regular files below a folder, in order.
pub(super) fn files_below(tree: &dyn Tree, folder: &str) -> Result<Vec<String>, TreeError> {
    let mut files = Vec::new();
    for entry in tree
        .list(folder)?
        .into_iter()
        .filter(|entry| entry.name != ".git")
    {
        let path = join(folder, &entry.name);
        match entry.kind {
            EntryKind::Folder => files.extend(files_below(tree, &path)?),
            EntryKind::File => files.push(path),
            EntryKind::Link | EntryKind::Submodule => {}
        }
    }
    Ok(files)
}
