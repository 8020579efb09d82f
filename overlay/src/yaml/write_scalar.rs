//! The style and the bytes of one text scalar, as go-yaml v2's emitter chooses and writes them.

use super::block::push_fold;
use super::escape::{is_escaped, write_escaped};
use super::resolve::stays_text;
use super::scalar_shape::{Classes, Shape, is_break};
use super::write::push_blanks;

/// A line break of YAML 1.1 that JSON does not escape.
const NEXT_LINE: char = '\u{85}';

/// Lines are folded at the first space behind this column.
const WIDTH: usize = 80;

/// What the scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// A simple key: one line, never folded.
    Key,
    /// A value, whose continuation lines are indented so far.
    Value {
        /// Spaces in front of continuation lines.
        indent: usize,
    },
}

/// Appends a value.
pub(super) fn write_text(out: &mut String, text: &str, context: Context) {
    if !text.is_ascii() && text.contains(NEXT_LINE) {
        write_string(out, &fold_next_lines(text), context);
    } else {
        write_string(out, text, context);
    }
}

/// Appends a key or a value.
pub(super) fn write_string(out: &mut String, text: &str, context: Context) {
    let classes = Classes::of(text);
    let shape = Shape::of(text, classes);
    if classes.has_line_feed() {
        match context {
            Context::Value { indent } if shape.literal => write_literal(out, text, indent),
            _ => write_double(out, text, context),
        }
    } else if !stays_text(text) || !shape.single {
        write_double(out, text, context);
    } else if !shape.plain {
        write_single(out, text, context);
    } else if classes.has_space() {
        write_folded(out, text, context);
    } else {
        out.push_str(text);
    }
}

/// What is left of the old line break U+0085: kustomize's trip through JSON text folds it like any other.
fn fold_next_lines(text: &str) -> String {
    let mut lines = text
        .split(NEXT_LINE)
        .map(|line| line.trim_matches([' ', '\t']));
    let mut out = lines.next().unwrap_or_default().to_owned();
    let mut breaks = 0;
    for line in lines {
        breaks += 1;
        if !line.is_empty() {
            push_fold(&mut out, breaks - 1);
            out.push_str(line);
            breaks = 0;
        }
    }
    if breaks > 0 {
        push_fold(&mut out, breaks - 1);
    }
    out
}

/// How many characters stand on the last line.
fn column(out: &str) -> usize {
    let start = out.rfind('\n').map_or(0, |index| index + 1);
    out[start..].chars().count()
}

fn new_line(out: &mut String, indent: usize) {
    out.push('\n');
    push_blanks(out, indent);
}

/// Appends a plain scalar, broken at single spaces behind the width.
fn write_folded(out: &mut String, text: &str, context: Context) {
    let at = column(out);
    if context == Context::Key || at + text.len() <= WIDTH {
        out.push_str(text);
        return;
    }
    let mut fold = Fold::new(out, context);
    for (index, char) in text.char_indices() {
        let next = text.as_bytes().get(index + 1);
        if char == ' ' && fold.may_break() && next != Some(&b' ') {
            fold.break_line(out);
        } else {
            fold.push(out, char);
        }
    }
}

fn write_single(out: &mut String, text: &str, context: Context) {
    let mut fold = Fold::new(out, context);
    fold.push(out, '\'');
    let mut after_break = false;
    for (index, char) in text.char_indices() {
        let next = text.as_bytes().get(index + 1);
        let inside = index > 0 && next.is_some_and(|byte| *byte != b' ');
        if char == ' ' && fold.may_break() && inside {
            fold.break_line(out);
        } else if is_break(char) {
            out.push(char);
            fold.column = 0;
            after_break = true;
            continue;
        } else {
            if after_break {
                fold.indent_line(out);
            }
            if char == '\'' {
                fold.push(out, '\'');
            }
            fold.push(out, char);
        }
        after_break = false;
    }
    out.push('\'');
}

/// Where a scalar stands while it is written.
struct Fold {
    /// Spaces in front of continuation lines.
    indent: usize,
    column: usize,
    after_space: bool,
    /// Keys are not folded.
    is_key: bool,
}

impl Fold {
    fn new(out: &str, context: Context) -> Self {
        let indent = match context {
            Context::Key => 0,
            Context::Value { indent } => indent,
        };
        let is_key = context == Context::Key;
        Self {
            indent,
            column: column(out),
            after_space: false,
            is_key,
        }
    }

    fn may_break(&self) -> bool {
        !self.is_key && !self.after_space && self.column > WIDTH
    }

    fn break_line(&mut self, out: &mut String) {
        new_line(out, self.indent);
        self.column = self.indent;
        self.after_space = true;
    }

    fn indent_line(&mut self, out: &mut String) {
        push_blanks(out, self.indent.saturating_sub(self.column));
        self.column = self.column.max(self.indent);
    }

    fn push(&mut self, out: &mut String, char: char) {
        out.push(char);
        self.column += 1;
        self.after_space = char == ' ';
    }
}

fn write_double(out: &mut String, text: &str, context: Context) {
    let mut fold = Fold::new(out, context);
    // go-yaml looks for the mark at the start of the whole text, not at the character, and then escapes all of it.
    let escape_all = text.starts_with('\u{feff}');
    fold.push(out, '"');
    for (index, char) in text.char_indices() {
        let next = text.as_bytes().get(index + 1);
        if escape_all || is_escaped(char) {
            fold.column += write_escaped(out, char);
            fold.after_space = false;
        } else if char == ' ' && fold.may_break() && index > 0 && next.is_some() {
            fold.break_line(out);
            if next == Some(&b' ') {
                fold.push(out, '\\');
            }
            fold.after_space = true;
        } else {
            fold.push(out, char);
        }
    }
    out.push('"');
}

/// Appends `|` with its hints and the lines as they are.
fn write_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
        out.push('2');
    }
    let mut from_end = text.chars().rev();
    match (from_end.next().is_some_and(is_break), from_end.next()) {
        (false, _) => out.push('-'),
        (true, None) => out.push('+'),
        (true, Some(char)) if is_break(char) => out.push('+'),
        (true, Some(_)) => {}
    }
    out.push('\n');
    write_lines(out, text, indent);
}

fn write_lines(out: &mut String, text: &str, indent: usize) {
    for line in text.split_inclusive(['\n', '\u{2028}', '\u{2029}']) {
        if !line.starts_with(['\n', '\u{2028}', '\u{2029}']) {
            push_blanks(out, indent);
        }
        out.push_str(line);
    }
}
