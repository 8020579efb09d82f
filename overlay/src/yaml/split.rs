//! Cutting a file into documents where kustomize cuts it: at lines that begin with `---`, before any YAML is parsed.

use memchr::{memchr, memchr_iter, memmem};

/// One document's text and the line of the file that it begins on, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The text, without the separators.
    pub(super) text: &'a str,
    /// How many lines of the file stand before it.
    pub(super) lines_before: u32,
}

/// A separator with something behind it that is no comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadSeparator {
    /// Line, from 1.
    pub(super) line: u32,
    /// The line's text.
    pub(super) text: String,
}

/// Cuts a text without carriage returns into documents, at most so many; empty ones are kept.
pub(super) fn split_documents(text: &str, most: usize) -> Result<Vec<Piece<'_>>, BadSeparator> {
    let mut pieces = Vec::new();
    let (mut start, mut lines_before, mut search) = (0, 0, 0);
    while pieces.len() < most
        && let Some(found) = memmem::find(&text.as_bytes()[search..], b"\n---")
    {
        let newline = search + found;
        let Some(length) = memchr(b'\n', &text.as_bytes()[newline + 1..]) else {
            break;
        };
        let separator = &text[newline + 1..newline + 1 + length];
        let line = lines_before + count_lines(&text[start..=newline]);
        check_separator(separator, line + 1)?;
        pieces.push(Piece {
            text: &text[start..=newline],
            lines_before,
        });
        start = newline + 1 + length + 1;
        search = start;
        lines_before = line + 1;
    }
    if pieces.len() < most {
        pieces.push(Piece {
            text: &text[start..],
            lines_before,
        });
    }
    Ok(pieces)
}

fn check_separator(separator: &str, line: u32) -> Result<(), BadSeparator> {
    let behind = separator[3..].trim();
    if behind.is_empty() || behind.starts_with('#') {
        Ok(())
    } else {
        Err(BadSeparator {
            line,
            text: separator.trim().to_owned(),
        })
    }
}

fn count_lines(text: &str) -> u32 {
    memchr_iter(b'\n', text.as_bytes()).count() as u32
}
