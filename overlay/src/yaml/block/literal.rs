//! Block scalars: `|` and `>` with their chomping marks. Ones with an indentation mark, or that begin with a
//! blank line, are left to the slower reader.

use super::super::{Node, Style, Tag};
use super::BlockReader;
use super::plain::push_fold;

/// What becomes of the line breaks at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl BlockReader<'_> {
    /// A block scalar to the end of its last line.
    pub(super) fn block_scalar(&mut self, parent: isize, style: Style) -> Option<Node> {
        let chomp = self.chomp_mark()?;
        let indent = self.first_indent(parent)?;
        let mark = self.mark();
        self.buffer.clear();
        let end = self.block_lines(indent, parent, style)?;
        match chomp {
            Chomp::Strip => {}
            Chomp::Clip if end.has_break => self.buffer.push('\n'),
            Chomp::Clip => {}
            Chomp::Keep if end.has_break => {
                self.buffer
                    .extend(std::iter::repeat_n('\n', end.blank_lines + 1));
            }
            Chomp::Keep => return None,
        }
        self.find_content(false)?;
        let text = std::mem::take(&mut self.buffer);
        let node = self.make_scalar(&text, style, Tag::Str, mark);
        self.buffer = text;
        node
    }

    /// Reads `|` or `>`, a mark and the rest of the line.
    fn chomp_mark(&mut self) -> Option<Chomp> {
        self.at += 1;
        let chomp = match self.bytes.get(self.at)? {
            b'-' => Chomp::Strip,
            b'+' => Chomp::Keep,
            _ => Chomp::Clip,
        };
        self.at += usize::from(chomp != Chomp::Clip);
        let before = self.at;
        self.skip_spaces();
        match self.bytes.get(self.at)? {
            b'\n' => {}
            b'#' if self.at > before => {}
            _ => return None,
        }
        self.skip_line();
        Some(chomp)
    }

    /// Goes to the first character of the first line, which must have one, and gives its column.
    fn first_indent(&mut self, parent: isize) -> Option<usize> {
        self.skip_spaces();
        let indent = self.at - self.line_start;
        let is_text = !matches!(self.bytes.get(self.at)?, b'\n' | b'\t');
        (is_text && indent as isize > parent).then_some(indent)
    }

    /// Reads the lines into the buffer; stands at the start of the first line that is not the scalar's.
    fn block_lines(&mut self, indent: usize, parent: isize, style: Style) -> Option<LastLine> {
        let mut blank_lines = 0;
        let mut is_first = true;
        loop {
            let length = memchr::memchr(b'\n', &self.bytes[self.at..]);
            let end = length.map_or(self.bytes.len(), |length| self.at + length);
            self.push_line(style, is_first, blank_lines, &self.text[self.at..end])?;
            is_first = false;
            self.at = end;
            self.skip_line();
            if length.is_none() {
                return Some(LastLine {
                    has_break: false,
                    blank_lines: 0,
                });
            }
            blank_lines = self.skip_blank_lines(indent)?;
            if self.at - self.line_start < indent || self.at == self.bytes.len() {
                return self.end_block(parent, blank_lines);
            }
        }
    }

    fn push_line(&mut self, style: Style, is_first: bool, blanks: usize, line: &str) -> Option<()> {
        if style == Style::Literal {
            self.buffer
                .extend(std::iter::repeat_n('\n', blanks + usize::from(!is_first)));
        } else {
            // Lines that are indented more are not folded, nor are those around them.
            if line.starts_with([' ', '\t']) {
                return None;
            }
            if !is_first {
                push_fold(&mut self.buffer, blanks);
            }
        }
        self.buffer.push_str(line);
        Some(())
    }

    /// Passes lines of spaces only; stands behind the indentation of the next line, or before its end.
    fn skip_blank_lines(&mut self, indent: usize) -> Option<usize> {
        let mut blank_lines = 0;
        loop {
            let limit = self.line_start + indent;
            while self.at < limit && self.bytes.get(self.at) == Some(&b' ') {
                self.at += 1;
            }
            match self.bytes.get(self.at) {
                Some(b'\n') => blank_lines += 1,
                Some(b'\t') if self.at < limit => return None,
                _ => return Some(blank_lines),
            }
            self.skip_line();
        }
    }

    /// The line at the cursor is indented less than the scalar.
    fn end_block(&mut self, parent: isize, blank_lines: usize) -> Option<LastLine> {
        let column = (self.at - self.line_start) as isize;
        let is_odd = column > parent && self.at < self.bytes.len();
        self.at = self.line_start;
        (!is_odd).then_some(LastLine {
            has_break: true,
            blank_lines,
        })
    }
}

/// What followed the last line that is not blank.
struct LastLine {
    has_break: bool,
    blank_lines: usize,
}
