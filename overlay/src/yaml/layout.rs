//! YAML and JSON as they lie in a text: every key, item and value with its range of bytes, for those who change a
//! part of a file and leave every other byte.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag as EventTag};

use super::limits::Limits;
use super::split::split_documents;
use super::tag::scalar_type;
use super::{Dialect, Style, Tag};

/// A document of a text.
#[derive(Clone, Debug)]
pub struct LaidDocument {
    /// From behind its separator to before the next one.
    pub range: Range<usize>,
    /// What it holds; nothing when it is empty.
    pub root: Option<Laid>,
}

/// A value as it lies in the text.
#[derive(Clone, Debug)]
pub struct Laid {
    /// Its bytes, with anchor, tag and the header of a block scalar; an empty value has an empty range.
    pub range: Range<usize>,
    /// It has an anchor or a tag.
    pub is_decorated: bool,
    /// What it is.
    pub value: LaidValue,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum LaidValue {
    /// A scalar: its value, not its notation.
    Scalar {
        /// The value as text.
        text: String,
        /// Its type.
        tag: Tag,
        /// How it was written.
        style: Style,
    },
    /// `*name`, as written.
    Alias(String),
    /// A list.
    Sequence(Collection),
    /// A mapping.
    Mapping(Collection),
}

/// The children of a list or mapping.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Written in brackets.
    pub is_flow: bool,
    /// In the order written.
    pub children: Vec<Child>,
}

/// An item of a list, or an entry of a mapping.
#[derive(Clone, Debug)]
pub struct Child {
    /// The key; empty for items.
    pub key: String,
    /// Where the key begins, or the dash of an item.
    pub start: usize,
    /// Behind the colon or dash.
    pub after: usize,
    /// The value.
    pub value: Laid,
}

/// Why a text cannot be laid out: it is no YAML, or has a form that is not changed in place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// A form that few know: `? key`, a key that is a collection or that repeats, text behind `...`.
    #[error("{0} cannot be changed in place")]
    Form(&'static str),
}

impl Child {
    /// Where the child ends: behind its value, or behind colon or dash when it has none.
    pub fn end(&self) -> usize {
        self.value.range.end.max(self.after)
    }
}

/// Lays out all documents of a text.
pub fn lay_out(text: &str) -> Result<Vec<LaidDocument>, LayoutError> {
    let limits = Limits::default();
    if text.len() > limits.bytes {
        return Err(LayoutError::Form("a file of this size"));
    }
    let pieces = split_documents(text, limits.documents).map_err(|bad| {
        LayoutError::Syntax(format!("a separator has text behind it: {}", bad.text))
    })?;
    pieces
        .iter()
        .map(|piece| {
            let start = piece.text.as_ptr() as usize - text.as_ptr() as usize;
            let range = start..start + piece.text.len();
            let root = Reader::new(text, range.clone()).read()?;
            Ok(LaidDocument { range, root })
        })
        .collect()
}

/// A collection whose children are being read.
struct Open {
    is_mapping: bool,
    collection: Collection,
    start: usize,
    is_decorated: bool,
    /// The key that waits for its value: the text, where it begins, behind its colon.
    key: Option<(String, usize, usize)>,
    /// Where the reader is between two children.
    at: usize,
}

struct Reader<'t> {
    text: &'t str,
    range: Range<usize>,
    open: Vec<Open>,
    root: Option<Laid>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, range: Range<usize>) -> Self {
        Self {
            text,
            range,
            open: Vec::new(),
            root: None,
            nodes: 0,
        }
    }

    fn read(mut self) -> Result<Option<Laid>, LayoutError> {
        let limits = Limits::default();
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: limits.depth,
            block_nesting_limit: limits.depth,
            block_scalar_eof_without_line_feed: true,
            bom_inside_document_as_content: true,
        };
        for event in Parser::new_from_str_with_options(&self.text[self.range.clone()], options) {
            let (event, span) = event.map_err(|error| LayoutError::Syntax(error.to_string()))?;
            self.nodes += usize::from(event.is_node());
            if self.nodes > limits.nodes {
                return Err(LayoutError::Form("a document with so many nodes"));
            }
            self.apply(event, &span)?;
        }
        Ok(self.root)
    }

    fn apply(&mut self, event: Event<'_>, span: &Span) -> Result<(), LayoutError> {
        let bytes = span.byte_range().unwrap_or_default();
        let bytes = bytes.start + self.range.start..bytes.end + self.range.start;
        match event {
            Event::Alias(_) => {
                let name = self.text[bytes.clone()].to_owned();
                self.place(bytes, LaidValue::Alias(name), false)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_decorated = anchor != 0 || tag.is_some();
                let value = scalar(&text, style, bytes.is_empty(), tag.as_deref());
                self.place(bytes, value, is_decorated)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.begin(false, style, bytes.start, anchor != 0 || tag.is_some())
            }
            Event::MappingStart(style, anchor, tag) => {
                self.begin(true, style, bytes.start, anchor != 0 || tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(bytes.end),
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        is_mapping: bool,
        style: StructureStyle,
        start: usize,
        is_decorated: bool,
    ) -> Result<(), LayoutError> {
        if let Some(parent) = self.open.last()
            && parent.is_mapping
            && parent.key.is_none()
        {
            return Err(LayoutError::Form("a key that is a collection"));
        }
        let is_flow = style == StructureStyle::Flow;
        let behind_colon = self.open.last().and_then(|parent| parent.key.as_ref());
        let start = match behind_colon {
            // The parser puts a list that is not indented behind its first dash.
            Some((_, _, after)) if !is_flow && !is_mapping => {
                skip_properties(self.text, *after, self.range.end)
            }
            _ => start,
        };
        self.open.push(Open {
            is_mapping,
            collection: Collection {
                is_flow,
                children: Vec::new(),
            },
            start,
            is_decorated,
            key: None,
            at: start + usize::from(is_flow),
        });
        Ok(())
    }

    fn end(&mut self, flow_end: usize) -> Result<(), LayoutError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let end = match open.collection.is_flow {
            true => flow_end,
            false => open
                .collection
                .children
                .last()
                .map_or(open.start, Child::end),
        };
        let value = match open.is_mapping {
            true => LaidValue::Mapping(open.collection),
            false => LaidValue::Sequence(open.collection),
        };
        self.place(open.start..end, value, open.is_decorated)
    }

    /// A value that is whole: a key, a child of what is open, or the root.
    fn place(
        &mut self,
        bytes: Range<usize>,
        value: LaidValue,
        is_decorated: bool,
    ) -> Result<(), LayoutError> {
        let text = self.text;
        let limit = self.range.end;
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                return Err(LayoutError::Form("text behind the end of a document"));
            }
            let start = if matches!(value, LaidValue::Scalar { .. }) {
                self.range.start
            } else {
                bytes.start
            };
            let is_null = matches!(&value, LaidValue::Scalar { tag: Tag::Null, .. });
            self.root = (!is_null).then_some(Laid {
                range: start..bytes.end,
                is_decorated,
                value,
            });
            return Ok(());
        };
        if open.is_mapping && open.key.is_none() {
            open.key = Some(key(text, limit, open, bytes, &value)?);
            return Ok(());
        }
        let (key, start, after) = match open.key.take() {
            Some(key) => key,
            None if open.collection.is_flow => {
                let start = skip_blank(text, open.at, limit, b",");
                (String::new(), start, start)
            }
            None => {
                let dash = skip_blank(text, open.at, limit, b"");
                if text.as_bytes().get(dash) != Some(&b'-') {
                    return Err(LayoutError::Form("this list"));
                }
                (String::new(), dash, dash + 1)
            }
        };
        let range = range(text, after, limit, &bytes, &value);
        open.at = range.end.max(after);
        let value = Laid {
            range,
            is_decorated,
            value,
        };
        open.collection.children.push(Child {
            key,
            start,
            after,
            value,
        });
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, is_empty: bool, tag: Option<&EventTag>) -> LaidValue {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    };
    let text = if is_empty && style == Style::Plain {
        ""
    } else {
        text
    };
    LaidValue::Scalar {
        tag: scalar_type(text, style, tag, Dialect::Kustomize).unwrap_or(Tag::Str),
        text: text.to_owned(),
        style,
    }
}

/// A key, and what stands behind its colon; in brackets a key may stand without one.
fn key(
    text: &str,
    limit: usize,
    open: &Open,
    bytes: Range<usize>,
    value: &LaidValue,
) -> Result<(String, usize, usize), LayoutError> {
    let LaidValue::Scalar { text: name, .. } = value else {
        return Err(LayoutError::Form("a key that is an alias"));
    };
    if open
        .collection
        .children
        .iter()
        .any(|child| child.key == *name)
    {
        return Err(LayoutError::Form("a mapping with a key twice"));
    }
    let before = text[..bytes.start].trim_end_matches([' ', '\t']);
    if before.ends_with('?') {
        return Err(LayoutError::Form("a key behind `?`"));
    }
    let colon = skip_blank(text, bytes.end, limit, b"");
    let after = match text.as_bytes().get(colon) {
        Some(b':') => colon + 1,
        _ if open.collection.is_flow => bytes.end,
        _ => return Err(LayoutError::Form("a key without a colon")),
    };
    Ok((name.clone(), bytes.start, after))
}

/// The bytes of a value that begins somewhere behind `after`.
fn range(
    text: &str,
    after: usize,
    limit: usize,
    bytes: &Range<usize>,
    value: &LaidValue,
) -> Range<usize> {
    let start = skip_blank(text, after, limit, b"");
    match value {
        LaidValue::Scalar {
            style: Style::Literal | Style::Folded,
            ..
        } => {
            let header = text[start..limit]
                .find('\n')
                .map_or(limit, |end| start + end);
            let content = text[..bytes.end.max(start)].trim_end().len();
            let header = text[..header].trim_end().len();
            start..content.max(header)
        }
        _ if bytes.is_empty() => {
            // Nothing, or a tag or anchor with nothing behind it.
            let end = bytes.end.clamp(after, limit);
            match text[after..end].trim().is_empty() || start >= end {
                true => after..after,
                false => start..text[..end].trim_end().len(),
            }
        }
        _ => start.min(bytes.start)..bytes.end,
    }
}

/// The first byte that is neither blank nor part of a comment nor one of those to skip besides.
fn skip_blank(text: &str, from: usize, limit: usize, besides: &[u8]) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < limit {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => {
                at = memchr::memchr(b'\n', &bytes[at..limit]).map_or(limit, |end| at + end);
            }
            byte if besides.contains(&byte) => at += 1,
            _ => break,
        }
    }
    at
}

/// The first byte behind anchors and tags.
fn skip_properties(text: &str, from: usize, limit: usize) -> usize {
    let mut at = skip_blank(text, from, limit, b"");
    while matches!(text.as_bytes().get(at), Some(b'&' | b'!')) {
        let end = text[at..limit].find(|char: char| char.is_ascii_whitespace());
        at = skip_blank(text, end.map_or(limit, |end| at + end), limit, b"");
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each child as `path=start..after|value's bytes`.
    fn listing(text: &str) -> Vec<String> {
        fn walk(text: &str, path: &str, laid: &Laid, out: &mut Vec<String>) {
            match &laid.value {
                LaidValue::Sequence(collection) | LaidValue::Mapping(collection) => {
                    for (index, child) in collection.children.iter().enumerate() {
                        let name = if child.key.is_empty() {
                            index.to_string()
                        } else {
                            child.key.clone()
                        };
                        let path = format!("{path}/{name}");
                        let head = &text[child.start..child.after];
                        if matches!(
                            child.value.value,
                            LaidValue::Scalar { .. } | LaidValue::Alias(_)
                        ) {
                            let value = &text[child.value.range.clone()];
                            out.push(format!("{path} {head:?} {value:?}"));
                        }
                        walk(text, &path, &child.value, out);
                    }
                }
                _ => {}
            }
        }
        let mut out = Vec::new();
        for document in lay_out(text).expect("YAML") {
            if let Some(root) = &document.root {
                walk(text, "", root, &mut out);
            }
        }
        out
    }

    #[test]
    fn every_key_and_value_has_its_bytes() {
        let text = "# head\n---\na: 1 # é\nb:\n  # between\n  - x\n  - name: y\n    \"v\" : 'q'\n  -\n  - - deep\n\
                    c: |\n  text\n\n  more\n\n# after\nd: >-\n    folded\ne:\nf: {a: 1, b: [x, 'y z'], c}\n\
                    g: &anchor !!str val\nh: *anchor\ni:\n- one\n- # odd\n  two\nj: multi\n  line\nk: &m\n  z: 1\n";
        let want = [
            r#"/a "a:" "1""#,
            r#"/b/0 "-" "x""#,
            r#"/b/1/name "name:" "y""#,
            r#"/b/1/v "\"v\" :" "'q'""#,
            r#"/b/2 "-" """#,
            r#"/b/3/0 "-" "deep""#,
            r#"/c "c:" "|\n  text\n\n  more""#,
            r#"/d "d:" ">-\n    folded""#,
            r#"/e "e:" """#,
            r#"/f/a "a:" "1""#,
            r#"/f/b/0 "" "x""#,
            r#"/f/b/1 "" "'y z'""#,
            r#"/f/c "c" """#,
            r#"/g "g:" "&anchor !!str val""#,
            r#"/h "h:" "*anchor""#,
            r#"/i/0 "-" "one""#,
            r#"/i/1 "-" "two""#,
            r#"/j "j:" "multi\n  line""#,
            r#"/k/z "z:" "1""#,
        ];
        assert_eq!(listing(text), want);
        let windows = text.replace('\n', "\r\n");
        let unix: Vec<String> = listing(&windows)
            .iter()
            .map(|line| line.replace("\\r", ""))
            .collect();
        assert_eq!(unix, want);
    }

    #[test]
    fn json_and_several_documents_are_laid_out() {
        let json = "{\n\t\"a\": 1,\n  \"b\": [\n    1, {\"c\": null}\n  ]\n}\n";
        let want = [
            r#"/a "\"a\":" "1""#,
            r#"/b/0 "" "1""#,
            r#"/b/1/c "\"c\":" "null""#,
        ];
        assert_eq!(listing(json), want);
        let text = "a: 1\n---\n# no\n---\nb: 2\n";
        let documents = lay_out(text).expect("YAML");
        let ranges: Vec<&str> = documents
            .iter()
            .map(|found| &text[found.range.clone()])
            .collect();
        assert_eq!(ranges, ["a: 1\n", "# no\n", "b: 2\n"]);
        assert!(documents[1].root.is_none());
    }

    #[test]
    fn odd_forms_are_refused() {
        for text in [
            "? a\n: b\n",
            "[a]: b\n",
            "a: 1\na: 2\n",
            "a: [\n",
            "a: 1\n...\nb: 2\n",
        ] {
            assert!(lay_out(text).is_err(), "{text:?}");
        }
    }
}
