//! Documents as branches: aliases unfolded, comments made items of the mapping or list they stand in.

use std::collections::HashSet;

use super::nodes::{Content, Document, YamlNode};
use super::{DEPTH_LIMIT, problem, resolve};
use crate::error::{Error, ErrorKind};
use crate::tree::{Branch, Comment, Element, Item, Node, Pair, Value};

/// How many nodes all aliases of a file may unfold to.
const ALIAS_LIMIT: usize = 100_000;

/// What is left of the nodes that aliases may unfold to.
pub(super) struct Budget {
    left: usize,
    aliases: usize,
    depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: ALIAS_LIMIT,
            aliases: 0,
            depth: 0,
        }
    }
}

impl Budget {
    fn spend(&mut self, node: &YamlNode) -> Result<(), Error> {
        if self.depth > DEPTH_LIMIT {
            return Err(ErrorKind::TooDeep { limit: DEPTH_LIMIT }.at(node.position));
        }
        if self.aliases > 0 {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| ErrorKind::AliasFlood { limit: ALIAS_LIMIT }.at(node.position))?;
        }
        Ok(())
    }
}

/// Refuses a key that stands twice in one mapping, anywhere in the document.
pub(super) fn refuse_duplicates(node: &YamlNode) -> Result<(), Error> {
    match &node.content {
        Content::Scalar { .. } | Content::Alias(_) => Ok(()),
        Content::Sequence(items) => items.iter().try_for_each(|item| refuse_duplicates(item)),
        Content::Mapping(pairs) => {
            let mut seen = HashSet::new();
            for (key, value) in pairs {
                if let Content::Scalar { text, .. } = &key.content
                    && !seen.insert(text)
                {
                    return Err(ErrorKind::DuplicateKey.at(key.position));
                }
                refuse_duplicates(value)?;
            }
            Ok(())
        }
    }
}

/// A document's items.
pub(super) fn document(document: &Document, budget: &mut Budget) -> Result<Branch, Error> {
    let mut branch = Branch::new();
    comment_items(&mut branch, &document.head, false);
    root(&document.root, &mut branch, budget)?;
    comment_items(&mut branch, &document.foot, false);
    Ok(branch)
}

fn root(node: &YamlNode, branch: &mut Branch, budget: &mut Budget) -> Result<(), Error> {
    let refused = |wanted| Err(problem(wanted, node.position));
    match &node.content {
        Content::Mapping(pairs) => mapping(node, pairs, false, branch, budget),
        Content::Alias(target) => root(target, branch, budget),
        Content::Sequence(_) => refused("a document is a list, not a mapping"),
        Content::Scalar { .. } if scalar(node)? == Value::Null => {
            comment_items(branch, &node.head, false);
            comment_items(branch, &node.line, false);
            Ok(())
        }
        Content::Scalar { .. } => refused("a document is a value, not a mapping"),
    }
}

fn mapping(
    node: &YamlNode,
    pairs: &[(std::rc::Rc<YamlNode>, std::rc::Rc<YamlNode>)],
    comments_are_taken: bool,
    branch: &mut Branch,
    budget: &mut Budget,
) -> Result<(), Error> {
    if !comments_are_taken {
        comment_items(branch, &node.head, false);
        comment_items(branch, &node.line, false);
    }
    for (key, value) in pairs {
        let single = matches!(value.content, Content::Scalar { .. } | Content::Alias(_));
        comment_items(branch, &key.head, false);
        comment_items(branch, &key.line, false);
        if single {
            comment_items(branch, &value.head, false);
            comment_items(branch, &value.line, true);
        }
        branch.push(Item::Pair(Pair {
            key: key_text(key)?,
            node: tree_node(value, single, budget)?,
        }));
        if single {
            comment_items(branch, &value.foot, false);
        }
        comment_items(branch, &key.foot, false);
    }
    if !comments_are_taken {
        comment_items(branch, &node.foot, false);
    }
    Ok(())
}

fn key_text(key: &YamlNode) -> Result<String, Error> {
    let refused = || ErrorKind::NonStringKey.at(key.position);
    match &key.content {
        Content::Scalar { .. } => scalar(key)?.as_str().map(str::to_owned).ok_or_else(refused),
        Content::Alias(target) => key_text(target),
        Content::Sequence(_) | Content::Mapping(_) => Err(refused()),
    }
}

fn tree_node(
    node: &YamlNode,
    comments_are_taken: bool,
    budget: &mut Budget,
) -> Result<Node, Error> {
    budget.spend(node)?;
    budget.depth += 1;
    let value = match &node.content {
        Content::Scalar { .. } => scalar(node)?,
        Content::Sequence(items) => sequence(node, items, comments_are_taken, budget)?,
        Content::Mapping(pairs) => {
            let mut branch = Branch::new();
            mapping(node, pairs, comments_are_taken, &mut branch, budget)?;
            Value::Map(branch)
        }
        Content::Alias(target) => {
            budget.aliases += 1;
            let target = tree_node(target, false, budget)?;
            budget.aliases -= 1;
            budget.depth -= 1;
            return Ok(target);
        }
    };
    budget.depth -= 1;
    let written = match (&node.content, &value) {
        (Content::Scalar { text, .. }, Value::Int(_) | Value::Float(_) | Value::Time(_)) => {
            Some(text.as_str().into())
        }
        _ => None,
    };
    Ok(Node {
        position: node.position,
        written,
        ..value.into()
    })
}

fn sequence(
    node: &YamlNode,
    items: &[std::rc::Rc<YamlNode>],
    comments_are_taken: bool,
    budget: &mut Budget,
) -> Result<Value, Error> {
    let mut elements = Vec::new();
    if !comments_are_taken {
        comment_elements(&mut elements, &node.head, false);
        comment_elements(&mut elements, &node.line, false);
    }
    for item in items {
        comment_elements(&mut elements, &item.head, false);
        comment_elements(&mut elements, &item.line, true);
        elements.push(Element::Node(tree_node(item, true, budget)?));
        comment_elements(&mut elements, &item.foot, false);
    }
    if !comments_are_taken {
        comment_elements(&mut elements, &node.foot, false);
    }
    Ok(Value::List(elements))
}

fn scalar(node: &YamlNode) -> Result<Value, Error> {
    let Content::Scalar { plain, text } = &node.content else {
        return Ok(Value::Null);
    };
    let resolved = match (&node.tag, plain) {
        (Some(tag), true) => resolve::tagged(tag, text),
        // A quoted scalar is text unless a tag says otherwise.
        (Some(tag), false) if tag != "!" => resolve::tagged(tag, text),
        (None, true) => resolve::plain(text),
        (_, false) => Ok(Value::text(text)),
    };
    resolved.map_err(|unresolved| match unresolved {
        resolve::Unresolved::Tag => problem("a value is not of its tag's type", node.position),
        resolve::Unresolved::Range => problem("an integer has more than 64 bits", node.position),
    })
}

/// The lines of a comment without their `#`; blank lines are dropped.
fn lines(comment: &str, inline: bool) -> impl Iterator<Item = Comment> + '_ {
    comment
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(move |line| Comment::new(&line.as_bytes()[1..], inline))
}

fn comment_items(branch: &mut Branch, comment: &str, inline: bool) {
    branch.extend(lines(comment, inline).map(Item::Comment));
}

fn comment_elements(elements: &mut Vec<Element>, comment: &str, inline: bool) {
    elements.extend(lines(comment, inline).map(Element::Comment));
}
