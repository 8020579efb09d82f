//! Lists that merge by key: which element of the patch meets which of the target, and in which order they come.

use crate::error::Error;
use crate::yaml::{Node, Value};

use super::schema::Shape;
use super::strategic::{DIRECTIVE, Directive, Loss, Merge, describe, take_directive};

/// The two sides of a list.
pub(super) struct Elements {
    /// The elements into which is merged.
    pub(super) dest: Vec<Node>,
    /// The elements that are merged.
    pub(super) origin: Origin,
}

/// Where the merged elements come from.
pub(super) enum Origin {
    /// The patch says nothing of this list.
    None,
    /// The list is the patch's own: its elements meet themselves.
    Same,
    /// The patch's list.
    Patch(Vec<Node>),
}

/// Reads a list's directive: an element that has nothing but `$patch`. It is removed, with all that are like it.
pub(super) fn list_directive(items: &mut Vec<Node>) -> Result<Directive, Error> {
    let found = items.iter().find(|item| item.get(DIRECTIVE).is_some());
    let Some(element) = found
        .and_then(Node::as_mapping)
        .filter(|found| found.len() == 1)
    else {
        return Ok(Directive::Merge);
    };
    let Some(node) = element.get(DIRECTIVE).cloned() else {
        return Ok(Directive::Merge);
    };
    let directive = Directive::read(&node)?;
    set_element(items, &[DIRECTIVE], &[text_of(&node)], None)?;
    Ok(directive)
}

/// Merges two lists: the patch's elements first, in its order, then what else the target has.
pub(super) fn merge_elements<'s>(
    merge: &mut Merge<'s>,
    mut elements: Elements,
    keys: &[&str],
    shape: Option<Shape<'s>>,
) -> Result<Vec<Node>, Error> {
    // A list without keys holds plain values, which are their own keys.
    let keys = if keys.is_empty() { &[""] } else { keys };
    let mut wanted = elements.identities(keys);
    if keys.len() > 1 {
        merge.steps.take(wanted.len() * wanted.len())?;
        unify(&mut wanted);
    }
    if wanted.is_empty() {
        return Ok(elements.dest);
    }
    merge.steps.take(wanted.len() * elements.count() * STEPS)?;
    let demands = match &elements.origin {
        Origin::Patch(patch) if keys.len() > 1 => patch.clone(),
        _ => Vec::new(),
    };
    let used = keys_in_use(keys, &wanted);
    let keys: Vec<&str> = used.iter().map(|index| keys[*index]).collect();
    let shape = shape.and_then(Shape::elements);
    let mut merged = Vec::new();
    for identity in &wanted {
        let values: Vec<String> = used.iter().map(|index| identity[*index].clone()).collect();
        match elements.merge_one(merge, &keys, &values, shape)? {
            Some(node) if !is_void(&node) => {
                set_element(&mut merged, &keys, &values, Some(&node))?;
            }
            _ => set_element(&mut elements.dest, &keys, &values, None)?,
        }
    }
    append_all(&mut merged, &elements.dest, &keys)?;
    note_losses(merge, &demands, &merged, &keys);
    Ok(merged)
}

/// How often an element is compared with each of the others.
const STEPS: usize = 4;

impl Elements {
    /// How many elements both sides have.
    fn count(&self) -> usize {
        let patch = match &self.origin {
            Origin::Patch(patch) => patch.len(),
            Origin::None | Origin::Same => 0,
        };
        self.dest.len() + patch
    }

    /// The values of the keys of all elements, the patch's first, each once. A missing value is empty.
    fn identities(&self, keys: &[&str]) -> Vec<Vec<String>> {
        let patch: &[Node] = match &self.origin {
            Origin::Patch(patch) => patch,
            Origin::None | Origin::Same => &[],
        };
        let mut found: Vec<Vec<String>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for element in patch.iter().chain(&self.dest) {
            let identity: Vec<String> = keys.iter().map(|key| key_value(element, key)).collect();
            if seen.insert(identity.clone()) {
                found.push(identity);
            }
        }
        found
    }

    /// Merges the first element of each side that has these values.
    fn merge_one<'s>(
        &mut self,
        merge: &mut Merge<'s>,
        keys: &[&str],
        values: &[String],
        shape: Option<Shape<'s>>,
    ) -> Result<Option<Node>, Error> {
        let named = |(_, value): &(&&str, &String)| !value.is_empty();
        let pairs: Vec<(&str, &str)> = if values.iter().all(String::is_empty) {
            keys.iter().map(|key| (*key, "")).collect()
        } else {
            let pairs = keys.iter().zip(values).filter(named);
            pairs.map(|(key, value)| (*key, value.as_str())).collect()
        };
        let here = find(&self.dest, &pairs);
        match &mut self.origin {
            Origin::None => match here {
                Some(here) => change(&mut self.dest[here], |node| merge.kept(node, shape)),
                None => Ok(None),
            },
            Origin::Same => match here {
                Some(here) => merge_with_itself(merge, &mut self.dest[here], shape),
                None => Ok(None),
            },
            Origin::Patch(patch) => match (here, find(patch, &pairs)) {
                (Some(here), Some(there)) => {
                    merge_pair(merge, &mut self.dest[here], &mut patch[there], shape)
                }
                (Some(here), None) => change(&mut self.dest[here], |node| merge.kept(node, shape)),
                (None, Some(there)) => add(merge, &mut patch[there], shape),
                (None, None) => Ok(None),
            },
        }
    }
}

/// An element of both sides. A replacing element loses against the target's own in the end, so the target's
/// stays as it was (and a directive counts once: it is taken out of the patch).
fn merge_pair<'s>(
    merge: &mut Merge<'s>,
    dest: &mut Node,
    patch: &mut Node,
    shape: Option<Shape<'s>>,
) -> Result<Option<Node>, Error> {
    if dest.as_mapping().is_none() || patch.as_mapping().is_none() {
        return merge.both(dest.clone(), patch.clone(), shape);
    }
    match take_directive(patch)? {
        Directive::Delete => Ok(None),
        Directive::Replace => merge.same_fields(patch.clone(), shape).map(Some),
        Directive::Merge => {
            let patch = patch.clone();
            change(dest, |node| merge.both_fields(node, patch, shape).map(Some))
        }
    }
}

fn merge_with_itself<'s>(
    merge: &mut Merge<'s>,
    element: &mut Node,
    shape: Option<Shape<'s>>,
) -> Result<Option<Node>, Error> {
    if element.as_mapping().is_none() {
        return merge.added(element.clone(), shape);
    }
    match take_directive(element)? {
        Directive::Delete => Ok(None),
        _ => change(element, |node| merge.same_fields(node, shape).map(Some)),
    }
}

fn add<'s>(
    merge: &mut Merge<'s>,
    patch: &mut Node,
    shape: Option<Shape<'s>>,
) -> Result<Option<Node>, Error> {
    let added = merge.added(patch.clone(), shape)?;
    match &added {
        Some(node) => *patch = node.clone(),
        // The directive has done its work.
        None => drop(take_directive(patch)),
    }
    Ok(added)
}

/// Lets `step` change an element in its place, and gives back what it became.
fn change(
    slot: &mut Node,
    step: impl FnOnce(Node) -> Result<Option<Node>, Error>,
) -> Result<Option<Node>, Error> {
    let changed = step(std::mem::replace(slot, Node::null()))?;
    *slot = changed.clone().unwrap_or_else(Node::null);
    Ok(changed)
}

/// What a scalar says; nothing for lists and mappings.
fn text_of(node: &Node) -> String {
    node.exposed().unwrap_or_default().to_owned()
}

fn says(node: &Node, text: &str) -> bool {
    node.exposed().unwrap_or_default() == text
}

/// The value of an element's key; the element's own for the empty key.
fn key_value(element: &Node, key: &str) -> String {
    if key.is_empty() {
        return text_of(element);
    }
    match element.get(key) {
        Some(value) if !value.is_null() => text_of(value),
        _ => String::new(),
    }
}

/// The positions of the keys for which any element has a value; all when none has.
fn keys_in_use(keys: &[&str], wanted: &[Vec<String>]) -> Vec<usize> {
    let is_used = |index: &usize| wanted.iter().any(|identity| !identity[*index].is_empty());
    let used: Vec<usize> = (0..keys.len()).filter(is_used).collect();
    if used.is_empty() {
        (0..keys.len()).collect()
    } else {
        used
    }
}

/// Lets identities that differ only in missing values be one: port 80 is port 80/TCP.
fn unify(wanted: &mut [Vec<String>]) {
    for first in 0..wanted.len() {
        let mine = wanted[first].clone();
        for second in 0..wanted.len() {
            if let Some(common) = common_identity(&mine, &wanted[second]) {
                wanted[first].clone_from(&common);
                wanted[second] = common;
            }
        }
    }
}

/// Both identities in one, when they agree on a key and contradict each other in none.
fn common_identity(first: &[String], second: &[String]) -> Option<Vec<String>> {
    let agree = |(a, b): (&String, &String)| a == b || a.is_empty() || b.is_empty();
    let pairs = || first.iter().zip(second);
    if !pairs().all(agree) || !pairs().any(|(a, b)| a == b) {
        return None;
    }
    let fuller = |(a, b): (&String, &String)| if a.is_empty() { b.clone() } else { a.clone() };
    Some(pairs().map(fuller).collect())
}

/// The first element that has all these values.
fn find(items: &[Node], pairs: &[(&str, &str)]) -> Option<usize> {
    items.iter().position(|item| match pairs {
        [("", value)] => says(item, value),
        _ => pairs
            .iter()
            .all(|(key, value)| item.get(key).is_some_and(|field| says(field, value))),
    })
}

/// Nothing, or a mapping of nothing: as an element it means "remove".
fn is_void(node: &Node) -> bool {
    node.is_null() || node.as_mapping().is_some_and(|mapping| mapping.is_empty())
}

/// Puts an element in the place of each that has these values, or at the end; without one, removes them. Void
/// elements go. With fewer values than keys the last value decides for the rest, and with none nothing stays.
fn set_element(
    items: &mut Vec<Node>,
    keys: &[&str],
    values: &[String],
    element: Option<&Node>,
) -> Result<(), Error> {
    let for_mappings = keys.first().is_some_and(|key| !key.is_empty())
        && values.first().is_some_and(|value| !value.is_empty());
    let mut found = false;
    let mut fault = None;
    items.retain_mut(|item| {
        if is_void(item) {
            return false;
        }
        if for_mappings && item.as_mapping().is_none() {
            return true;
        }
        match has_values(item, keys, values) {
            Ok(true) => {
                found = true;
                if let Some(element) = element {
                    *item = element.clone();
                }
                element.is_some()
            }
            Ok(false) => !values.is_empty(),
            Err(wrong) => {
                fault.get_or_insert(wrong);
                true
            }
        }
    });
    if let Some(element) = element.filter(|element| !found && !element.is_null()) {
        items.push(element.clone());
    }
    fault.map_or(Ok(()), Err)
}

fn has_values(item: &Node, keys: &[&str], values: &[String]) -> Result<bool, Error> {
    let mut last = false;
    for (index, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(index) {
            last = has_value(item, key, value)?;
        }
        if !last {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True when an element has a key, and this value there unless the value is empty.
fn has_value(item: &Node, key: &str, value: &str) -> Result<bool, Error> {
    match (&item.value, key) {
        (Value::Scalar(_) | Value::Secret(_), "") => Ok(says(item, value)),
        (Value::Mapping(mapping), key) if !key.is_empty() => Ok(mapping
            .get(key)
            .is_some_and(|field| value.is_empty() || says(field, value))),
        _ => Err(wrong_element(item, key)),
    }
}

fn wrong_element(item: &Node, key: &str) -> Error {
    let wanted = if key.is_empty() {
        "a single value".to_owned()
    } else {
        format!("a mapping with `{key}`")
    };
    let message = format!("an element of the list is {}, not {wanted}", describe(item));
    Error::new(message).at_mark(item.mark)
}

/// Appends the target's elements behind the merged ones, each in the place of the one that has its values.
/// An element that lacks one of several keys takes the place of all that agree on the others: that is how
/// kustomize loses a second port.
fn append_all(merged: &mut Vec<Node>, dest: &[Node], keys: &[&str]) -> Result<(), Error> {
    for element in dest {
        if let [""] = keys {
            set_element(merged, keys, &[text_of(element)], Some(element))?;
            continue;
        }
        let mut values = Vec::new();
        for key in keys {
            match element.get(key) {
                Some(value) => values.push(text_of(value)),
                None if element.as_mapping().is_none() && !element.is_null() => {
                    return Err(wrong_element(element, key));
                }
                None => merged.push(element.clone()),
            }
        }
        if keys.len() > 1 {
            set_element(merged, keys, &values, None)?;
        }
        set_element(merged, keys, &values, Some(element))?;
    }
    Ok(())
}

/// Notes the patch's elements that came to nothing.
fn note_losses(merge: &mut Merge<'_>, demands: &[Node], merged: &[Node], keys: &[&str]) {
    for demand in demands {
        if demand.get(DIRECTIVE).is_some() {
            continue;
        }
        let pairs: Vec<(&str, String)> = keys
            .iter()
            .map(|key| (*key, key_value(demand, key)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        if !pairs.is_empty() && find(merged, &pairs).is_none() {
            merge.losses.push(Loss {
                mark: demand.mark,
                field: merge.field(),
            });
        }
    }
}
