//! Reading a file: its documents as nodes, or what is wrong with it and where.

use std::borrow::Cow;

use super::builder::Builder;
use super::granit::read_piece;
use super::limits::Limits;
use super::problem::{Problem, ProblemKind};
use super::split::split_documents;
use super::{Dialect, Node};

/// A file to read: its name in errors, its number in marks, the rules and the budgets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// Path from the root of the tree.
    pub path: &'a str,
    /// The number that the nodes' marks carry.
    pub file: u16,
    /// Which reader's rules apply.
    pub dialect: Dialect,
    /// How much the file may ask for.
    pub limits: Limits,
}

/// Reads all documents of a file that are not empty; one that is just `null` counts as empty.
pub fn read_source(bytes: &[u8], source: &Source<'_>) -> Result<Vec<Node>, crate::Error> {
    read(bytes, source).map_err(|problem| problem.into_error(source.path))
}

/// The same, with the problem as a value.
pub fn read(bytes: &[u8], source: &Source<'_>) -> Result<Vec<Node>, Problem> {
    let limits = source.limits;
    check_budget(bytes.len(), limits.bytes, "bytes", 0)?;
    let text = to_text(bytes)?;
    let pieces =
        split_documents(&text).map_err(|bad| ProblemKind::Separator(bad.text).at(bad.line, 1))?;
    let mut builder = Builder::new(source.dialect, limits);
    let mut documents = Vec::new();
    for piece in &pieces {
        let found = read_piece(&mut builder, piece, source)?;
        documents.extend(found.filter(|node| !node.is_null()));
        check_budget(
            documents.len(),
            limits.documents,
            "documents",
            piece.lines_before,
        )?;
    }
    Ok(documents)
}

fn check_budget(have: usize, limit: usize, what: &'static str, line: u32) -> Result<(), Problem> {
    if have <= limit {
        return Ok(());
    }
    Err(ProblemKind::Budget { what, limit }.at(line, 0))
}

/// UTF-8, with line feeds only, as kustomize makes it before it looks for documents.
fn to_text(bytes: &[u8]) -> Result<Cow<'_, str>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ProblemKind::NotText.at(line as u32 + 1, 0)
    })?;
    if text.contains('\r') {
        Ok(Cow::Owned(text.replace("\r\n", "\n")))
    } else {
        Ok(Cow::Borrowed(text))
    }
}
