//! Moving through lines: blanks, comments, document marks, places.

use super::super::Mark;
use super::BlockReader;

impl BlockReader<'_> {
    /// Goes to the first content, past a `---` on a line of its own.
    pub(super) fn skip_document_start(&mut self) -> Option<()> {
        self.find_content(true)?;
        if self.column == 0 && self.bytes[self.at..].starts_with(b"---") {
            self.at += 3;
            self.next_line()?;
        }
        self.refuse_document_mark()
    }

    /// Ends the line, on which only blanks and a comment may follow, and goes to the next content.
    pub(super) fn next_line(&mut self) -> Option<()> {
        let before = self.at;
        self.skip_spaces();
        let is_comment = match self.bytes.get(self.at) {
            None | Some(b'\n') => false,
            Some(b'#') if self.at > before || self.after_space() => true,
            _ => return None,
        };
        self.skip_line();
        self.find_content(false)?;
        self.passed_comment |= is_comment;
        Some(())
    }

    /// From the start of a line to the next content; sets the column, -1 at the end of the text.
    pub(super) fn find_content(&mut self, is_first: bool) -> Option<()> {
        self.blank_lines = 0;
        self.passed_comment = false;
        loop {
            self.skip_spaces();
            match self.bytes.get(self.at) {
                None => {
                    self.column = -1;
                    return Some(());
                }
                Some(b'\n') => self.blank_lines += 1,
                Some(b'#') => self.passed_comment = true,
                Some(b'\t' | b'\r') => return None,
                Some(byte) => {
                    self.column = (self.at - self.line_start) as isize;
                    let is_mark = self.column == 0 && matches!(byte, b'-' | b'.') && !is_first;
                    return if is_mark {
                        self.refuse_document_mark()
                    } else {
                        Some(())
                    };
                }
            }
            self.skip_line();
        }
    }

    fn refuse_document_mark(&self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        (!rest.starts_with(b"---") && !rest.starts_with(b"...")).then_some(())
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// Goes to the start of the next line.
    pub(super) fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        match memchr::memchr(b'\n', rest) {
            Some(length) => {
                self.at += length + 1;
                self.line_start = self.at;
                self.line += 1;
            }
            None => self.at = self.bytes.len(),
        }
    }

    /// Nothing but a comment follows on this line.
    pub(super) fn at_line_end(&self) -> bool {
        match self.bytes.get(self.at) {
            None | Some(b'\n') => true,
            Some(b'#') => self.after_space(),
            _ => false,
        }
    }

    pub(super) fn after_space(&self) -> bool {
        self.at == self.line_start || self.bytes[self.at - 1] == b' '
    }

    /// A list's `- ` comes next.
    pub(super) fn at_dash(&self) -> bool {
        self.bytes.get(self.at) == Some(&b'-') && self.is_blank_at(self.at + 1)
    }

    /// A blank, a line's end or the text's end.
    pub(super) fn is_blank_at(&self, index: usize) -> bool {
        matches!(self.bytes.get(index), None | Some(b' ' | b'\n' | b'\t'))
    }

    /// The place of the next character.
    pub(super) fn mark(&self) -> Mark {
        self.mark_at(self.at)
    }

    /// The place of a character of this line.
    pub(super) fn mark_at(&self, index: usize) -> Mark {
        let before = &self.bytes[self.line_start..index];
        let characters = if before.is_ascii() {
            before.len()
        } else {
            self.text[self.line_start..index].chars().count()
        };
        Mark {
            line: self.line,
            column: u16::try_from(characters + 1).unwrap_or(u16::MAX),
            file: self.file,
        }
    }
}
