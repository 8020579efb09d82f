//! Changes to a text by positions: values replaced, children put in and taken out, every other byte as it was.

use std::ops::Range;

use overlay::yaml::{Child, Collection, LaidValue, Style};

use super::plain::{Plain, plain, quoted};

/// Bytes of the target and what stands in their place afterwards.
#[derive(Clone, Debug)]
struct Edit {
    range: Range<usize>,
    text: String,
}

/// Takes from one text and writes into another.
pub(super) struct Pen<'t> {
    source: &'t str,
    target: &'t str,
    edits: Vec<Edit>,
}

/// A child that is put into a collection of the target: from where in the source, and behind which child of the target.
pub(super) struct Insertion<'t> {
    pub(super) child: &'t Child,
    /// It stands in brackets in the source.
    pub(super) is_flow: bool,
    /// It is the first of its collection, so that comments above it are the collection's.
    pub(super) is_first: bool,
    pub(super) behind: Option<usize>,
}

impl<'t> Pen<'t> {
    pub(super) fn new(source: &'t str, target: &'t str) -> Self {
        Self {
            source,
            target,
            edits: Vec::new(),
        }
    }

    /// How much was written so far, for [`Pen::forget`].
    pub(super) fn mark(&self) -> usize {
        self.edits.len()
    }

    /// Takes back what was written since a mark.
    pub(super) fn forget(&mut self, mark: usize) {
        self.edits.truncate(mark);
    }

    fn put(&mut self, range: Range<usize>, text: impl Into<String>) {
        let text = text.into();
        self.edits.push(Edit { range, text });
    }

    /// Writes the source's value in the place of the target's. `flows` says of either whether it stands in brackets.
    pub(super) fn replace(&mut self, source: &Child, target: &Child, flows: [bool; 2]) {
        let [source_flows, target_flows] = flows;
        let value = &self.source[source.value.range.clone()];
        if target_flows {
            let is_safe =
                source_flows || (is_simple(source) && !value.contains(['[', ']', '{', '}', ',']));
            let text = match is_safe && !value.is_empty() {
                true => value.to_owned(),
                false => plain(&source.value).on_one_line(),
            };
            return self.put_value(target, text);
        }
        if is_simple(target) && (is_simple(source) || (source_flows && !value.contains('\n'))) {
            return self.put_value(target, value.to_owned());
        }
        let text = match source_flows {
            true => format!(" {}", plain(&source.value).on_one_line()),
            false => {
                let from = column(self.source, source.start);
                let to = column(self.target, target.start);
                shifted(&self.source[source.after..source.end()], from, to)
            }
        };
        self.put_block(target, &text);
    }

    /// Writes a text as the value of a child: in its own style where that can be, else in quotes.
    pub(super) fn rewrite(&mut self, target: &Child, text: &str) {
        let LaidValue::Scalar { style, .. } = &target.value.value else {
            return;
        };
        let old = &self.target[target.value.range.clone()];
        match literal(old, text).filter(|_| *style == Style::Literal) {
            Some(block) => self.put(target.value.range.clone(), block),
            None => self.put_value(target, quoted(text)),
        }
    }

    /// Writes a value on one line.
    pub(super) fn put_line(&mut self, target: &Child, value: &Plain, target_flows: bool) {
        match target_flows {
            true => self.put_value(target, value.on_one_line()),
            false => self.put_block(target, &format!(" {}", value.on_one_line())),
        }
    }

    /// Over the value alone; what has no value yet gets a blank in front.
    fn put_value(&mut self, target: &Child, text: String) {
        let range = target.value.range.clone();
        let touches = range.is_empty() && target.after > target.start;
        match touches && !text.is_empty() {
            true => self.put(range, format!(" {text}")),
            false => self.put(range, text),
        }
    }

    /// Over all behind the colon or dash. A comment that ends the line stays on the first line.
    fn put_block(&mut self, target: &Child, text: &str) {
        let (first, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
        self.put(target.after..target.end(), first);
        if !rest.is_empty() {
            let end = line_end(self.target, target.end());
            self.put(end..end, rest);
        }
    }

    /// Takes children out of a collection, and puts others in; at least one of the old ones stays.
    pub(super) fn restructure(
        &mut self,
        collection: &Collection,
        removed: &[usize],
        insertions: &[Insertion<'_>],
    ) {
        for index in removed {
            let range = match collection.is_flow {
                true => flow_extent(collection, *index, removed),
                false => self.block_extent(collection, *index, removed),
            };
            self.put(range, "");
        }
        for insertion in insertions {
            match collection.is_flow {
                true => self.insert_flow(collection, insertion),
                false => self.insert_block(collection, insertion),
            }
        }
    }

    /// The lines of a child; one that stands behind the dash of its mapping goes as far as the next.
    fn block_extent(
        &self,
        collection: &Collection,
        index: usize,
        removed: &[usize],
    ) -> Range<usize> {
        let child = &collection.children[index];
        if begins_line(self.target, child.start) {
            return line_start(self.target, child.start)..next_line(self.target, child.end());
        }
        let stays = |next: &usize| !removed.contains(next);
        let next = (index + 1..collection.children.len()).find(stays);
        let end = next.map_or(child.end(), |next| collection.children[next].start);
        child.start..end
    }

    fn insert_block(&mut self, collection: &Collection, insertion: &Insertion<'_>) {
        let Some(first) = collection.children.first() else {
            return;
        };
        let to = column(self.target, first.start);
        let text = self.chunk(insertion, to);
        let at = match insertion
            .behind
            .and_then(|index| collection.children.get(index))
        {
            None if begins_line(self.target, first.start) => line_start(self.target, first.start),
            Some(child) => next_line(self.target, child.end()),
            None => next_line(self.target, first.end()),
        };
        if at == self.target.len() && !self.target.is_empty() && !self.target.ends_with('\n') {
            return self.put(at..at, format!("\n{}", text.trim_end_matches('\n')));
        }
        self.put(at..at, text);
    }

    /// A child of the source as lines that begin at a column, with the comments that stand above it.
    fn chunk(&self, insertion: &Insertion<'_>, to: usize) -> String {
        let child = insertion.child;
        let indent = " ".repeat(to);
        if insertion.is_flow {
            let value = plain(&child.value).on_one_line();
            return match child.key.is_empty() {
                true => format!("{indent}- {value}\n"),
                false => format!("{indent}{}: {value}\n", self.key(child)),
            };
        }
        let from = column(self.source, child.start);
        let body = &self.source[child.start..line_end(self.source, child.end())];
        let mut text = String::new();
        if !insertion.is_first && begins_line(self.source, child.start) {
            for comment in comments_above(self.source, child.start) {
                text.push_str(&format!("{indent}{comment}\n"));
            }
        }
        format!("{text}{indent}{}\n", shifted(body, from, to))
    }

    /// The key as the source writes it.
    fn key(&self, child: &Child) -> &str {
        self.source[child.start..child.after]
            .trim_end_matches(':')
            .trim_end()
    }

    fn insert_flow(&mut self, collection: &Collection, insertion: &Insertion<'_>) {
        let Some(first) = collection.children.first() else {
            return;
        };
        let child = insertion.child;
        let value = plain(&child.value).on_one_line();
        let text = match (insertion.is_flow, child.key.is_empty()) {
            (true, _) => self.source[child.start..child.end()].to_owned(),
            (false, true) => value,
            (false, false) => format!("{}: {value}", quoted(&child.key)),
        };
        let gap = match begins_line(self.target, first.start) {
            true => format!(
                "\n{}",
                &self.target[line_start(self.target, first.start)..first.start]
            ),
            false => " ".to_owned(),
        };
        match insertion
            .behind
            .and_then(|index| collection.children.get(index))
        {
            Some(child) => self.put(child.end()..child.end(), format!(",{gap}{text}")),
            None => self.put(first.start..first.start, format!("{text},{gap}")),
        }
    }

    /// Puts a text at the end of the target, on a line of its own.
    pub(super) fn append(&mut self, text: &str) {
        let end = self.target.len();
        let gap = if self.target.is_empty() || self.target.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.put(end..end, format!("{gap}{text}"));
    }

    /// Takes bytes out.
    pub(super) fn cut(&mut self, range: Range<usize>) {
        self.put(range, "");
    }

    /// The target with all changes; nothing when two of them touch the same bytes.
    pub(super) fn written(mut self) -> Option<String> {
        // Stable: what was put at one place stays in its order.
        self.edits
            .sort_by_key(|edit| (edit.range.start, edit.range.end));
        let windows = self.target.contains("\r\n");
        let mut out = String::with_capacity(self.target.len());
        let mut at = 0;
        for edit in &self.edits {
            out.push_str(self.target.get(at..edit.range.start)?);
            match windows {
                true => out.push_str(&edit.text.replace("\r\n", "\n").replace('\n', "\r\n")),
                false => out.push_str(&edit.text.replace("\r\n", "\n")),
            }
            at = edit.range.end;
        }
        out.push_str(self.target.get(at..)?);
        Some(out)
    }
}

/// The bytes of a child in brackets, with a comma of its own.
fn flow_extent(collection: &Collection, index: usize, removed: &[usize]) -> Range<usize> {
    let children = &collection.children;
    let child = &children[index];
    let leads = (0..index).all(|before| removed.contains(&before));
    match leads {
        true => {
            child.start
                ..children
                    .get(index + 1)
                    .map_or(child.end(), |next| next.start)
        }
        false => children[index - 1].end()..child.end(),
    }
}

/// A scalar on one line, without anchor, tag or block header.
fn is_simple(child: &Child) -> bool {
    let LaidValue::Scalar { style, text, .. } = &child.value.value else {
        return false;
    };
    let is_block = matches!(style, Style::Literal | Style::Folded);
    let is_long = *style != Style::Double && text.contains('\n');
    !child.value.is_decorated && !is_block && !is_long && !child.value.range.is_empty()
}

/// A block scalar of the same kind as an old one, with another text; none where it could not be read back.
fn literal(old: &str, text: &str) -> Option<String> {
    let (header, body) = old.split_once('\n')?;
    let header = header.trim_end();
    if !header.starts_with('|') || header.contains(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let first = body.lines().find(|line| !line.trim().is_empty())?;
    let indent = &first[..first.len() - first.trim_start_matches(' ').len()];
    let comment = header.find(" #").map_or("", |at| &header[at..]);
    let content = text.trim_end_matches('\n');
    if content.is_empty() || content.starts_with([' ', '\n', '\t']) || content.contains('\r') {
        return None;
    }
    let chomp = match text.len() - content.len() {
        0 => "-",
        1 => "",
        _ => return None,
    };
    let mut out = format!("|{chomp}{comment}");
    for line in content.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(indent);
            out.push_str(line);
        }
    }
    Some(out)
}

/// Lines behind the first one moved from one column to another.
fn shifted(text: &str, from: usize, to: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if index > 0 && blanks >= from && !line.trim().is_empty() {
            out.push_str(&" ".repeat(to));
            out.push_str(&line[from..]);
        } else {
            out.push_str(line);
        }
    }
    out
}

/// The lines of comments right above a place, without their indentation.
fn comments_above(text: &str, at: usize) -> Vec<&str> {
    let above = &text[..line_start(text, at)];
    let mut found: Vec<&str> = above
        .lines()
        .rev()
        .map(str::trim)
        .take_while(|line| line.starts_with('#'))
        .collect();
    found.reverse();
    found
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Before the line break, a carriage return not counted.
fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline);
    match text[at..end].ends_with('\r') {
        true => end - 1,
        false => end,
    }
}

fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim().is_empty()
}
