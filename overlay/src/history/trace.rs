//! Recording: after each step of a build every object is held against what it was before.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use ecow::EcoString;

use super::{Asker, Cause, Change, Field, FieldPath, History, ObjectHistory, PathPart, Removed};
use crate::build::Options;
use crate::files::Files;
use crate::object::ObjectId;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::yaml::{Mark, Node, Secrets, Value, sort_keys, to_json};

/// What is known of one object so far.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// The object as it was after the last step.
    seen: Node,
    /// Its fields.
    root: Branch,
    /// What changed it.
    askers: Vec<Asker>,
}

/// A field or item, and what is below it.
#[derive(Clone, Debug, Default)]
struct Branch {
    /// The values that it had while it was a leaf.
    sets: Vec<Set>,
    fields: Vec<(EcoString, Branch)>,
    /// As many as the list has items.
    items: Vec<Branch>,
}

/// One value of a leaf.
#[derive(Clone, Debug)]
struct Set {
    asker: Asker,
    mark: Mark,
    /// None when the leaf was removed.
    value: Option<Node>,
}

/// An object that was removed.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    trace: Box<Trace>,
    asker: Option<Asker>,
}

impl Gone {
    /// An object that the step that is running removed.
    pub(crate) fn new(trace: Box<Trace>) -> Self {
        Self { trace, asker: None }
    }
}

/// Says who asked for all that has changed since the last note.
pub(crate) fn note(resources: &mut Resources, asker: Asker, options: &Options<'_>) {
    if !options.record_history {
        return;
    }
    for resource in &mut resources.list {
        let Resource { node, trace, .. } = resource;
        match trace {
            Some(trace) => trace.follow(node, asker),
            None => *trace = Some(Box::new(Trace::new(node, asker))),
        }
    }
    for gone in &mut resources.gone {
        gone.asker.get_or_insert(asker);
    }
}

impl Trace {
    fn new(node: &Node, asker: Asker) -> Self {
        let mut root = Branch::default();
        root.follow(None, node, asker);
        Self {
            seen: node.clone(),
            root,
            askers: vec![asker],
        }
    }

    fn follow(&mut self, node: &Node, asker: Asker) {
        if self.root.follow(Some(&self.seen), node, asker) && self.askers.last() != Some(&asker) {
            self.askers.push(asker);
        }
        self.seen = node.clone();
    }
}

impl Branch {
    /// Brings the branch up to date with what became of its node; true when anything did.
    fn follow(&mut self, old: Option<&Node>, new: &Node, asker: Asker) -> bool {
        if old.is_some_and(|old| is_untouched(old, new)) {
            return false;
        }
        match &new.value {
            Value::Mapping(mapping) if !mapping.is_empty() => {
                self.items.clear();
                self.follow_fields(old, new, asker)
            }
            Value::Sequence(items) if !items.is_empty() => {
                self.fields.clear();
                self.follow_items(old.and_then(Node::as_sequence), items, asker)
            }
            _ => {
                self.fields.clear();
                self.items.clear();
                self.set(old, new, asker);
                true
            }
        }
    }

    fn follow_fields(&mut self, old: Option<&Node>, new: &Node, asker: Asker) -> bool {
        let mut changed = false;
        for (key, value) in new.as_mapping().into_iter().flat_map(|new| new.iter()) {
            let before = old.and_then(|old| old.get(&key.text));
            let says_who = IDENTITY.contains(&key.text.as_str());
            if says_who && before.is_some_and(|before| mean_the_same(before, value)) {
                continue;
            }
            changed |= self.field(&key.text).follow(before, value, asker);
        }
        for (key, branch) in &mut self.fields {
            if new.get(key).is_none() && old.is_some_and(|old| old.get(key).is_some()) {
                branch.remove(asker);
                changed = true;
            }
        }
        changed
    }

    fn field(&mut self, key: &EcoString) -> &mut Branch {
        let known = self.fields.iter().position(|(have, _)| have == key);
        let position = known.unwrap_or_else(|| {
            self.fields.push((key.clone(), Branch::default()));
            self.fields.len() - 1
        });
        &mut self.fields[position].1
    }

    fn follow_items(&mut self, old: Option<&[Node]>, new: &[Node], asker: Asker) -> bool {
        let old = old.unwrap_or_default();
        let mut before = std::mem::take(&mut self.items);
        let mut changed = old.len() != new.len();
        for (item, was) in new.iter().zip(counterparts(old, new)) {
            let mut branch = was
                .and_then(|was| before.get_mut(was))
                .map(std::mem::take)
                .unwrap_or_default();
            changed |= branch.follow(was.map(|was| &old[was]), item, asker);
            self.items.push(branch);
        }
        changed
    }

    fn set(&mut self, old: Option<&Node>, new: &Node, asker: Asker) {
        let written = new.mark.file != 0 && old.is_none_or(|old| old.mark != new.mark);
        let mark = if written || asker.mark.file == 0 {
            new.mark
        } else {
            asker.mark
        };
        self.sets.push(Set {
            asker,
            mark,
            value: Some(new.clone()),
        });
    }

    fn remove(&mut self, asker: Asker) {
        for (_, field) in &mut self.fields {
            field.remove(asker);
        }
        self.items.iter_mut().for_each(|item| item.remove(asker));
        if self.sets.last().is_some_and(|set| set.value.is_some()) {
            self.sets.push(Set {
                asker,
                mark: asker.mark,
                value: None,
            });
        }
    }
}

/// Fields by which a patch says whom it means: naming the same again sets nothing.
const IDENTITY: &[&str] = &["apiVersion", "kind", "name"];

/// The same value from the same place.
fn is_untouched(old: &Node, new: &Node) -> bool {
    match (&old.value, &new.value) {
        (Value::Mapping(old), Value::Mapping(new)) if Arc::ptr_eq(old, new) => true,
        (Value::Sequence(old), Value::Sequence(new)) if Arc::ptr_eq(old, new) => true,
        _ => is_leaf(old) && is_leaf(new) && old.mark == new.mark && mean_the_same(old, new),
    }
}

fn mean_the_same(old: &Node, new: &Node) -> bool {
    is_leaf(old)
        && is_leaf(new)
        && to_json(old, Secrets::Revealed) == to_json(new, Secrets::Revealed)
}

/// A scalar, or a collection of nothing.
fn is_leaf(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(mapping) => mapping.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Scalar(_) | Value::Secret(_) => true,
    }
}

/// For each new item the old one that it was: read at the same place, else of the same name, else of the same text,
/// else at the same position where no item came or went.
fn counterparts(old: &[Node], new: &[Node]) -> Vec<Option<usize>> {
    let mut found = vec![None; new.len()];
    let mut free = vec![true; old.len()];
    let place = |node: &Node| {
        let Mark { line, column, file } = node.mark;
        (file != 0).then_some((file, line, column))
    };
    pair(old, new, place, &mut free, &mut found);
    pair(old, new, name_of, &mut free, &mut found);
    pair(old, new, text_of, &mut free, &mut found);
    if old.len() == new.len() {
        for (index, slot) in found.iter_mut().enumerate() {
            if slot.is_none() && free[index] {
                *slot = Some(index);
            }
        }
    }
    found
}

/// Pairs the items that have no counterpart yet by a key.
fn pair<'n, K: Eq + Hash>(
    old: &'n [Node],
    new: &'n [Node],
    key: impl Fn(&'n Node) -> Option<K>,
    free: &mut [bool],
    found: &mut [Option<usize>],
) {
    let mut by_key: HashMap<K, usize> = HashMap::new();
    for (index, node) in old.iter().enumerate().rev() {
        if let Some(key) = key(node).filter(|_| free[index]) {
            by_key.insert(key, index);
        }
    }
    for (node, slot) in new.iter().zip(found) {
        if slot.is_none()
            && let Some(index) = key(node).and_then(|key| by_key.remove(&key))
        {
            *slot = Some(index);
            free[index] = false;
        }
    }
}

fn name_of(node: &Node) -> Option<&str> {
    node.find_str(&["name"])
}

fn text_of(node: &Node) -> Option<&str> {
    node.exposed()
}

/// The history of all objects, for whoever asks.
pub(crate) fn collect(resources: &Resources, files: &Files) -> History {
    let tell = Teller { files };
    History {
        objects: resources
            .list
            .iter()
            .map(|resource| tell.object(resource))
            .collect(),
        removed: resources
            .gone
            .iter()
            .filter_map(|gone| tell.removed(gone))
            .collect(),
    }
}

/// Turns marks into places.
struct Teller<'f> {
    files: &'f Files,
}

impl Teller<'_> {
    fn object(&self, resource: &Resource) -> ObjectHistory {
        let mut history = ObjectHistory::default();
        for previous in &resource.previous {
            let name = previous.name.to_string();
            if name != resource.name() && !history.earlier_names.contains(&name) {
                history.earlier_names.push(name);
            }
        }
        if let Some(trace) = &resource.trace {
            history.causes = trace.askers.iter().map(|asker| self.cause(asker)).collect();
            self.fields(
                &trace.root,
                Some(&trace.seen),
                &mut Vec::new(),
                &mut history.fields,
            );
        }
        history
    }

    fn removed(&self, gone: &Gone) -> Option<Removed> {
        Some(Removed {
            id: ObjectId::of(&gone.trace.seen)?,
            cause: self.cause(&gone.asker?),
        })
    }

    fn cause(&self, asker: &Asker) -> Cause {
        let place = (asker.mark.file != 0).then(|| self.files.place(asker.mark));
        let entry = match asker.index.filter(|_| place.is_some()) {
            Some(index) => format!("{}[{index}]", asker.field),
            None => asker.field.to_owned(),
        };
        Cause { entry, place }
    }

    /// The leaves of a branch, in the order in which they are printed.
    fn fields(
        &self,
        branch: &Branch,
        node: Option<&Node>,
        path: &mut Vec<PathPart>,
        found: &mut Vec<Field>,
    ) {
        let mut fields: Vec<&(EcoString, Branch)> = branch.fields.iter().collect();
        sort_keys(&mut fields, |(key, _)| key.as_str());
        for (key, below) in fields {
            path.push(PathPart::Key(key.clone()));
            self.fields(below, node.and_then(|node| node.get(key)), path, found);
            path.pop();
        }
        let items = node.and_then(Node::as_sequence).unwrap_or_default();
        let are_named = are_named(items);
        for (index, below) in branch.items.iter().enumerate() {
            let item = items.get(index);
            let name = item.filter(|_| are_named).and_then(name_of);
            path.push(PathPart::Item {
                index,
                name: name.map(EcoString::from),
            });
            self.fields(below, item, path, found);
            path.pop();
        }
        if branch.fields.is_empty() && branch.items.is_empty() && !branch.sets.is_empty() {
            found.push(Field {
                path: FieldPath(path.clone()),
                changes: branch.sets.iter().map(|set| self.change(set)).collect(),
            });
        }
    }

    fn change(&self, set: &Set) -> Change {
        Change {
            cause: self.cause(&set.asker),
            place: (set.mark.file != 0).then(|| self.files.place(set.mark)),
            value: set.value.clone(),
        }
    }
}

/// True when each item has a name of its own.
fn are_named(items: &[Node]) -> bool {
    let mut seen = std::collections::HashSet::new();
    items
        .iter()
        .all(|item| name_of(item).is_some_and(|name| !name.is_empty() && seen.insert(name)))
}
