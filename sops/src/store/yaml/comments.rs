//! Comments between tokens: which are heads of what follows, which are feet of what went before, which stand beside.
//!
//! go-yaml decides this while it scans, by columns, blank lines and the tokens around; the same decisions are made here
//! from the tokens' places.

use super::tokens::{Kind, Token, Tokens};

/// A place in the file: byte, line and column from 0 (columns of comment marks count from 1, as in go-yaml).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: isize,
    pub(super) column: isize,
}

/// How far ahead a comment is looked for.
const LOOKAHEAD: usize = 512;

/// Comment lines that belong together, each with its `#`.
#[derive(Debug, Default)]
pub(super) struct Comment {
    scan_mark: Mark,
    /// The token that the comment goes to is the first at or behind this place.
    pub(super) token_mark: Mark,
    start_mark: Mark,
    end_mark: Mark,
    pub(super) head: String,
    pub(super) line: String,
    pub(super) foot: String,
}

/// A scan under way: the text up to `mark` is done.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    mark: Mark,
    tokens: Vec<Token>,
    comments: Vec<Comment>,
    /// Tokens without a text of their own that come right before the next one.
    expected: Vec<Kind>,
    indents: Vec<isize>,
    flow_level: usize,
    block_scalar: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            mark: Mark::default(),
            tokens: Vec::new(),
            comments: Vec::new(),
            expected: Vec::new(),
            indents: Vec::new(),
            flow_level: 0,
            block_scalar: false,
        }
    }

    pub(super) fn finish(self) -> Tokens {
        Tokens {
            tokens: self.tokens,
            comments: self.comments,
        }
    }

    /// The byte at a place; 0 behind the end.
    pub(super) fn letter(&self, index: usize) -> u8 {
        self.text.get(index).copied().unwrap_or(0)
    }

    /// A token without a text of its own.
    pub(super) fn expect(&mut self, kind: Kind) {
        self.expected.push(kind);
    }

    /// The next token is a block scalar.
    pub(super) fn block_scalar_follows(&mut self) {
        self.block_scalar = true;
    }

    /// A token with a text: the comments before and beside it are found.
    pub(super) fn token(&mut self, mut token: Token, mut end: usize, spread: bool) {
        let scan_mark = self.mark;
        self.gap(token.start.index);
        if token.kind == Kind::BlockEntry || self.block_scalar {
            // The scanner gives the place behind the dash and its blanks, and that of a block scalar's first line.
            token.start = self.mark;
        }
        if token.kind.is_indicator() {
            end = token.start.index + 1;
        }
        self.advance(token.start.index);
        self.unroll(token.start.column, scan_mark);
        let standalone = matches!(
            token.kind,
            Kind::StreamEnd | Kind::DocumentStart | Kind::DocumentEnd | Kind::TagDirective { .. }
        );
        if standalone {
            self.unroll(-1, self.mark);
        }
        let beside = self.beside(&token);
        for kind in std::mem::take(&mut self.expected) {
            if self.flow_level == 0
                && matches!(kind, Kind::BlockSequenceStart | Kind::BlockMappingStart)
            {
                self.indents.push(token.start.column);
            }
            let start = token.start;
            self.tokens.push(Token { kind, start });
        }
        match token.kind {
            Kind::FlowSequenceStart | Kind::FlowMappingStart => self.flow_level += 1,
            Kind::FlowSequenceEnd | Kind::FlowMappingEnd => {
                self.flow_level = self.flow_level.saturating_sub(1);
            }
            _ => {}
        }
        let entry = token.kind == Kind::BlockEntry;
        let start = token.start;
        self.tokens.push(token);
        if std::mem::take(&mut self.block_scalar) {
            self.block_scalar_header(start);
        }
        self.advance(end.max(self.mark.index));
        if spread {
            self.blanks();
        }
        // A dash alone has no comment beside it: it becomes the head of what follows.
        if !standalone && !entry {
            self.line_comment(beside);
        }
    }

    /// The token that a comment on the same line belongs to.
    fn beside(&self, token: &Token) -> Mark {
        let previous = matches!(
            (&token.kind, self.flow_level),
            (Kind::Value, 0) | (Kind::FlowEntry, 1..)
        );
        match self.tokens.last() {
            Some(last) if previous => last.start,
            _ => token.start,
        }
    }

    fn indent(&self) -> isize {
        self.indents.last().copied().unwrap_or(-1)
    }

    /// Moves on, counting lines and columns.
    fn advance(&mut self, to: usize) {
        while self.mark.index < to.min(self.text.len()) {
            let byte = self.letter(self.mark.index);
            self.mark.index += 1;
            let paired = byte == b'\r' && self.letter(self.mark.index) == b'\n';
            if is_break(byte) && !paired {
                self.mark.line += 1;
                self.mark.column = 0;
            } else if byte & 0xc0 != 0x80 && !paired {
                self.mark.column += 1;
            }
        }
    }

    fn blanks(&mut self) {
        let count = self.text[self.mark.index..]
            .iter()
            .take_while(|&&byte| is_blank(byte) || is_break(byte))
            .count();
        self.advance(self.mark.index + count);
    }

    /// The line breaks right before the current place, blanks apart.
    fn newlines(&self) -> isize {
        let mut count = 0;
        for (index, &byte) in self.text[..self.mark.index].iter().enumerate().rev() {
            match byte {
                b'\n' => count += 1,
                b'\r' if self.letter(index + 1) != b'\n' => count += 1,
                b'\r' | b' ' | b'\t' => {}
                _ => break,
            }
        }
        count
    }

    /// Passes blanks and comments up to the next token.
    fn gap(&mut self, to: usize) {
        let scan_mark = self.mark;
        while self.mark.index < to {
            let count = self.text[self.mark.index..to]
                .iter()
                .take_while(|&&byte| is_blank(byte))
                .count();
            self.advance(self.mark.index + count);
            match self.letter(self.mark.index) {
                b'#' => self.comments_here(scan_mark),
                byte if is_break(byte) => {
                    let crlf = byte == b'\r' && self.letter(self.mark.index + 1) == b'\n';
                    self.advance(self.mark.index + 1 + usize::from(crlf));
                }
                _ => return,
            }
        }
    }

    /// Ends the blocks that are deeper than the column. Each ends before the comments that stand at its own column,
    /// so that those go to what is around it.
    fn unroll(&mut self, column: isize, scan_mark: Mark) {
        if self.flow_level > 0 {
            return;
        }
        let mut block_mark = scan_mark;
        let mut block_index = block_mark.index as isize - 1;
        while self.indent() > column {
            let mut stop = block_index;
            for comment in self.comments.iter().rev() {
                if (comment.end_mark.index as isize) < stop {
                    break;
                }
                if comment.start_mark.column == self.indent() + 1 {
                    block_mark = comment.start_mark;
                    block_index = block_mark.index as isize;
                }
                stop = comment.scan_mark.index as isize;
            }
            let start = Mark {
                index: block_index.max(0) as usize,
                ..block_mark
            };
            self.tokens.push(Token {
                kind: Kind::BlockEnd,
                start,
            });
            self.indents.pop();
        }
    }

    /// The comment in the first line of a block scalar.
    fn block_scalar_header(&mut self, start: Mark) {
        let header = self.text[self.mark.index..]
            .iter()
            .take_while(|byte| matches!(byte, b'|' | b'>' | b'+' | b'-' | b'0'..=b'9'))
            .count();
        self.advance(self.mark.index + header);
        self.comment_to_line_end(start);
    }

    /// The comment behind a token, on its line.
    fn line_comment(&mut self, token_mark: Mark) {
        if self.newlines() == 0 {
            self.comment_to_line_end(token_mark);
        }
    }

    fn comment_to_line_end(&mut self, token_mark: Mark) {
        let blanks = self.text[self.mark.index..]
            .iter()
            .take(LOOKAHEAD)
            .take_while(|&&byte| is_blank(byte))
            .count();
        if self.letter(self.mark.index + blanks) != b'#' {
            return;
        }
        self.advance(self.mark.index + blanks);
        let start_mark = self.mark;
        let line = self.rest_of_line();
        self.comments.push(Comment {
            token_mark,
            start_mark,
            line,
            ..Comment::default()
        });
    }

    fn rest_of_line(&mut self) -> String {
        let rest = &self.text[self.mark.index..];
        let length = rest.iter().take_while(|&&byte| !is_break(byte)).count();
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.advance(self.mark.index + length);
        line
    }

    /// A run of comment lines: feet of the token before them, then the head of the one behind.
    fn comments_here(&mut self, scan_mark: Mark) {
        let mut run = Run::new(self, scan_mark);
        let mut peek = 0;
        while peek < LOOKAHEAD {
            run.column += 1;
            let byte = self.letter(self.mark.index + peek);
            if is_blank(byte) {
                peek += 1;
                continue;
            }
            let here = Mark {
                index: self.mark.index + peek,
                line: run.line,
                column: run.column,
            };
            let closes = self.flow_level > 0 && matches!(byte, b']' | b'}');
            if closes || is_break(byte) || byte == 0 {
                run.line_ends(&mut self.comments, here, closes, byte == 0);
                if !is_break(byte) {
                    break;
                }
                run.first_empty = false;
                run.recent_empty = true;
                run.column = 0;
                run.line += 1;
                peek += 1;
                continue;
            }
            let dedented = run.column - 1 < run.next_indent && run.column != run.start_mark.column;
            if dedented {
                run.foot(&mut self.comments, here);
            }
            if byte != b'#' {
                break;
            }
            run.begin_line(here);
            self.advance(here.index);
            let line = self.rest_of_line();
            run.text.push_str(&line);
            run.column = 0;
            run.line = self.mark.line;
            // The line break itself is passed unseen.
            peek = 1;
        }
        run.head(&mut self.comments, self.mark.index + peek);
    }
}

/// A run of comment lines under way.
struct Run {
    scan_mark: Mark,
    token_mark: Mark,
    start_mark: Mark,
    after_value: bool,
    next_indent: isize,
    first_empty: bool,
    recent_empty: bool,
    foot_line: isize,
    line: isize,
    column: isize,
    text: String,
}

impl Run {
    fn new(scan: &Scan<'_>, scan_mark: Mark) -> Self {
        let token = match &scan.tokens[..] {
            [.., before, last] if last.kind == Kind::FlowEntry => Some(before),
            [.., last] => Some(last),
            [] => None,
        };
        let newlines = scan.newlines();
        let mut foot_line = -1;
        if scan_mark.line > 0 {
            // What still counts as a foot starts on the line below the content, or on the content's own.
            let own_line = newlines == 0 && scan.mark.column > 1;
            foot_line = scan.mark.line - newlines + 1 + isize::from(own_line);
        }
        Self {
            scan_mark,
            token_mark: token.map_or(Mark::default(), |token| token.start),
            start_mark: Mark::default(),
            after_value: token.is_some_and(|token| token.kind == Kind::Value),
            next_indent: scan.indent().max(0),
            first_empty: newlines <= 1,
            recent_empty: false,
            foot_line,
            line: scan.mark.line,
            column: scan.mark.column,
            text: String::new(),
        }
    }

    /// A blank line, the end of the file or the end of a flow collection.
    fn line_ends(&mut self, comments: &mut Vec<Comment>, here: Mark, closes: bool, at_end: bool) {
        if !closes && self.recent_empty {
            return;
        }
        let dedented = self.start_mark.column - 1 < self.next_indent;
        let under_content = self.start_mark.line == self.foot_line && !self.after_value;
        if closes || self.first_empty && (under_content || dedented) {
            if dedented && !self.text.is_empty() {
                // A dedented comment has nothing to do with the token before it.
                self.token_mark = self.start_mark;
            }
            self.foot(comments, here);
        } else if !self.text.is_empty() && !at_end {
            self.text.push('\n');
        }
    }

    fn begin_line(&mut self, here: Mark) {
        if self.text.is_empty() {
            self.start_mark = here;
        } else {
            self.text.push('\n');
        }
        self.recent_empty = false;
    }

    /// What was gathered is a foot.
    fn foot(&mut self, comments: &mut Vec<Comment>, here: Mark) {
        if self.text.is_empty() {
            return;
        }
        comments.push(Comment {
            scan_mark: self.scan_mark,
            token_mark: self.token_mark,
            start_mark: self.start_mark,
            end_mark: here,
            foot: std::mem::take(&mut self.text),
            ..Comment::default()
        });
        self.scan_mark = here;
        self.token_mark = here;
    }

    /// What is left is the head of what follows.
    fn head(self, comments: &mut Vec<Comment>, end: usize) {
        if self.text.is_empty() {
            return;
        }
        comments.push(Comment {
            scan_mark: self.scan_mark,
            token_mark: self.start_mark,
            start_mark: self.start_mark,
            end_mark: Mark {
                index: end.saturating_sub(1),
                line: self.line,
                column: self.column,
            },
            head: self.text,
            ..Comment::default()
        });
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}
