//! Files that have another name in the source now: they take the target's edits along.

use overlay::{Tree, TreeError};

use super::base::Past;
use super::file::{Fate, Outcome, Versions, outcome};
use super::prepare::{FileChange, read};

/// Merges the text of a file's old name into that of its new one.
pub(super) fn follow_renames(tree: &dyn Tree, files: &mut [FileChange]) -> Result<(), TreeError> {
    let pairs: Vec<(usize, usize)> = renames(tree, files)?;
    for (old, new) in pairs {
        let target = read(tree, &files[old].target)?;
        let source = read(tree, &files[new].source)?;
        let versions = Versions {
            past: &files[old].past,
            source: source.as_deref(),
            target: target.as_deref(),
        };
        let merged = outcome(&files[new].target, versions, &files[old].rules);
        let bytes = match merged.fate {
            Fate::Written(bytes) => Some(bytes),
            _ => target.clone(),
        };
        files[new].outcome = Outcome {
            fate: bytes.map_or(Fate::Same, Fate::Written),
            findings: merged.findings,
        };
        files[old].outcome = Outcome {
            fate: Fate::Deleted,
            findings: Vec::new(),
        };
    }
    Ok(())
}

/// Files that went and files that came in the source, which are the same object or the same bytes.
fn renames(tree: &dyn Tree, files: &[FileChange]) -> Result<Vec<(usize, usize)>, TreeError> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (old, file) in files.iter().enumerate() {
        let Past::Was(base) = &file.past else {
            continue;
        };
        let is_gone = tree.kind(&file.source)?.is_none() && tree.kind(&file.target)?.is_some();
        if !is_gone || !file.rules.pins.is_empty() {
            continue;
        }
        for (new, other) in files.iter().enumerate() {
            let is_new = other.past == Past::Absent && tree.kind(&other.target)?.is_none();
            let bytes = read(tree, &other.source)?.filter(|_| is_new);
            let is_same = bytes.is_some_and(|bytes| bytes == *base || is_same_object(&bytes, base));
            if is_same && !found.iter().any(|(_, taken)| *taken == new) {
                found.push((old, new));
                break;
            }
        }
    }
    Ok(found)
}

fn is_same_object(one: &[u8], other: &[u8]) -> bool {
    let name = |bytes| {
        let documents = overlay::yaml::read_documents(bytes, 0, Default::default()).ok()?;
        let first = documents.first()?;
        let name = first.find_str(&["metadata", "name"])?;
        Some((first.find_str(&["kind"])?.to_owned(), name.to_owned()))
    };
    name(one).is_some_and(|one| name(other) == Some(one))
}
