//! Reading any YAML at all: the events of granit-parser, as go-yaml would understand them.

use std::borrow::Cow;

use granit_parser::{
    ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag as EventTag,
};

use super::builder::{Builder, ScalarEvent};
use super::old_breaks::fold_old_breaks;
use super::problem::{Problem, ProblemKind};
use super::read::{Source, is_unreadable};
use super::resolve::is_infinite;
use super::split::Piece;
use super::tag::scalar_type;
use super::{Dialect, Mark, Node, Scalar, Style, Tag, Value};

/// Reads one document from events.
struct EventReader<'b> {
    builder: &'b mut Builder,
    dialect: Dialect,
    file: u16,
    lines_before: u32,
    /// How many flow collections are open; block collections cannot stand in them.
    flow_depth: usize,
}

/// Reads the document of one piece; `None` when it is empty.
pub(super) fn read_piece(
    builder: &mut Builder,
    piece: &Piece<'_>,
    source: &Source<'_>,
) -> Result<Option<Node>, Problem> {
    let mut reader = EventReader {
        builder,
        dialect: source.dialect,
        file: source.file,
        lines_before: piece.lines_before,
        flow_depth: 0,
    };
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: source.limits.depth,
        block_nesting_limit: source.limits.depth,
        block_scalar_eof_without_line_feed: true,
        bom_inside_document_as_content: true,
    };
    let mut document = None;
    for event in Parser::new_from_str_with_options(piece.text, options) {
        let (event, span) = event.map_err(|error| reader.syntax(&error, source))?;
        match event {
            Event::DocumentEnd => keep_first(&mut document, reader.builder.take_document())?,
            event => reader.apply(event, &span)?,
        }
    }
    Ok(document)
}

/// Documents end where the file is cut; text behind `...` would be lost in kustomize without a word.
fn keep_first(document: &mut Option<Node>, next: Option<Node>) -> Result<(), Problem> {
    match next {
        Some(node) if document.is_some() && !node.is_null() => {
            Err(ProblemKind::AfterEnd.at(node.mark.line, u32::from(node.mark.column)))
        }
        Some(node) => {
            document.get_or_insert(node);
            Ok(())
        }
        None => Ok(()),
    }
}

impl EventReader<'_> {
    fn apply(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let mark = self.mark(span);
        match event {
            Event::Alias(anchor) => self.builder.alias(anchor, mark),
            Event::Scalar(text, style, anchor, tag) => {
                let is_empty = style == ScalarStyle::Plain && span.is_empty();
                let text = if is_empty { Cow::Borrowed("") } else { text };
                let style = style_of(style);
                let text = fold_old_breaks(text, style, span.start.col());
                let is_merge = text == "<<" && style == Style::Plain && tag.is_none();
                let node = self.scalar(&text, style, tag.as_deref(), mark)?;
                self.builder.scalar(ScalarEvent {
                    node,
                    is_merge,
                    anchor,
                })
            }
            Event::SequenceStart(style, anchor, _) => {
                self.enter(style);
                self.builder.begin_sequence(mark, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.enter(style);
                self.builder.begin_mapping(mark, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.flow_depth = self.flow_depth.saturating_sub(1);
                self.builder.end()
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, style: StructureStyle) {
        if style == StructureStyle::Flow || self.flow_depth > 0 {
            self.flow_depth += 1;
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: Style,
        tag: Option<&EventTag>,
        mark: Mark,
    ) -> Result<Node, Problem> {
        let kind = scalar_type(text, style, tag, self.dialect)
            .and_then(|kind| self.check_scalar(text, style, kind).map(|()| kind))
            .map_err(|kind| kind.at(mark.line, u32::from(mark.column)))?;
        // kustomize prints what it has read before it reads it again: in flow collections an empty value as `''`.
        let is_reread = self.flow_depth > 0 && self.dialect == Dialect::Kustomize;
        let kind = if is_reread && text.is_empty() {
            Tag::Str
        } else {
            kind
        };
        let value = Value::Scalar(Scalar {
            text: text.into(),
            tag: kind,
            style,
        });
        Ok(Node { value, mark })
    }

    /// Refuses what JSON cannot hold, and what kustomize could not read again from its own JSON.
    fn check_scalar(&self, text: &str, style: Style, kind: Tag) -> Result<(), ProblemKind> {
        if kind == Tag::Float && is_infinite(text) {
            return Err(ProblemKind::NotFinite(text.to_owned()));
        }
        let may_escape = style == Style::Double && self.dialect == Dialect::Kustomize;
        match text.chars().find(|char| may_escape && is_unreadable(*char)) {
            Some(char) => Err(ProblemKind::Control(u32::from(char))),
            None => Ok(()),
        }
    }

    fn mark(&self, span: &Span) -> Mark {
        Mark {
            line: self.lines_before + span.start.line() as u32,
            column: u16::try_from(span.start.col() + 1).unwrap_or(u16::MAX),
            file: self.file,
        }
    }

    fn syntax(&self, error: &ScanError, source: &Source<'_>) -> Problem {
        let marker = error.marker();
        let line = self.lines_before + marker.line() as u32;
        let column = marker.col() as u32 + 1;
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => source.limits.too_deep(line, column),
            _ => ProblemKind::Syntax(error.info()).at(line, column),
        }
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
