//! Writing YAML as go-yaml v3's emitter does with an indentation of four: where comments and blank lines go.
//!
//! The emitter keeps the comments of the nodes it has met until a place comes that writes them, and forgets one when
//! the next of its kind comes first. Both are visible in its output, so `Writer` keeps the same pending comments.

use zeroize::Zeroizing;

use super::super::{Inline, room};
use super::emitted::{Content, Emitted, mapping};
use super::scalar::{Analysis, Style, Text, escape, is_break, string_text, text_of};
use crate::tree::Branch;

const INDENT: isize = 4;

/// Writes documents.
pub(crate) fn write(branches: &[Branch], inline: Inline) -> Zeroizing<Vec<u8>> {
    let size = branches.iter().map(|branch| room(branch, 0)).sum();
    let mut writer = Writer {
        out: Zeroizing::new(Vec::with_capacity(size)),
        indention: true,
        whitespace: true,
        foot_indent: -1,
        ..Writer::default()
    };
    for (index, branch) in branches.iter().enumerate() {
        writer.document(&mapping(branch, inline), index == 0);
    }
    writer.out
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

#[derive(Default)]
struct Writer {
    out: Zeroizing<Vec<u8>>,
    column: isize,
    indent: isize,
    /// Only blanks and dashes stand on the current line.
    indention: bool,
    /// The last character was a blank.
    whitespace: bool,
    /// A foot comment was written at this indentation: a blank line follows.
    foot_indent: isize,
    // Comments that wait for their place.
    head: String,
    line: String,
    foot: String,
    tail: String,
}

impl Writer {
    fn document(&mut self, root: &Emitted<'_>, first: bool) {
        self.indent = -1;
        if !first {
            self.write_indent();
            self.indicator("---", true, false);
            self.write_indent();
        }
        self.meet(root);
        self.head_comment();
        self.node(root, Place::Root);
        self.foot_comment();
        self.indent = -1;
        self.foot_indent = 0;
        self.foot_comment();
        self.foot_indent = -1;
        self.write_indent();
    }

    /// A node begins: its head waits, and pushes out one that still waited.
    fn meet(&mut self, node: &Emitted<'_>) {
        replace(&mut self.head, &node.head);
        // A collection's foot comes with its end.
        if matches!(node.content, Content::Scalar(_) | Content::Key(_)) {
            replace(&mut self.line, &node.line);
            replace(&mut self.foot, &node.foot);
        }
    }

    fn node(&mut self, node: &Emitted<'_>, place: Place) {
        match &node.content {
            Content::Mapping(pairs) if pairs.is_empty() => self.empty(node, place, "{", "}"),
            Content::Sequence(items) if items.is_empty() => self.empty(node, place, "[", "]"),
            Content::Mapping(pairs) => self.mapping(node, pairs, place),
            Content::Sequence(items) => self.sequence(node, items, place),
            Content::Scalar(value) => self.scalar(&text_of(value), place, false),
            Content::Key(key) => self.scalar(&string_text(key.as_bytes()), place, true),
        }
    }

    /// Goes to the indentation of what stands inside of a place; gives back the outer one.
    fn enter(&mut self, place: Place, flow: bool) -> isize {
        let outer = self.indent;
        self.indent = match place {
            _ if outer < 0 && flow => INDENT,
            _ if outer < 0 => 0,
            Place::Item => outer + 2,
            Place::Root | Place::Value => INDENT * ((outer + INDENT) / INDENT),
        };
        outer
    }

    fn empty(&mut self, node: &Emitted<'_>, place: Place, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.whitespace = true;
        replace(&mut self.foot, &node.foot);
        // Braces hold the comments of a mapping without keys; brackets leave them to what follows.
        if open == "{" {
            let outer = self.enter(place, true);
            self.head_comment();
            self.indent = outer;
        }
        self.indicator(close, false, false);
        self.foot_comment();
    }

    fn mapping(&mut self, node: &Emitted<'_>, pairs: &[(Emitted<'_>, Emitted<'_>)], place: Place) {
        let outer = self.enter(place, false);
        for (index, (key, value)) in pairs.iter().enumerate() {
            replace(&mut self.head, &key.head);
            if let Some((previous, _)) = index.checked_sub(1).and_then(|at| pairs.get(at)) {
                replace(&mut self.tail, &previous.foot);
            }
            self.head_comment();
            self.write_indent();
            self.key(key);
            self.meet(value);
            self.node(value, Place::Value);
            self.line_comment();
            self.foot_comment();
        }
        if let Some((last, _)) = pairs.last() {
            replace(&mut self.tail, &last.foot);
        }
        replace(&mut self.foot, &node.foot);
        self.head_comment();
        self.indent = outer;
    }

    fn key(&mut self, key: &Emitted<'_>) {
        let Content::Key(text) = key.content else {
            return;
        };
        let scalar = string_text(text.as_bytes());
        let analysis = Analysis::of(&scalar.text);
        let tag = scalar.tag.map_or(0, str::len);
        if !analysis.line_breaks && tag + scalar.text.len() <= 128 {
            self.scalar(&scalar, Place::Value, true);
            self.indicator(":", false, false);
            return;
        }
        self.indicator("?", true, true);
        self.scalar(&scalar, Place::Value, false);
        self.write_indent();
        self.indicator(":", true, true);
    }

    fn sequence(&mut self, node: &Emitted<'_>, items: &[Emitted<'_>], place: Place) {
        let outer = self.enter(place, false);
        for item in items {
            self.meet(item);
            self.head_comment();
            self.write_indent();
            self.indicator("-", true, true);
            self.node(item, Place::Item);
            self.line_comment();
            self.foot_comment();
        }
        replace(&mut self.foot, &node.foot);
        self.indent = outer;
    }

    fn head_comment(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.write_indent();
            self.comment(&tail);
            self.foot_indent = self.indent.max(0);
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.write_indent();
            self.comment(&head);
        }
    }

    /// The comment beside a value; false when there is none.
    fn line_comment(&mut self) -> bool {
        if self.line.is_empty() {
            return false;
        }
        let line = std::mem::take(&mut self.line);
        if !self.whitespace {
            self.put(" ");
        }
        self.comment(&line);
        true
    }

    fn foot_comment(&mut self) {
        if self.foot.is_empty() {
            return;
        }
        let foot = std::mem::take(&mut self.foot);
        self.write_indent();
        self.comment(&foot);
        self.foot_indent = self.indent.max(0);
    }

    fn comment(&mut self, comment: &str) {
        for (index, line) in comment.split('\n').enumerate() {
            if index > 0 {
                self.new_line();
                self.write_indent();
            }
            self.put(line);
            self.indention = false;
        }
        self.new_line();
        self.whitespace = true;
    }

    fn scalar(&mut self, scalar: &Text<'_>, place: Place, simple_key: bool) {
        let analysis = Analysis::of(&scalar.text);
        let style = analysis.allowed(scalar, simple_key);
        if let Some(tag) = scalar.tag {
            self.indicator(tag, true, false);
        }
        let outer = self.enter(place, true);
        match style {
            Style::Plain => self.plain(&scalar.text),
            Style::Single => self.single(&scalar.text),
            Style::Double => self.double(&scalar.text),
            Style::Literal => self.literal(&scalar.text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        if !text.is_empty() {
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn single(&mut self, text: &str) {
        self.indicator("'", true, false);
        let mut breaks = false;
        for letter in text.chars() {
            if is_break(letter) {
                self.break_letter(letter);
                breaks = true;
                continue;
            }
            if std::mem::take(&mut breaks) {
                self.write_indent();
            }
            if letter == '\'' {
                self.put("'");
            }
            self.put(letter.encode_utf8(&mut [0; 4]));
            self.indention = false;
        }
        self.indicator("'", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str) {
        self.indicator("\"", true, false);
        // Behind a byte-order mark at the start go-yaml escapes every letter.
        let marked = text.starts_with('\u{feff}');
        for letter in text.chars() {
            match escape(letter, marked) {
                Some(escape) => self.put(&escape),
                None => self.put(letter.encode_utf8(&mut [0; 4])),
            }
        }
        self.indicator("\"", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.indicator("4", false, false);
        }
        let mut ends = text.chars().rev().map(is_break);
        match (ends.next(), ends.next()) {
            (Some(true), Some(false)) => {}
            (Some(true), _) => self.indicator("+", false, false),
            _ => self.indicator("-", false, false),
        }
        if !self.line_comment() {
            self.new_line();
        }
        self.whitespace = true;
        let mut breaks = true;
        for letter in text.chars() {
            if is_break(letter) {
                self.break_letter(letter);
                breaks = true;
                continue;
            }
            if std::mem::take(&mut breaks) {
                self.write_indent();
            }
            self.put(letter.encode_utf8(&mut [0; 4]));
            self.indention = false;
        }
    }

    fn break_letter(&mut self, letter: char) {
        if letter == '\n' {
            return self.new_line();
        }
        self.put(letter.encode_utf8(&mut [0; 4]));
        self.column = 0;
        self.indention = true;
    }

    fn put(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
        self.column += text.chars().count() as isize;
    }

    fn new_line(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
        self.indention = true;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.max(0);
        let beside = self.column == indent && !self.whitespace;
        if !self.indention || self.column > indent || beside {
            self.new_line();
        }
        if self.foot_indent == indent {
            self.new_line();
        }
        while self.column < indent {
            self.put(" ");
        }
        self.whitespace = true;
        self.foot_indent = -1;
    }

    fn indicator(&mut self, text: &str, blank_before: bool, is_indention: bool) {
        if blank_before && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = false;
        self.indention &= is_indention;
    }
}

fn replace(waiting: &mut String, comment: &str) {
    if !comment.is_empty() {
        comment.clone_into(waiting);
    }
}
