//! Plain scalars, over one line or several.

use super::super::resolve::{is_infinite, resolve};
use super::super::{Node, Style, Tag};
use super::BlockReader;

impl BlockReader<'_> {
    /// A plain scalar to the end of its last line; it goes on while lines are indented more than `parent`.
    pub(super) fn plain_value(&mut self, parent: isize) -> Option<Node> {
        self.check_plain_start()?;
        let mark = self.mark();
        let (start, end) = self.plain_line()?;
        self.next_line()?;
        let text = self.text;
        if self.column <= parent || self.passed_comment {
            return self.plain_node(&text[start..end], mark);
        }
        let mut folded = std::mem::take(&mut self.buffer);
        folded.clear();
        folded.push_str(&text[start..end]);
        while self.column > parent && !self.passed_comment {
            push_fold(&mut folded, self.blank_lines);
            let (start, end) = self.plain_line()?;
            folded.push_str(&text[start..end]);
            self.next_line()?;
        }
        let node = self.plain_node(&folded, mark);
        self.buffer = folded;
        node
    }

    pub(super) fn plain_node(&mut self, text: &str, mark: super::Mark) -> Option<Node> {
        let tag = resolve(text, self.dialect);
        if tag == Tag::Float && is_infinite(text) {
            return None;
        }
        self.make_scalar(text, Style::Plain, tag, mark)
    }

    /// The next character may begin a plain scalar.
    pub(super) fn check_plain_start(&self) -> Option<()> {
        match self.bytes.get(self.at)? {
            b'-' | b'?' | b':' => (!self.is_blank_at(self.at + 1)).then_some(()),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
            | b'"' | b'%' | b'@' | b'`' => None,
            _ => Some(()),
        }
    }

    /// The part of a plain scalar on this line, without the blanks around it. Stops at a comment.
    fn plain_line(&mut self) -> Option<(usize, usize)> {
        let start = self.at;
        let mut index = start;
        loop {
            match self.bytes.get(index) {
                None | Some(b'\n') => break,
                Some(b'\t') => return None,
                Some(b':') if self.is_blank_at(index + 1) => return None,
                Some(b'#') if index > start && self.bytes[index - 1] == b' ' => break,
                Some(_) => index += 1,
            }
        }
        self.at = index;
        let line = self.text[start..index].trim_end_matches(' ');
        Some((start, start + line.len()))
    }
}

/// What stands for a line break with so many blank lines behind it.
pub(in super::super) fn push_fold(text: &mut String, blank_lines: usize) {
    if blank_lines == 0 {
        text.push(' ');
    }
    text.extend(std::iter::repeat_n('\n', blank_lines));
}
