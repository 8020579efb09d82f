//! Writing: sorted keys, lists flush with their key, each document as go-yaml v2 prints it.

use super::key_order::sort_keys;
use super::number::{number_value, through_json, write_number};
use super::resolve::truth;
use super::scalar_shape::is_break;
use super::timestamp::to_rfc3339;
use super::write_scalar::{Context, write_string, write_text};
use super::{Key, Mapping, Node, Tag, Value};

/// What printers show in place of a secret.
const MASK: &str = "***";

/// A key longer than this is written with a question mark.
const LONGEST_SIMPLE_KEY: usize = 128;

/// The key that brings in the entries of other mappings.
const MERGE_KEY: &str = "<<";

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
        if key == MERGE_KEY {
            // Without quotes it would be read as an instruction; kustomize prints it so, and loses it.
            self.out.push_str("\"<<\":");
            self.value(value, indent, Start::Below);
        } else if key.len() <= LONGEST_SIMPLE_KEY && !key.contains(is_break) {
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
            Tag::Str => write_text(self.out, text, context),
            Tag::Null => self.out.push_str("null"),
            Tag::Bool => self.out.push_str(match truth(text) {
                Some(true) => "true",
                _ => "false",
            }),
            Tag::Int if is_canonical(text) => self.out.push_str(text),
            Tag::Int | Tag::Float => match number_value(text, tag == Tag::Float) {
                Some(number) => write_number(self.out, through_json(number)),
                None => self.out.push_str(text),
            },
            Tag::Timestamp => match to_rfc3339(text) {
                Some(time) => write_text(self.out, &time, context),
                None => write_text(self.out, text, context),
            },
            Tag::Binary => write_text(self.out, &super::binary_text(text), context),
        }
    }

    fn new_line(&mut self, indent: usize) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        push_blanks(self.out, indent);
    }
}

/// A number that is printed as it is written.
fn is_canonical(text: &str) -> bool {
    let digits = text.as_bytes();
    !digits.is_empty()
        && digits.len() < 19
        && digits.iter().all(u8::is_ascii_digit)
        && (digits[0] != b'0' || digits.len() == 1)
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
