//! A branch as nodes that carry their comments: what stood above an item, beside its value, and behind the last one.

use super::super::Inline;
use crate::tree::{Branch, Comment, Element, Item, Value};

/// A node with the comments that stand at it.
pub(super) struct Emitted<'a> {
    pub(super) content: Content<'a>,
    pub(super) head: String,
    pub(super) line: String,
    pub(super) foot: String,
}

/// What a node is.
pub(super) enum Content<'a> {
    Scalar(&'a Value),
    Key(&'a str),
    Mapping(Vec<(Emitted<'a>, Emitted<'a>)>),
    Sequence(Vec<Emitted<'a>>),
}

impl<'a> Emitted<'a> {
    fn new(content: Content<'a>, head: String) -> Self {
        Self {
            content,
            head,
            line: String::new(),
            foot: String::new(),
        }
    }

    fn of(value: &'a Value, inline: Inline) -> Self {
        match value {
            Value::Map(branch) => mapping(branch, inline),
            Value::List(list) => sequence(list, inline),
            _ => Self::new(Content::Scalar(value), String::new()),
        }
    }
}

/// Comments that wait for the item they belong to.
struct Waiting {
    inline: Inline,
    above: String,
    beside: String,
}

impl Waiting {
    fn new(inline: Inline) -> Self {
        Self {
            inline,
            above: String::new(),
            beside: String::new(),
        }
    }

    fn add(&mut self, comment: &Comment) {
        let waiting = match comment.inline && self.inline == Inline::Beside {
            true => &mut self.beside,
            false => &mut self.above,
        };
        if !waiting.is_empty() {
            waiting.push('\n');
        }
        waiting.push('#');
        waiting.push_str(&String::from_utf8_lossy(&comment.text));
    }

    /// What stands above the next item. A comment beside a collection has no place but above it.
    fn take_above(&mut self, next: &Value) -> String {
        let mut above = std::mem::take(&mut self.above);
        if matches!(next, Value::Map(_) | Value::List(_)) {
            above = joined(above, std::mem::take(&mut self.beside));
        }
        above
    }

    /// What is left behind the last item.
    fn rest(self) -> String {
        joined(self.above, self.beside)
    }
}

fn joined(first: String, second: String) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        (false, false) => first + "\n" + &second,
    }
}

/// A mapping: its first comments are its own, those that follow belong to the key behind them, the last ones are the foot
/// of its last key.
pub(super) fn mapping(branch: &Branch, inline: Inline) -> Emitted<'_> {
    let mut pairs: Vec<(Emitted<'_>, Emitted<'_>)> = Vec::new();
    let mut waiting = Waiting::new(inline);
    let mut head = String::new();
    for item in branch {
        let pair = match item {
            Item::Comment(comment) => {
                waiting.add(comment);
                continue;
            }
            Item::Pair(pair) => pair,
        };
        let mut above = waiting.take_above(&pair.node.value);
        if pairs.is_empty() {
            head = std::mem::take(&mut above);
        }
        let key = Emitted::new(Content::Key(&pair.key), above);
        let mut value = Emitted::of(&pair.node.value, inline);
        value.line = std::mem::take(&mut waiting.beside);
        pairs.push((key, value));
    }
    match pairs.last_mut() {
        Some((key, _)) => key.foot = waiting.rest(),
        None => head = waiting.rest(),
    }
    Emitted::new(Content::Mapping(pairs), head)
}

fn sequence(list: &[Element], inline: Inline) -> Emitted<'_> {
    let mut items: Vec<Emitted<'_>> = Vec::new();
    let mut waiting = Waiting::new(inline);
    let mut head = String::new();
    for element in list {
        let node = match element {
            Element::Comment(comment) => {
                waiting.add(comment);
                continue;
            }
            Element::Node(node) => node,
        };
        let mut above = waiting.take_above(&node.value);
        if items.is_empty() {
            head = std::mem::take(&mut above);
        }
        let mut item = Emitted::of(&node.value, inline);
        item.head = joined(above, item.head);
        item.line = std::mem::take(&mut waiting.beside);
        items.push(item);
    }
    match items.last_mut() {
        Some(item) => item.foot = waiting.rest(),
        None => head = waiting.rest(),
    }
    Emitted::new(Content::Sequence(items), head)
}
