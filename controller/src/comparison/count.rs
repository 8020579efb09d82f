//! How many objects of each kind of change there are.

use std::collections::{HashMap, HashSet};

use overlay::ObjectId;

use super::{Action, Comparison, EnvironmentChange, LeafChange, ObjectChange};

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// New objects.
    Add,
    /// Objects that change.
    Change,
    /// Objects that may change.
    MayChange,
    /// Objects that are deleted and created again.
    Replace,
    /// Objects that are deleted.
    Prune,
    /// Objects that go from Git and stay in the cluster.
    Leave,
    /// Objects that the API server refuses.
    Refuse,
    /// Objects that are left alone.
    Skip,
}

/// The counts, their words and their signs, in the order in which they are told.
pub(super) const COUNTS: [(Count, &str, &str); 8] = [
    (Count::Add, "add", "+"),
    (Count::Change, "change", "~"),
    (Count::MayChange, "may change", "?"),
    (Count::Replace, "replace", "-/+"),
    (Count::Prune, "prune", "-"),
    (Count::Leave, "left behind", "·"),
    (Count::Refuse, "refused", "!"),
    (Count::Skip, "skipped", "·"),
];

/// Counts of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By [`Count`], in the order of [`COUNTS`].
    pub by_count: [usize; 8],
    /// Those that stay as they are.
    pub unchanged: usize,
}

impl Count {
    /// What an action counts as.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Create => Self::Add,
            Action::Change => Self::Change,
            Action::MayChange => Self::MayChange,
            Action::Replace { .. } => Self::Replace,
            Action::Prune { .. } => Self::Prune,
            Action::Leave(_) => Self::Leave,
            Action::Refuse(_) => Self::Refuse,
            Action::Skip(_) => Self::Skip,
        }
    }

    /// The sign before an object.
    pub fn sign(self) -> &'static str {
        let found = COUNTS.iter().find(|(count, ..)| *count == self);
        found.map_or("", |(_, _, sign)| sign)
    }
}

impl Counts {
    /// How many there are of one.
    pub fn get(&self, count: Count) -> usize {
        let index = COUNTS.iter().position(|(other, ..)| *other == count);
        index.map_or(0, |index| self.by_count[index])
    }

    /// Whether anything at all is written, or would be.
    pub fn any(&self) -> bool {
        self.by_count.iter().sum::<usize>() > self.get(Count::Skip)
    }

    /// Whether anything is deleted.
    pub fn deletes(&self) -> bool {
        self.get(Count::Prune) + self.get(Count::Replace) > 0
    }

    fn add(&mut self, object: &ObjectChange) {
        let count = Count::of(&object.action);
        if let Some(index) = COUNTS.iter().position(|(other, ..)| *other == count) {
            self.by_count[index] += 1;
        }
    }

    /// Of one environment.
    pub fn of_environment(environment: &EnvironmentChange) -> Self {
        let mut counts = Self {
            unchanged: environment.unchanged.values().sum(),
            ..Self::default()
        };
        let objects = environment.leaves.iter().flat_map(|leaf| &leaf.objects);
        objects.for_each(|object| counts.add(object));
        counts
    }

    /// Of all: what several environments of one cluster share is counted once.
    pub fn of(comparison: &Comparison) -> Self {
        let mut counts = Self::default();
        let mut seen = HashSet::new();
        for environment in &comparison.environments {
            for (leaf, number) in &environment.unchanged {
                if seen.insert((&environment.path, leaf)) {
                    counts.unchanged += number;
                }
            }
        }
        let environments = comparison.environments.iter();
        let leaves = environments.flat_map(|it| it.leaves.iter().map(|leaf| (&*it.path, leaf)));
        distinct(leaves).for_each(|object| counts.add(object));
        counts
    }
}

/// The objects of Kustomizations, each with the path of its cluster's entry: what several environments of one cluster
/// share comes once.
pub fn distinct<'a>(
    leaves: impl Iterator<Item = (&'a str, &'a LeafChange)>,
) -> impl Iterator<Item = &'a ObjectChange> {
    let mut seen = HashSet::new();
    leaves.flat_map(move |(path, leaf)| {
        // Several may be called the same, where the ends of their names are not shown.
        let mut same: HashMap<&ObjectId, usize> = HashMap::new();
        let mut is_new = |object: &&'a ObjectChange| {
            let number = same.entry(&object.id).or_default();
            *number += 1;
            seen.insert((path, &leaf.name, &object.id, *number))
        };
        let objects: Vec<&ObjectChange> = leaf.objects.iter().filter(|it| is_new(it)).collect();
        objects
    })
}
