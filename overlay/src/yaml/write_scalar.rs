//! The style and the bytes of one text scalar, as go-yaml v2's emitter chooses and writes them.

use super::resolve::stays_text;
use super::write::push_blanks;

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

impl Context {
    fn indent(self) -> Option<usize> {
        match self {
            Context::Key => None,
            Context::Value { indent } => Some(indent),
        }
    }
}

/// Appends a text scalar.
pub(super) fn write_string(out: &mut String, text: &str, context: Context) {
    let shape = Shape::of(text);
    if text.contains('\n') {
        match context {
            Context::Value { indent } if shape.literal => write_literal(out, text, indent),
            _ => write_double(out, text, context),
        }
    } else if !stays_text(text) || !shape.single {
        write_double(out, text, context);
    } else if shape.plain {
        write_folded(out, text, context);
    } else {
        write_single(out, text, context);
    }
}

/// Which styles can hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    plain: bool,
    single: bool,
    literal: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return Self {
                plain: true,
                single: true,
                literal: false,
            };
        };
        let breaks = Breaks::of(text);
        let special = text.chars().any(|char| !is_printable(char));
        Self {
            plain: !(special
                || breaks.any
                || first == b' '
                || last == b' '
                || has_indicators(bytes)),
            single: !(special || breaks.then_space || breaks.after_space),
            literal: !(special || last == b' ' || breaks.after_space),
        }
    }
}

/// Line breaks in a text, and what stands next to them.
#[derive(Clone, Copy, Debug, Default)]
struct Breaks {
    any: bool,
    then_space: bool,
    after_space: bool,
}

impl Breaks {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut previous = '\0';
        for char in text.chars() {
            found.any |= is_break(char);
            found.then_space |= is_break(previous) && char == ' ';
            found.after_space |= previous == ' ' && is_break(char);
            previous = char;
        }
        found
    }
}

/// True when a plain scalar would be read as something else: indicators, `: `, ` #`, document marks.
fn has_indicators(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"---") || bytes.starts_with(b"...") || starts_with_indicator(bytes) {
        return true;
    }
    let is_end = |index: usize| matches!(bytes.get(index), None | Some(b' ' | b'\t'));
    (1..bytes.len()).any(|index| match bytes[index] {
        b':' => is_end(index + 1),
        b'#' => matches!(bytes[index - 1], b' ' | b'\t'),
        _ => false,
    })
}

fn starts_with_indicator(bytes: &[u8]) -> bool {
    match bytes[0] {
        b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
        | b'"' | b'%' | b'@' | b'`' => true,
        b'?' | b':' | b'-' => matches!(bytes.get(1), None | Some(b' ' | b'\t')),
        _ => false,
    }
}

fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// go-yaml calls nothing beyond the basic plane printable.
fn is_printable(char: char) -> bool {
    match char {
        '\n' | ' '..='~' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        '\u{a0}'..='\u{ffff}' => true,
        _ => false,
    }
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
    let Some(indent) = context.indent().filter(|_| at + text.len() > WIDTH) else {
        out.push_str(text);
        return;
    };
    let mut fold = Fold {
        indent,
        column: at,
        after_space: false,
    };
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
    let mut fold = Fold {
        indent: context.indent().unwrap_or(0),
        column: column(out),
        after_space: false,
    };
    fold.push(out, '\'');
    let mut after_break = false;
    for (index, char) in text.char_indices() {
        let next = text.as_bytes().get(index + 1);
        let inside = index > 0 && next.is_some_and(|byte| *byte != b' ');
        if char == ' ' && context != Context::Key && fold.may_break() && inside {
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
    indent: usize,
    column: usize,
    after_space: bool,
}

impl Fold {
    fn may_break(&self) -> bool {
        !self.after_space && self.column > WIDTH
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
    let mut fold = Fold {
        indent: context.indent().unwrap_or(0),
        column: column(out),
        after_space: false,
    };
    // go-yaml looks for the mark at the start of the whole text, not at the character, and then escapes all of it.
    let escape_all = text.starts_with('\u{feff}');
    fold.push(out, '"');
    for (index, char) in text.char_indices() {
        let next = text.as_bytes().get(index + 1);
        if escape_all || is_escaped(char) {
            fold.column += write_escaped(out, char);
            fold.after_space = false;
        } else if char == ' '
            && context != Context::Key
            && fold.may_break()
            && index > 0
            && next.is_some()
        {
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

fn is_escaped(char: char) -> bool {
    !is_printable(char) || is_break(char) || char == '"' || char == '\\'
}

/// Appends the escape of a character and says how long it is.
fn write_escaped(out: &mut String, char: char) -> usize {
    let before = out.len();
    out.push('\\');
    match short_escape(char) {
        Some(letter) => out.push(letter),
        None => write_hex_escape(out, u32::from(char)),
    }
    out.len() - before
}

fn write_hex_escape(out: &mut String, code: u32) {
    let (letter, digits) = match code {
        0..=0xff => ('x', 2),
        0x100..=0xffff => ('u', 4),
        _ => ('U', 8),
    };
    out.push(letter);
    for shift in (0..digits).rev() {
        let digit = char::from_digit((code >> (shift * 4)) & 0xf, 16).unwrap_or('0');
        out.push(digit.to_ascii_uppercase());
    }
}

fn short_escape(char: char) -> Option<char> {
    Some(match char {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return None,
    })
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
