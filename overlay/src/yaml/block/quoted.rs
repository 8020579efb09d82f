//! Quoted scalars: escapes, and lines that are folded.

use super::super::read::is_unreadable;
use super::super::{Node, Style, Tag};
use super::BlockReader;
use super::plain::push_fold;

/// How a quoted scalar, or a part of it, ended.
#[derive(PartialEq, Eq)]
enum End {
    Quote,
    Line,
}

impl BlockReader<'_> {
    /// A quoted scalar to the end of its last line.
    pub(super) fn quoted_value(&mut self, parent: isize) -> Option<Node> {
        let mark = self.mark();
        let style = self.quote_style();
        if let Some(end) = self.find_simple_end() {
            let text = &self.text[self.at + 1..end];
            self.at = end + 1;
            self.next_line()?;
            return self.make_scalar(text, style, Tag::Str, mark);
        }
        self.quoted_lines(parent)?;
        self.next_line()?;
        let text = std::mem::take(&mut self.buffer);
        let node = self.make_scalar(&text, style, Tag::Str, mark);
        self.buffer = text;
        node
    }

    pub(super) fn quote_style(&self) -> Style {
        match self.bytes[self.at] {
            b'"' => Style::Double,
            _ => Style::Single,
        }
    }

    /// The closing quote on this line, if the text before it has nothing to unfold or unescape.
    pub(super) fn find_simple_end(&self) -> Option<usize> {
        let quote = self.bytes[self.at];
        let rest = &self.bytes[self.at + 1..];
        let length = match quote {
            b'"' => memchr::memchr3(b'"', b'\\', b'\n', rest)?,
            _ => memchr::memchr2(b'\'', b'\n', rest)?,
        };
        let end = self.at + 1 + length;
        let is_end = self.bytes[end] == quote && self.bytes.get(end + 1) != Some(&b'\'');
        is_end.then_some(end)
    }

    /// Reads a quoted text into the buffer; `Some(None)` when it does not end on its line.
    pub(super) fn quoted_on_one_line(&mut self) -> Option<Option<()>> {
        let quote = self.bytes[self.at];
        self.at += 1;
        self.buffer.clear();
        Some((self.quoted_part(quote)? == End::Quote).then_some(()))
    }

    fn quoted_lines(&mut self, parent: isize) -> Option<()> {
        let quote = self.bytes[self.at];
        self.at += 1;
        self.buffer.clear();
        while self.quoted_part(quote)? == End::Line {
            let blank_lines = self.next_quoted_line(parent)?;
            push_fold(&mut self.buffer, blank_lines);
        }
        Some(())
    }

    /// Reads up to the closing quote or the end of the line, without the blanks before it.
    fn quoted_part(&mut self, quote: u8) -> Option<End> {
        // Escaped blanks at the end of a line stay.
        let mut keep = self.buffer.len();
        loop {
            self.push_run(quote)?;
            match self.bytes[self.at] {
                b'\n' => {
                    let kept = self.buffer[keep..].trim_end_matches(' ').len();
                    self.buffer.truncate(keep + kept);
                    return Some(End::Line);
                }
                b'\t' => return None,
                b'\\' => {
                    self.escape()?;
                    keep = self.buffer.len();
                }
                _ if quote == b'\'' && self.bytes.get(self.at + 1) == Some(&quote) => {
                    self.buffer.push('\'');
                    self.at += 2;
                }
                _ => {
                    self.at += 1;
                    return Some(End::Quote);
                }
            }
        }
    }

    /// Appends the characters up to one that means something.
    fn push_run(&mut self, quote: u8) -> Option<()> {
        let start = self.at;
        let means_something = |byte: u8| match byte {
            b'\n' | b'\t' => true,
            b'\\' => quote == b'"',
            byte => byte == quote,
        };
        while !means_something(*self.bytes.get(self.at)?) {
            self.at += 1;
        }
        self.buffer.push_str(&self.text[start..self.at]);
        Some(())
    }

    /// Goes to the first character of the next line that has one, and says how many blank ones were passed.
    fn next_quoted_line(&mut self, parent: isize) -> Option<usize> {
        let mut blank_lines = 0;
        loop {
            self.skip_line();
            self.skip_spaces();
            match self.bytes.get(self.at)? {
                b'\n' => blank_lines += 1,
                b'\t' => return None,
                _ => break,
            }
        }
        let column = (self.at - self.line_start) as isize;
        (column > parent && column > 0).then_some(blank_lines)
    }

    /// Appends what the escape at the cursor stands for.
    fn escape(&mut self) -> Option<()> {
        let letter = *self.bytes.get(self.at + 1)?;
        self.at += 2;
        let digits = match letter {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => {
                self.buffer.push(simple_escape(letter)?);
                return Some(());
            }
        };
        let hex = self.text.get(self.at..self.at + digits)?;
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let char = char::from_u32(u32::from_str_radix(hex, 16).ok()?)?;
        if is_unreadable(char) {
            return None;
        }
        self.buffer.push(char);
        self.at += digits;
        Some(())
    }
}

fn simple_escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'0' => '\0',
        b'a' => '\x07',
        b'b' => '\x08',
        b't' => '\t',
        b'n' => '\n',
        b'v' => '\x0b',
        b'f' => '\x0c',
        b'r' => '\r',
        b'e' => '\x1b',
        b' ' => ' ',
        b'"' => '"',
        b'/' => '/',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
