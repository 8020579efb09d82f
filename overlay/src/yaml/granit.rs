//! Reading any YAML at all: the events of granit-parser, as go-yaml would understand them.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag as EventTag};

use super::builder::{Builder, ScalarEvent};
use super::limits::Limits;
use super::problem::{Problem, ProblemKind};
use super::resolve::{is_infinite, resolve};
use super::split::Piece;
use super::{Dialect, Mark, Node, Scalar, Style, Tag, Value};

/// What scalars and marks need to know.
#[derive(Clone, Copy)]
struct Setting {
    dialect: Dialect,
    file: u16,
    lines_before: u32,
}

/// Reads the document of one piece; `None` when it is empty.
pub(super) fn read_piece(
    builder: &mut Builder,
    piece: &Piece<'_>,
    dialect: Dialect,
    file: u16,
    limits: Limits,
) -> Result<Option<Node>, Problem> {
    let setting = Setting {
        dialect,
        file,
        lines_before: piece.lines_before,
    };
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
        block_scalar_eof_without_line_feed: true,
        bom_inside_document_as_content: true,
    };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(piece.text, options) {
        let (event, span) = event.map_err(|error| syntax(&error, setting))?;
        let mark = setting.mark(&span);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(ProblemKind::AfterEnd.at(mark.line, u32::from(mark.column)));
                }
            }
            event => apply(builder, event, &span, setting)?,
        }
    }
    Ok(builder.take_document())
}

fn apply(
    builder: &mut Builder,
    event: Event<'_>,
    span: &Span,
    setting: Setting,
) -> Result<(), Problem> {
    let mark = setting.mark(span);
    match event {
        Event::Alias(anchor) => builder.alias(anchor, mark),
        Event::Scalar(text, style, anchor, tag) => {
            let empty = style == ScalarStyle::Plain && span.is_empty();
            let text = if empty { Cow::Borrowed("") } else { text };
            builder.scalar(scalar(text, style, tag.as_deref(), mark, setting, anchor)?)
        }
        Event::SequenceStart(_, anchor, _) => builder.begin_sequence(mark, anchor),
        Event::MappingStart(_, anchor, _) => builder.begin_mapping(mark, anchor),
        Event::SequenceEnd | Event::MappingEnd => builder.end(),
        _ => Ok(()),
    }
}

fn scalar(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&EventTag>,
    mark: Mark,
    setting: Setting,
    anchor: usize,
) -> Result<ScalarEvent, Problem> {
    let style = style_of(style);
    let kind = scalar_type(&text, style, tag, setting.dialect)
        .and_then(|kind| refuse_infinite(&text, kind))
        .map_err(|kind| kind.at(mark.line, u32::from(mark.column)))?;
    let is_merge = text == "<<" && style == Style::Plain && tag.is_none();
    let value = Value::Scalar(Scalar {
        text: text.as_ref().into(),
        tag: kind,
        style,
    });
    Ok(ScalarEvent {
        node: Node { value, mark },
        is_merge,
        anchor,
    })
}

fn refuse_infinite(text: &str, kind: Tag) -> Result<Tag, ProblemKind> {
    if kind == Tag::Float && is_infinite(text) {
        return Err(ProblemKind::NotFinite(text.to_owned()));
    }
    Ok(kind)
}

/// The type of a scalar: by its tag if it has one, by its text if it is plain.
fn scalar_type(
    text: &str,
    style: Style,
    tag: Option<&EventTag>,
    dialect: Dialect,
) -> Result<Tag, ProblemKind> {
    let Some(tag) = tag.filter(|tag| tag.parts() != ("", "!") && tag.parts() != ("!", "")) else {
        return Ok(match style {
            Style::Plain => resolve(text, dialect),
            _ => Tag::Str,
        });
    };
    let Some(name) = tag.suffix_in_namespace("tag:yaml.org,2002:") else {
        return Ok(Tag::Str);
    };
    let wanted = match name.as_ref() {
        "null" => Tag::Null,
        "bool" => Tag::Bool,
        "int" => Tag::Int,
        "float" => Tag::Float,
        "timestamp" => Tag::Timestamp,
        "binary" => return Ok(Tag::Binary),
        _ => return Ok(Tag::Str),
    };
    let timed = if wanted == Tag::Timestamp {
        Dialect::Kustomize
    } else {
        dialect
    };
    match (wanted, resolve(text, timed)) {
        (Tag::Float, Tag::Int) => Ok(Tag::Float),
        (wanted, found) if wanted == found => Ok(wanted),
        _ => Err(ProblemKind::TagMismatch {
            text: text.to_owned(),
            tag: format!("!!{name}"),
        }),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

impl Setting {
    fn mark(self, span: &Span) -> Mark {
        Mark {
            line: self.lines_before + span.start.line() as u32,
            column: u16::try_from(span.start.col() + 1).unwrap_or(u16::MAX),
            file: self.file,
        }
    }
}

fn syntax(error: &ScanError, setting: Setting) -> Problem {
    let marker = error.marker();
    ProblemKind::Syntax(error.info()).at(
        setting.lines_before + marker.line() as u32,
        marker.col() as u32 + 1,
    )
}
