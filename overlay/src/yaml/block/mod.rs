//! Reading the block style that manifests are written in, fast: indented mappings and lists, scalars of all
//! styles, flow collections on one line.
//!
//! Whatever else it meets (anchors, tags, tabs, anything wrong) it gives the document back, and the slower
//! reader takes it from the start: this one never judges, it only reads what cannot be read in two ways.
//! `Option` says so everywhere: `None` is "not for this reader".

mod cursor;
mod flow;
mod keys;
mod literal;
mod plain;
mod quoted;

use super::merge_keys::has_duplicate;
use super::read::Source;
use super::split::Piece;
use super::{Dialect, Key, Mapping, Mark, Node, Scalar, Style, Tag, Value};
use keys::KnownTexts;
pub(super) use plain::push_fold;

/// Reads one document. Between nodes it stands on the first character of the next content, or at the end.
pub(super) struct BlockReader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Where the next character is.
    at: usize,
    /// Where the current line begins.
    line_start: usize,
    line: u32,
    /// The column of the next content, from 0; -1 at the end of the text.
    column: isize,
    /// Blank lines that were passed on the way to it.
    blank_lines: usize,
    /// A comment was passed on the way to it.
    passed_comment: bool,
    file: u16,
    dialect: Dialect,
    levels_left: usize,
    nodes_left: usize,
    /// Entries of the open mappings, the innermost last.
    entries: Vec<(Key, Node)>,
    /// Items of the open lists, the innermost last.
    items: Vec<Node>,
    /// Text that is put together from several lines or escapes.
    buffer: String,
    known: &'a mut KnownTexts,
}

/// What a whole file's reading shares.
#[derive(Default)]
pub(super) struct Shared {
    known: KnownTexts,
}

/// What came of a document.
pub(super) enum Outcome {
    /// It is read; it may be empty.
    Document {
        node: Option<Node>,
        /// How many nodes it has.
        nodes: usize,
    },
    /// It has too many nodes.
    TooManyNodes(Mark),
    /// It is not for this reader.
    GivenBack,
}

/// Reads the document of a piece, or gives it back.
pub(super) fn read_piece(
    shared: &mut Shared,
    piece: &Piece<'_>,
    source: &Source<'_>,
    nodes_left: usize,
) -> Outcome {
    let mut reader = BlockReader {
        text: piece.text,
        bytes: piece.text.as_bytes(),
        at: 0,
        line_start: 0,
        line: piece.lines_before + 1,
        column: -1,
        blank_lines: 0,
        passed_comment: false,
        file: source.file,
        dialect: source.dialect,
        levels_left: source.limits.depth,
        nodes_left,
        entries: Vec::new(),
        items: Vec::new(),
        buffer: String::new(),
        known: &mut shared.known,
    };
    match reader.document() {
        Some(node) => Outcome::Document {
            node,
            nodes: nodes_left - reader.nodes_left,
        },
        None if reader.nodes_left == 0 => Outcome::TooManyNodes(reader.mark()),
        None => Outcome::GivenBack,
    }
}

impl BlockReader<'_> {
    fn document(&mut self) -> Option<Option<Node>> {
        self.skip_document_start()?;
        if self.column < 0 {
            return Some(None);
        }
        let node = self.node(-1)?;
        let is_whole = self.column < 0 && !matches!(node.value, Value::Scalar(_));
        is_whole.then_some(Some(node))
    }

    /// The node whose first character comes next; `parent` is the column of the collection around it.
    fn node(&mut self, parent: isize) -> Option<Node> {
        if self.at_dash() {
            let mark = if self.column == parent {
                self.first_item_mark()?
            } else {
                self.mark()
            };
            return self.sequence(mark);
        }
        match self.key()? {
            Some(key) => self.mapping(key),
            None => self.scalar(parent),
        }
    }

    fn mapping(&mut self, first: Key) -> Option<Node> {
        let (column, mark, base) = (self.column, first.mark, self.entries.len());
        self.enter()?;
        let mut key = first;
        loop {
            let value = self.value(column)?;
            self.entries.push((key, value));
            if self.column != column {
                break;
            }
            if self.at_dash() {
                return None;
            }
            key = self.key()??;
        }
        if self.column > column {
            return None;
        }
        self.leave();
        let mapping = Mapping::from_entries(self.entries.drain(base..).collect());
        if has_duplicate(&mapping) {
            return None;
        }
        Some(Node {
            value: Value::Mapping(mapping.into()),
            mark,
        })
    }

    /// What stands behind a key's colon.
    fn value(&mut self, column: isize) -> Option<Node> {
        let colon = self.mark_at(self.at - 1);
        self.skip_spaces();
        if !self.at_line_end() {
            return self.scalar(column);
        }
        self.next_line()?;
        if self.column > column || (self.column == column && self.at_dash()) {
            return self.node(column);
        }
        self.make_scalar("", Style::Plain, Tag::Null, colon)
    }

    /// The parser places a list that is flush with its key at its first item, not at the dash.
    fn first_item_mark(&mut self) -> Option<Mark> {
        let dash = self.at;
        self.at += 1;
        self.skip_spaces();
        let mark = (!self.at_line_end()).then(|| self.mark());
        self.at = dash;
        mark
    }

    fn sequence(&mut self, mark: Mark) -> Option<Node> {
        let (column, base) = (self.column, self.items.len());
        self.enter()?;
        while self.column == column && self.at_dash() {
            let item = self.item(column)?;
            self.items.push(item);
        }
        if self.column > column {
            return None;
        }
        self.leave();
        let items: Vec<Node> = self.items.drain(base..).collect();
        Some(Node {
            value: Value::Sequence(items.into()),
            mark,
        })
    }

    /// What stands behind a dash.
    fn item(&mut self, column: isize) -> Option<Node> {
        self.at += 1;
        let empty = self.mark();
        let behind = self.at;
        self.skip_spaces();
        if !self.at_line_end() {
            // Only dashes and spaces stand before it on this line.
            self.column = (self.at - self.line_start) as isize;
            return self.node(column);
        }
        let is_bare = self.at == behind;
        self.next_line()?;
        if self.column > column {
            return self.node(column);
        }
        // Where the parser puts an empty item with blanks or a comment behind its dash is its own affair.
        if is_bare {
            self.make_scalar("", Style::Plain, Tag::Null, empty)
        } else {
            None
        }
    }

    /// A scalar of any style or a flow collection, to the end of its last line.
    fn scalar(&mut self, parent: isize) -> Option<Node> {
        match self.bytes.get(self.at)? {
            b'"' | b'\'' => self.quoted_value(parent),
            b'|' => self.block_scalar(parent, Style::Literal),
            b'>' => self.block_scalar(parent, Style::Folded),
            b'[' | b'{' => self.flow_value(),
            _ => self.plain_value(parent),
        }
    }

    fn make_scalar(&mut self, text: &str, style: Style, tag: Tag, mark: Mark) -> Option<Node> {
        self.nodes_left = self.nodes_left.checked_sub(1)?;
        let text = self.known.get(text);
        let value = Value::Scalar(Scalar { text, tag, style });
        Some(Node { value, mark })
    }

    fn enter(&mut self) -> Option<()> {
        self.nodes_left = self.nodes_left.checked_sub(1)?;
        self.levels_left = self.levels_left.checked_sub(1)?;
        Some(())
    }

    fn leave(&mut self) {
        self.levels_left += 1;
    }
}
