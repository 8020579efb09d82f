//! Writing: sorted keys, lists flush with their key, each document as go-yaml v2 prints it.

use std::borrow::Cow;

use super::key_order::sort_keys;
use super::number::{number_value, through_json, write_number};
use super::resolve::truth;
use super::timestamp::to_rfc3339;
use super::write_scalar::{Context, write_string};
use super::{Key, Mapping, Node, Tag, Value};

/// What printers show in place of a secret.
const MASK: &str = "***";

/// A line break of YAML 1.1 that JSON does not escape.
const NEXT_LINE: char = '\u{85}';

/// A key longer than this is written with a question mark.
const LONGEST_SIMPLE_KEY: usize = 128;

/// Whether secret scalars are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As `***`.
    Masked,
    /// In the clear: for the apply serializer and `weir secrets decrypt` only.
    Revealed,
}

/// Appends one document without a separator.
pub(super) fn write_document(out: &mut String, node: &Node, secrets: Secrets) {
    let mut writer = Writer {
        out,
        secrets,
        entries: Vec::new(),
    };
    match &node.value {
        Value::Mapping(mapping) if !mapping.is_empty() => writer.mapping(mapping, 0, Start::Here),
        Value::Sequence(items) if !items.is_empty() => writer.sequence(items, 0, Start::Here),
        _ => writer.leaf(node, 0),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// Where a collection begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// On this line: at the root, and behind `- `, `? ` and `: `.
    Here,
    /// On a new line, below its key.
    Below,
}

struct Writer<'out, 'node> {
    out: &'out mut String,
    secrets: Secrets,
    /// The entries of all open mappings, the innermost last, sorted.
    entries: Vec<(&'node Key, &'node Node)>,
}

impl<'node> Writer<'_, 'node> {
    fn mapping(&mut self, mapping: &'node Mapping, indent: usize, start: Start) {
        let first = self.entries.len();
        self.entries.extend(mapping.iter());
        sort_keys(&mut self.entries[first..], |entry| &entry.0.text);
        for index in first..self.entries.len() {
            if index > first || start == Start::Below {
                self.new_line(indent);
            }
            let (key, value) = self.entries[index];
            self.entry(&key.text, value, indent);
        }
        self.entries.truncate(first);
    }

    fn entry(&mut self, key: &str, value: &'node Node, indent: usize) {
        if key.len() <= LONGEST_SIMPLE_KEY && !has_break(key) {
            write_string(self.out, key, Context::Key);
            self.out.push(':');
            self.value(value, indent, Start::Below);
        } else {
            self.out.push_str("? ");
            write_string(self.out, key, Context::Value { indent: indent + 2 });
            self.new_line(indent);
            self.out.push(':');
            self.value(value, indent, Start::Here);
        }
    }

    /// What stands behind a key. A list below its key is not indented; one behind a long key's `:` is.
    fn value(&mut self, value: &'node Node, indent: usize, start: Start) {
        match &value.value {
            Value::Mapping(mapping) if !mapping.is_empty() => {
                self.blank_when(start == Start::Here);
                self.mapping(mapping, indent + 2, start);
            }
            Value::Sequence(items) if !items.is_empty() => {
                self.blank_when(start == Start::Here);
                let inner = if start == Start::Here {
                    indent + 2
                } else {
                    indent
                };
                self.sequence(items, inner, start);
            }
            _ => {
                self.out.push(' ');
                self.leaf(value, indent);
            }
        }
    }

    fn sequence(&mut self, items: &'node [Node], indent: usize, start: Start) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || start == Start::Below {
                self.new_line(indent);
            }
            self.out.push('-');
            self.value(item, indent, Start::Here);
        }
    }

    fn blank_when(&mut self, wanted: bool) {
        if wanted {
            self.out.push(' ');
        }
    }

    /// A scalar or an empty collection.
    fn leaf(&mut self, node: &Node, indent: usize) {
        match &node.value {
            Value::Mapping(_) => self.out.push_str("{}"),
            Value::Sequence(_) => self.out.push_str("[]"),
            Value::Scalar(scalar) => self.scalar(&scalar.text, scalar.tag, indent),
            Value::Secret(secret) if self.secrets == Secrets::Revealed => {
                self.scalar(secret.expose(), secret.tag, indent);
            }
            Value::Secret(_) => self.scalar(MASK, Tag::Str, indent),
        }
    }

    fn scalar(&mut self, text: &str, tag: Tag, indent: usize) {
        let context = Context::Value { indent: indent + 2 };
        match tag {
            Tag::Str => write_string(self.out, &fold_next_lines(text), context),
            Tag::Null => self.out.push_str("null"),
            Tag::Bool => self.out.push_str(match truth(text) {
                Some(true) => "true",
                _ => "false",
            }),
            Tag::Int | Tag::Float => match number_value(text, tag == Tag::Float) {
                Some(number) => write_number(self.out, through_json(number)),
                None => self.out.push_str(text),
            },
            Tag::Timestamp => match to_rfc3339(text) {
                Some(time) => write_string(self.out, &time, context),
                None => write_string(self.out, text, context),
            },
            Tag::Binary => write_string(self.out, &super::binary_text(text), context),
        }
    }

    fn new_line(&mut self, indent: usize) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        push_blanks(self.out, indent);
    }
}

/// What is left of the old line break U+0085: kustomize's trip through JSON text folds it like any other.
fn fold_next_lines(text: &str) -> Cow<'_, str> {
    if !text.contains(NEXT_LINE) {
        return Cow::Borrowed(text);
    }
    let mut lines = text
        .split(NEXT_LINE)
        .map(|line| line.trim_matches([' ', '\t']));
    let mut out = lines.next().unwrap_or_default().to_owned();
    let mut breaks = 0;
    for line in lines {
        breaks += 1;
        if line.is_empty() {
            continue;
        }
        out.push_str(&fold(breaks));
        out.push_str(line);
        breaks = 0;
    }
    if breaks > 0 {
        out.push_str(&fold(breaks));
    }
    Cow::Owned(out)
}

/// One break is a space, more are one less.
fn fold(breaks: usize) -> String {
    if breaks == 1 {
        " ".to_owned()
    } else {
        "\n".repeat(breaks - 1)
    }
}

/// Appends spaces.
pub(super) fn push_blanks(out: &mut String, count: usize) {
    const BLANKS: &str = "                                                                ";
    let mut left = count;
    while left > 0 {
        let step = left.min(BLANKS.len());
        out.push_str(&BLANKS[..step]);
        left -= step;
    }
}

/// True when the text has a character that go-yaml counts as a line break.
pub(super) fn has_break(text: &str) -> bool {
    text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}
