//! The tokens of a YAML file in the order and at the places where go-yaml has them, with its comments.

use std::borrow::Cow;

use granit_parser::{ScalarStyle, Scanner, StrInput, TokenType};

use super::comments::{Comment, Mark, Scan};
use super::{DEPTH_LIMIT, problem};
use crate::error::{Error, Position};

/// What a token is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    StreamEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { plain: bool, text: String },
}

/// A token and where it starts.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: Mark,
}

/// A file as tokens and comments.
pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    pub(super) comments: Vec<Comment>,
}

impl Kind {
    /// One letter long; the scanner's end may lie behind blanks that follow.
    pub(super) fn is_indicator(&self) -> bool {
        matches!(
            self,
            Self::FlowSequenceStart
                | Self::FlowSequenceEnd
                | Self::FlowMappingStart
                | Self::FlowMappingEnd
                | Self::BlockEntry
                | Self::FlowEntry
                | Self::Key
                | Self::Value
        )
    }
}

impl Token {
    /// Where it starts, for people.
    pub(super) fn position(&self) -> Position {
        Position {
            line: self.start.line as u32 + 1,
            column: self.start.column as u32 + 1,
        }
    }
}

/// Scans a file.
pub(super) fn scan(text: &str) -> Result<Tokens, Error> {
    let mut options = granit_parser::options! {
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
        block_nesting_limit: DEPTH_LIMIT,
        flow_nesting_limit: DEPTH_LIMIT,
    };
    options.set_emit_comments(false);
    let mut scan = Scan::new(text);
    for token in Scanner::with_options(StrInput::new(text), options) {
        let token = token.map_err(|refusal| {
            let marker = refusal.marker();
            let position = Position {
                line: marker.line() as u32,
                column: marker.col() as u32 + 1,
            };
            // The scanner's message may quote the file.
            problem("a token is malformed or out of place", position)
        })?;
        let (span, token) = token.into_parts();
        let start = Mark {
            index: span.start.byte_offset().unwrap_or_default(),
            line: span.start.line() as isize - 1,
            column: span.start.col() as isize,
        };
        let end = span.end.byte_offset().unwrap_or(start.index);
        add(&mut scan, token, start, end);
    }
    Ok(scan.finish())
}

fn add(scan: &mut Scan<'_>, token: TokenType<'_>, start: Mark, end: usize) {
    let mut spread = false;
    let kind = match token {
        TokenType::BlockSequenceStart => return scan.expect(Kind::BlockSequenceStart),
        TokenType::BlockMappingStart => return scan.expect(Kind::BlockMappingStart),
        TokenType::Key if scan.letter(start.index) != b'?' || end == start.index => {
            return scan.expect(Kind::Key);
        }
        TokenType::TagDirective(handle, prefix) => Kind::TagDirective {
            handle: handle.into_owned(),
            prefix: prefix.into_owned(),
        },
        TokenType::StreamEnd => Kind::StreamEnd,
        TokenType::DocumentStart => Kind::DocumentStart,
        TokenType::DocumentEnd => Kind::DocumentEnd,
        TokenType::FlowSequenceStart => Kind::FlowSequenceStart,
        TokenType::FlowSequenceEnd => Kind::FlowSequenceEnd,
        TokenType::FlowMappingStart => Kind::FlowMappingStart,
        TokenType::FlowMappingEnd => Kind::FlowMappingEnd,
        TokenType::BlockEntry => Kind::BlockEntry,
        TokenType::FlowEntry => Kind::FlowEntry,
        TokenType::Key => Kind::Key,
        TokenType::Value => Kind::Value,
        TokenType::Alias(name) => Kind::Alias(name.into_owned()),
        TokenType::Anchor(name) => Kind::Anchor(name.into_owned()),
        TokenType::Tag(handle, suffix) => Kind::Tag {
            handle: handle.into_owned(),
            suffix: suffix.into_owned(),
        },
        TokenType::Scalar(style, text) => {
            // Plain and block scalars are read up to the next text: that is how their end is found.
            spread = !matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
            if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                scan.block_scalar_follows();
            }
            Kind::Scalar {
                plain: style == ScalarStyle::Plain,
                text: without_old_indents(text, style, start.column),
            }
        }
        // The end of a block is found again from the columns, since comments move it.
        _ => return,
    };
    scan.token(Token { kind, start }, end, spread);
}

/// Takes out the indentation behind line and paragraph separators: they were line breaks in YAML 1.1, and go-yaml writes
/// and reads them as such.
fn without_old_indents(text: Cow<'_, str>, style: ScalarStyle, column: isize) -> String {
    let limit = match style {
        ScalarStyle::Literal => usize::try_from(column).unwrap_or_default(),
        ScalarStyle::SingleQuoted | ScalarStyle::Plain => usize::MAX,
        // In double quotes a separator is an escape.
        ScalarStyle::DoubleQuoted | ScalarStyle::Folded => return text.into_owned(),
    };
    let mut pieces = text.split_inclusive(['\u{2028}', '\u{2029}']);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let blanks = piece.bytes().take_while(|&byte| byte == b' ').count();
        out.push_str(&piece[blanks.min(limit)..]);
    }
    out
}
