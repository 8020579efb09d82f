//! Metadata in formats that know only keys and texts: `age__list_0__map_enc` unfolds to a tree.

use std::collections::BTreeMap;

use crate::error::ErrorKind;
use crate::tree::{Branch, Element, Item, Node, Value};

const MAP: &str = "__map_";
const LIST: &str = "__list_";
const DEPTH_LIMIT: usize = 32;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

#[derive(Default)]
struct Unfolded<'a> {
    value: Option<Node>,
    below: BTreeMap<Step<'a>, Unfolded<'a>>,
}

/// Unfolds flat keys and texts into the mapping that they stand for.
pub(crate) fn unfold(flat: &[(String, Node)]) -> Result<Branch, ErrorKind> {
    let mut root = Unfolded::default();
    for (key, node) in flat {
        let steps = steps(key);
        if steps.len() > DEPTH_LIMIT {
            return Err(ErrorKind::TooDeep { limit: DEPTH_LIMIT });
        }
        let mut place = &mut root;
        for step in steps {
            place = place.below.entry(step).or_default();
        }
        if place.value.replace(node.clone()).is_some() {
            return Err(bad("a field is there twice"));
        }
    }
    match convert(root)?.value {
        Value::Map(branch) => Ok(branch),
        _ => Err(bad("it is not a mapping")),
    }
}

fn steps(key: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = key;
    let mut make: fn(&str) -> Step<'_> = |text| Step::Key(text);
    loop {
        let next = match (rest.find(MAP), rest.find(LIST)) {
            (Some(map), Some(list)) if list < map => Some((list, LIST)),
            (Some(map), _) => Some((map, MAP)),
            (None, Some(list)) => Some((list, LIST)),
            (None, None) => None,
        };
        let Some((end, separator)) = next else {
            steps.push(make(rest));
            return steps;
        };
        steps.push(make(&rest[..end]));
        rest = &rest[end + separator.len()..];
        make = match separator {
            MAP => |text| Step::Key(text),
            _ => |text| Step::Index(text.parse().unwrap_or(0)),
        };
    }
}

fn convert(unfolded: Unfolded<'_>) -> Result<Node, ErrorKind> {
    let Unfolded { value, below } = unfolded;
    match value {
        Some(node) if below.is_empty() => return Ok(node),
        Some(_) => return Err(bad("a field is both a text and a collection")),
        None => {}
    }
    let mut branch = Branch::new();
    let mut list = Vec::new();
    for (step, child) in below {
        let node = convert(child)?;
        match step {
            Step::Key(key) => branch.push(Item::pair(key, node)),
            Step::Index(index) if index == list.len() => list.push(Element::Node(node)),
            Step::Index(_) => return Err(bad("a list has gaps")),
        }
    }
    match (branch.is_empty(), list.is_empty()) {
        (_, true) => Ok(Value::Map(branch).into()),
        (true, false) => Ok(Value::List(list).into()),
        (false, false) => Err(bad("a field is both a list and a mapping")),
    }
}

fn bad(problem: &str) -> ErrorKind {
    ErrorKind::BadMetadata(problem.to_owned())
}

/// Folds a mapping into flat keys and texts; null is left out.
pub(crate) fn fold(branch: &Branch, prefix: &str) -> Vec<(String, Node)> {
    let mut flat = Vec::new();
    for pair in crate::tree::pairs(branch) {
        fold_node(format!("{prefix}{}", pair.key), &pair.node, &mut flat);
    }
    flat
}

fn fold_node(key: String, node: &Node, flat: &mut Vec<(String, Node)>) {
    match &node.value {
        Value::Null => {}
        Value::Map(branch) => flat.extend(fold(branch, &format!("{key}{MAP}"))),
        Value::List(elements) => {
            let nodes = elements.iter().filter_map(|element| match element {
                Element::Node(node) => Some(node),
                Element::Comment(_) => None,
            });
            for (index, node) in nodes.enumerate() {
                fold_node(format!("{key}{LIST}{index}"), node, flat);
            }
        }
        _ => flat.push((key, node.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::{fold, unfold};
    use crate::tree::Value;

    #[test]
    fn folding_and_unfolding_are_inverse() -> Result<(), crate::ErrorKind> {
        let flat: Vec<_> = ["age__list_0__map_enc", "age__list_1__map_enc", "mac"]
            .map(|key| (key.to_owned(), Value::text(key).into()))
            .into();
        assert!(fold(&unfold(&flat)?, "") == flat);
        for broken in [["a", "a"], ["a", "a__map_b"], ["a__list_1", "b"]] {
            let flat = broken.map(|key| (key.to_owned(), Value::text("").into()));
            assert!(unfold(&flat).is_err());
        }
        Ok(())
    }
}
