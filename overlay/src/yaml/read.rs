//! Reading a file: its documents as nodes, or what is wrong with it and where.

use std::borrow::Cow;

use super::builder::Builder;
use super::limits::Limits;
use super::problem::{Problem, ProblemKind};
use super::split::{Piece, split_documents};
use super::{Dialect, Node, block, granit};

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
    /// Of keys that repeat, the last counts, as in Go's lenient readers; else they are refused.
    pub last_key_counts: bool,
}

/// Reads all documents of a file that are not empty; one that is just `null` counts as empty.
pub fn read_source(bytes: &[u8], source: &Source<'_>) -> Result<Vec<Node>, crate::Error> {
    read(bytes, source).map_err(|problem| problem.into_error(source.path))
}

/// The same, with the problem as a value.
pub fn read(bytes: &[u8], source: &Source<'_>) -> Result<Vec<Node>, Problem> {
    read_pieces(bytes, source, true)
}

/// The same by the slower reader alone, which the fast one is held to.
pub fn read_by_events(bytes: &[u8], source: &Source<'_>) -> Result<Vec<Node>, Problem> {
    read_pieces(bytes, source, false)
}

fn read_pieces(bytes: &[u8], source: &Source<'_>, is_fast: bool) -> Result<Vec<Node>, Problem> {
    let limits = source.limits;
    check_budget(bytes.len(), limits.bytes, "bytes", 0)?;
    let text = to_text(bytes)?;
    let is_fast = check_characters(&text)? && is_fast;
    let pieces = split_documents(&text, limits.documents + 1)
        .map_err(|bad| ProblemKind::Separator(bad.text).at(bad.line, 1))?;
    let last = pieces.last().map_or(0, |piece| piece.lines_before);
    check_budget(pieces.len(), limits.documents, "documents", last)?;
    let mut builder = Builder::new(source);
    let mut shared = block::Shared::default();
    let mut documents = Vec::new();
    for piece in &pieces {
        let found = read_document(&mut builder, &mut shared, piece, source, is_fast)?;
        documents.extend(found.filter(|node| !node.is_null()));
    }
    Ok(documents)
}

fn read_document(
    builder: &mut Builder,
    shared: &mut block::Shared,
    piece: &Piece<'_>,
    source: &Source<'_>,
    is_fast: bool,
) -> Result<Option<Node>, Problem> {
    if !is_fast {
        return granit::read_piece(builder, piece, source);
    }
    match block::read_piece(shared, piece, source, builder.nodes_left()) {
        block::Outcome::Document { node, nodes } => {
            builder.count_nodes(nodes);
            Ok(node)
        }
        block::Outcome::TooManyNodes(mark) => Err(source.limits.too_many_nodes(mark)),
        block::Outcome::GivenBack => granit::read_piece(builder, piece, source),
    }
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

/// Refuses what go-yaml refuses in a file. True when there is nothing in it that YAML's versions see differently.
fn check_characters(text: &str) -> Result<bool, Problem> {
    let mut is_common = true;
    for (index, chunk) in text.as_bytes().chunks(CHUNK).enumerate() {
        if chunk.iter().fold(false, |odd, byte| odd | is_odd(*byte)) {
            let start = (index * CHUNK..)
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            let end = (start + CHUNK..).find(|at| *at >= text.len() || text.is_char_boundary(*at));
            let part = text
                .get(start..end.unwrap_or(0).min(text.len()))
                .unwrap_or_default();
            is_common &= check_part(text, start, part)?;
        }
    }
    Ok(is_common)
}

const CHUNK: usize = 64;

fn is_odd(byte: u8) -> bool {
    byte >= 0x7f || (byte < b' ' && byte != b'\n')
}

fn check_part(text: &str, start: usize, part: &str) -> Result<bool, Problem> {
    let mut is_common = true;
    for (offset, char) in part.char_indices() {
        if is_refused(char) {
            let line = text[..start + offset]
                .bytes()
                .filter(|byte| *byte == b'\n')
                .count();
            return Err(ProblemKind::Control(u32::from(char)).at(line as u32 + 1, 0));
        }
        is_common &= !matches!(char, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    }
    Ok(is_common)
}

/// Control characters, and what is no character at all.
fn is_refused(char: char) -> bool {
    match char {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        char => char.is_control(),
    }
}

/// What an escape may not bring into a string: kustomize could not read its own JSON again.
pub(super) fn is_unreadable(char: char) -> bool {
    char >= '\u{7f}' && is_refused(char)
}
