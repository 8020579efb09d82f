//! Nodes with their comments, parsed from the tokens.

use std::collections::HashMap;
use std::rc::Rc;

use super::comments::Comment;
use super::tokens::{Kind, Token, Tokens};
use super::{DEPTH_LIMIT, problem};
use crate::error::{Error, ErrorKind, Position};

/// A document.
pub(super) struct Document {
    pub(super) head: String,
    pub(super) foot: String,
    pub(super) root: Rc<YamlNode>,
}

/// A node and the comments that belong to it, each with its `#`.
#[derive(Clone, Default)]
pub(super) struct YamlNode {
    pub(super) content: Content,
    pub(super) position: Position,
    pub(super) tag: Option<String>,
    pub(super) head: String,
    pub(super) line: String,
    pub(super) foot: String,
}

/// What a node is.
#[derive(Clone)]
pub(super) enum Content {
    Scalar { plain: bool, text: String },
    Sequence(Vec<Rc<YamlNode>>),
    Mapping(Vec<(Rc<YamlNode>, Rc<YamlNode>)>),
    Alias(Rc<YamlNode>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Scalar {
            plain: true,
            text: String::new(),
        }
    }
}

/// Parses all documents.
pub(super) fn parse(tokens: Tokens) -> Result<Vec<Document>, Error> {
    let mut parser = Parser {
        tokens: tokens.tokens,
        at: 0,
        comments: tokens.comments,
        next_comment: 0,
        head: String::new(),
        line: String::new(),
        foot: String::new(),
        stem: String::new(),
        anchors: HashMap::new(),
        handles: HashMap::new(),
        depth: 0,
    };
    let mut documents = Vec::new();
    let mut first = true;
    while let Some(document) = parser.document(first)? {
        documents.push(document);
        first = false;
    }
    Ok(documents)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    comments: Vec<Comment>,
    next_comment: usize,
    // Comments that wait for the node they belong to.
    head: String,
    line: String,
    foot: String,
    stem: String,
    anchors: HashMap<String, Rc<YamlNode>>,
    handles: HashMap<String, String>,
    depth: usize,
}

type Parsed = Result<YamlNode, Error>;

impl Parser {
    /// The next token; comments up to it are gathered.
    fn peek(&mut self) -> &Kind {
        let token = &self.tokens[self.at.min(self.tokens.len() - 1)];
        while let Some(comment) = self.comments.get_mut(self.next_comment) {
            if token.start.index < comment.token_mark.index {
                break;
            }
            if !comment.head.is_empty() {
                // The end of a block has no head: the comment waits for what follows.
                if token.kind == Kind::BlockEnd {
                    break;
                }
                join(&mut self.head, &comment.head);
            }
            join(&mut self.foot, &comment.foot);
            join(&mut self.line, &comment.line);
            self.next_comment += 1;
        }
        &token.kind
    }

    fn skip(&mut self) {
        self.at += 1;
    }

    fn next_is(&mut self, kinds: &[Kind]) -> bool {
        let kind = self.peek();
        kinds.contains(kind)
    }

    fn position(&self) -> Position {
        self.tokens
            .get(self.at)
            .map(Token::position)
            .unwrap_or_default()
    }

    fn refuse<T>(&self, wanted: &str) -> Result<T, Error> {
        Err(problem(wanted, self.position()))
    }

    fn document(&mut self, first: bool) -> Result<Option<Document>, Error> {
        while !first && *self.peek() == Kind::DocumentEnd {
            self.skip();
        }
        if *self.peek() == Kind::StreamEnd {
            return Ok(None);
        }
        self.anchors.clear();
        self.directives();
        let mut head = String::new();
        let root = if *self.peek() == Kind::DocumentStart {
            self.skip();
            let ends = [Kind::DocumentStart, Kind::DocumentEnd, Kind::StreamEnd];
            let directive = matches!(self.peek(), Kind::TagDirective { .. });
            match directive || self.next_is(&ends) {
                true => self.empty(),
                false => self.node(true, false)?,
            }
        } else if first {
            head = self.split_document_head();
            self.node(true, false)?
        } else {
            return self.refuse("a document does not start with ---");
        };
        let mut foot = String::new();
        if *self.peek() == Kind::DocumentEnd {
            self.skip();
        }
        let mut end = YamlNode::default();
        self.attach(&mut end);
        if end.foot.is_empty() {
            end.foot = end.head;
        }
        join(&mut foot, &end.foot);
        Ok(Some(Document {
            head,
            foot,
            root: Rc::new(root),
        }))
    }

    fn directives(&mut self) {
        self.handles.clear();
        self.handles.insert("!".to_owned(), "!".to_owned());
        self.handles
            .insert("!!".to_owned(), "tag:yaml.org,2002:".to_owned());
        while let Kind::TagDirective { handle, prefix } = self.peek() {
            let (handle, prefix) = (handle.clone(), prefix.clone());
            self.handles.insert(handle, prefix);
            self.skip();
        }
    }

    /// The comment lines before the last blank line are the document's; those behind it belong to its first node.
    fn split_document_head(&mut self) -> String {
        let head = std::mem::take(&mut self.head);
        let bytes = head.as_bytes();
        for at in (1..bytes.len()).rev().filter(|&at| bytes[at] == b'\n') {
            if at == bytes.len() - 1 {
                return head[..at].to_owned();
            }
            if bytes[at - 1] == b'\n' {
                self.head = head[at + 1..].to_owned();
                return head[..at - 1].to_owned();
            }
        }
        self.head = head;
        String::new()
    }

    fn empty(&self) -> YamlNode {
        YamlNode {
            position: self.position(),
            ..YamlNode::default()
        }
    }

    /// Gives the comments that wait to a node.
    fn attach(&mut self, node: &mut YamlNode) {
        node.head = std::mem::take(&mut self.head);
        node.line = std::mem::take(&mut self.line);
        node.foot = std::mem::take(&mut self.foot);
        self.stem.clear();
    }

    fn node(&mut self, block: bool, indentless: bool) -> Parsed {
        if self.depth > DEPTH_LIMIT {
            return Err(ErrorKind::TooDeep { limit: DEPTH_LIMIT }.at(self.position()));
        }
        self.depth += 1;
        let parsed = self.any_node(block, indentless);
        self.depth -= 1;
        parsed
    }

    fn any_node(&mut self, block: bool, indentless: bool) -> Parsed {
        if let Kind::Alias(name) = self.peek() {
            let name = name.clone();
            return self.alias(&name);
        }
        let position = self.position();
        let (anchor, tag) = self.properties()?;
        let mut node = YamlNode {
            position,
            tag,
            ..YamlNode::default()
        };
        match self.peek() {
            Kind::BlockEntry if indentless => self.indentless_sequence(&mut node)?,
            Kind::Scalar { plain, text } => {
                node.content = Content::Scalar {
                    plain: *plain,
                    text: text.clone(),
                };
                self.attach(&mut node);
                self.skip();
            }
            Kind::FlowSequenceStart => self.flow_sequence(&mut node)?,
            Kind::FlowMappingStart => self.flow_mapping(&mut node)?,
            Kind::BlockSequenceStart if block => self.block_sequence(&mut node)?,
            Kind::BlockMappingStart if block => self.block_mapping(&mut node)?,
            _ if anchor.is_some() || node.tag.is_some() => {}
            _ => return self.refuse("there is no value where one must be"),
        }
        if let Some(name) = anchor {
            self.anchors.insert(name, Rc::new(node.clone()));
        }
        Ok(node)
    }

    fn alias(&mut self, name: &str) -> Parsed {
        let Some(target) = self.anchors.get(name).cloned() else {
            return self.refuse("an alias has no anchor");
        };
        let mut node = YamlNode {
            content: Content::Alias(target),
            position: self.position(),
            ..YamlNode::default()
        };
        self.attach(&mut node);
        self.skip();
        Ok(node)
    }

    /// The anchor and the tag before a node, in either order.
    fn properties(&mut self) -> Result<(Option<String>, Option<String>), Error> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            match self.peek() {
                Kind::Anchor(name) if anchor.is_none() => anchor = Some(name.clone()),
                Kind::Tag { handle, suffix } if tag.is_none() => {
                    let (handle, suffix) = (handle.clone(), suffix.clone());
                    tag = Some(self.resolve_tag(&handle, &suffix)?);
                }
                _ => return Ok((anchor, tag)),
            }
            self.skip();
        }
    }

    fn resolve_tag(&self, handle: &str, suffix: &str) -> Result<String, Error> {
        if handle.is_empty() {
            return Ok(suffix.to_owned());
        }
        match self.handles.get(handle) {
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => self.refuse("a tag's handle is not declared"),
        }
    }

    fn block_sequence(&mut self, node: &mut YamlNode) -> Result<(), Error> {
        node.head = std::mem::take(&mut self.stem);
        self.skip();
        let mut items = Vec::new();
        loop {
            if *self.peek() == Kind::BlockEntry {
                let ends = [Kind::BlockEntry, Kind::BlockEnd];
                items.push(self.block_item(&ends)?);
            } else if *self.peek() == Kind::BlockEnd {
                self.skip();
                node.content = Content::Sequence(items);
                return Ok(());
            } else {
                return self.refuse("a list does not go on with a dash");
            }
        }
    }

    fn indentless_sequence(&mut self, node: &mut YamlNode) -> Result<(), Error> {
        let mut items = Vec::new();
        while *self.peek() == Kind::BlockEntry {
            let ends = [Kind::BlockEntry, Kind::Key, Kind::Value, Kind::BlockEnd];
            items.push(self.block_item(&ends)?);
        }
        node.content = Content::Sequence(items);
        Ok(())
    }

    fn block_item(&mut self, ends: &[Kind]) -> Result<Rc<YamlNode>, Error> {
        let before = self.head.len();
        self.skip();
        self.split_stem(before);
        let item = match self.next_is(ends) {
            true => self.empty(),
            false => self.node(true, false)?,
        };
        Ok(Rc::new(item))
    }

    /// The comment above a dash whose item is a collection belongs to the collection, not to its first key.
    fn split_stem(&mut self, before: usize) {
        let starts = [Kind::BlockSequenceStart, Kind::BlockMappingStart];
        if before == 0 || !self.next_is(&starts) {
            return;
        }
        let rest = self.head.get(before + 1..).unwrap_or_default().to_owned();
        self.stem = std::mem::replace(&mut self.head, rest);
        self.stem.truncate(before);
    }

    fn block_mapping(&mut self, node: &mut YamlNode) -> Result<(), Error> {
        node.head = std::mem::take(&mut self.stem);
        self.skip();
        let mut pairs: Vec<(YamlNode, YamlNode)> = Vec::new();
        loop {
            match self.peek() {
                Kind::Key => {
                    self.skip();
                    let ends = [Kind::Key, Kind::Value, Kind::BlockEnd];
                    let mut key = match self.next_is(&ends) {
                        true => self.empty(),
                        false => self.node(true, true)?,
                    };
                    if let Some((previous, _)) = pairs.last_mut()
                        && !key.foot.is_empty()
                    {
                        // The foot of what went before, seen after its block ended.
                        previous.foot = std::mem::take(&mut key.foot);
                    }
                    let value = self.block_value()?;
                    pairs.push(with_foot(key, value));
                }
                Kind::BlockEnd => break,
                _ => return self.refuse("a mapping does not go on with a key"),
            }
        }
        let mut end = YamlNode::default();
        self.attach(&mut end);
        self.skip();
        node.line = end.line;
        node.foot = end.foot;
        if let Some((last, _)) = pairs.last_mut()
            && !node.foot.is_empty()
        {
            last.foot = std::mem::take(&mut node.foot);
        }
        node.content = Content::Mapping(shared_pairs(pairs));
        Ok(())
    }

    fn block_value(&mut self) -> Parsed {
        if *self.peek() != Kind::Value {
            return Ok(self.empty());
        }
        self.skip();
        let ends = [Kind::Key, Kind::Value, Kind::BlockEnd];
        match self.next_is(&ends) {
            true => Ok(self.empty()),
            false => self.node(true, true),
        }
    }

    fn flow_sequence(&mut self, node: &mut YamlNode) -> Result<(), Error> {
        self.attach(node);
        self.skip();
        let mut items = Vec::new();
        while self.flow_goes_on(&Kind::FlowSequenceEnd, items.is_empty())? {
            let item = match self.peek() {
                Kind::Key => self.flow_pair()?,
                _ => self.node(false, false)?,
            };
            items.push(Rc::new(item));
        }
        self.end_flow(node);
        node.content = Content::Sequence(items);
        Ok(())
    }

    /// `[a: b]`: a mapping of one pair without braces.
    fn flow_pair(&mut self) -> Parsed {
        let mut node = self.empty();
        self.skip();
        let ends = [Kind::Value, Kind::FlowEntry, Kind::FlowSequenceEnd];
        let key = match self.next_is(&ends) {
            true => self.empty(),
            false => self.node(false, false)?,
        };
        let value = self.flow_value(&Kind::FlowSequenceEnd)?;
        node.content = Content::Mapping(shared_pairs(vec![with_foot(key, value)]));
        Ok(node)
    }

    fn flow_mapping(&mut self, node: &mut YamlNode) -> Result<(), Error> {
        self.attach(node);
        self.skip();
        let mut pairs = Vec::new();
        while self.flow_goes_on(&Kind::FlowMappingEnd, pairs.is_empty())? {
            let explicit = *self.peek() == Kind::Key;
            if explicit {
                self.skip();
            }
            let ends = [Kind::Value, Kind::FlowEntry, Kind::FlowMappingEnd];
            let key = match explicit && self.next_is(&ends) {
                true => self.empty(),
                false => self.node(false, false)?,
            };
            let value = match explicit {
                true => self.flow_value(&Kind::FlowMappingEnd)?,
                false => self.empty(),
            };
            pairs.push(with_foot(key, value));
        }
        self.end_flow(node);
        node.content = Content::Mapping(shared_pairs(pairs));
        Ok(())
    }

    fn flow_value(&mut self, end: &Kind) -> Parsed {
        if *self.peek() == Kind::Value {
            self.skip();
            let next = self.peek();
            if *next != Kind::FlowEntry && next != end {
                return self.node(false, false);
            }
        }
        Ok(self.empty())
    }

    /// Passes the comma before the next item; false at the end.
    fn flow_goes_on(&mut self, end: &Kind, first: bool) -> Result<bool, Error> {
        if self.peek() == end {
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if *self.peek() != Kind::FlowEntry {
            return self.refuse("a collection does not go on with a comma or end");
        }
        self.skip();
        Ok(self.peek() != end)
    }

    fn end_flow(&mut self, node: &mut YamlNode) {
        let mut end = YamlNode::default();
        self.attach(&mut end);
        self.skip();
        node.line = end.line;
        node.foot = end.foot;
    }
}

/// A value's foot stands below the pair, so the key keeps it.
fn with_foot(mut key: YamlNode, mut value: YamlNode) -> (YamlNode, YamlNode) {
    if key.foot.is_empty() {
        key.foot = std::mem::take(&mut value.foot);
    }
    (key, value)
}

fn shared_pairs(pairs: Vec<(YamlNode, YamlNode)>) -> Vec<(Rc<YamlNode>, Rc<YamlNode>)> {
    pairs
        .into_iter()
        .map(|(key, value)| (Rc::new(key), Rc::new(value)))
        .collect()
}

fn join(comment: &mut String, more: &str) {
    if more.is_empty() {
        return;
    }
    if !comment.is_empty() {
        comment.push('\n');
    }
    comment.push_str(more);
}
