//! `<<`: what it brings, and keys that appear twice.

use std::collections::{HashMap, HashSet};

use ecow::EcoString;

use super::problem::{Problem, ProblemKind};
use super::{Key, Mapping, Node, Value};

/// Mappings up to this size are searched for repeated keys pair by pair.
const SMALL_MAPPING: usize = 24;

/// Adds the mappings that the value of `<<` names, in the order of precedence.
pub(super) fn add_merge(merges: &mut Vec<Node>, node: Node) -> Result<(), Problem> {
    let mark = node.mark;
    let wrong = || ProblemKind::Merge.at(mark.line, u32::from(mark.column));
    match &node.value {
        Value::Mapping(_) => merges.push(node),
        Value::Sequence(items) => {
            for item in items.iter() {
                item.as_mapping().ok_or_else(wrong)?;
                merges.push(item.clone());
            }
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Adds the entries whose keys are not there; says how many nodes that is, not counting what is below them.
pub(super) fn merge_into(entries: &mut Mapping, merged: &Node) -> usize {
    let Some(mapping) = merged.as_mapping() else {
        return 0;
    };
    let have: HashSet<EcoString> = entries.iter().map(|(key, _)| key.text.clone()).collect();
    let new = mapping.iter().filter(|(key, _)| !have.contains(&key.text));
    let before = entries.len();
    for (key, value) in new {
        entries.push(key.clone(), value.clone());
    }
    entries.len() - before
}

/// True when a key appears twice.
pub(super) fn has_duplicate(entries: &Mapping) -> bool {
    find_duplicate(entries).is_some()
}

/// Refuses a key that appears twice, at its second place.
pub(super) fn check_duplicates(entries: &Mapping) -> Result<(), Problem> {
    match find_duplicate(entries) {
        None => Ok(()),
        Some((first, second)) => {
            let (key, first) = (second.text.to_string(), first.mark.line);
            let kind = ProblemKind::DuplicateKey { key, first };
            Err(kind.at(second.mark.line, u32::from(second.mark.column)))
        }
    }
}

/// The first key that was there before, with the earlier one in front.
fn find_duplicate(entries: &Mapping) -> Option<(&Key, &Key)> {
    if entries.len() <= SMALL_MAPPING {
        return entries.iter().enumerate().find_map(|(index, (key, _))| {
            let mut before = entries.iter().take(index);
            before.find_map(|(twin, _)| (twin.text == key.text).then_some((twin, key)))
        });
    }
    let mut seen = HashMap::with_capacity(entries.len());
    entries
        .iter()
        .find_map(|(key, _)| Some((seen.insert(key.text.as_str(), key)?, key)))
}

/// Each key once, with its last value.
pub(super) fn without_repeats(mut entries: Mapping) -> Mapping {
    if find_duplicate(&entries).is_none() {
        return entries;
    }
    let mut last: HashMap<EcoString, usize> = HashMap::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        last.insert(key.text.clone(), index);
    }
    let mut index = 0;
    entries.retain(|key, _| {
        index += 1;
        last.get(&key.text) == Some(&(index - 1))
    });
    entries
}
