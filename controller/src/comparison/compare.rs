//! Two graphs become a comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::unknown::Marker;

use super::conceal::{conceal, redact};
use super::deprecated::warning;
use super::immutable::replaced;
use super::lines::Lines;
use super::loss::Losses;
use super::matched::{Both, matched};
use super::pair::{Pair, Side, pairs};
use super::shared::Owners;
use super::{Action, Comparison, EnvironmentChange, LeafChange, ObjectChange, Presence, Problem};
use crate::cluster::redact::Redactor;
use crate::environments::{
    Environment, Graph, Leaf, LeafName, Outcome, SecretNames, UNKNOWN_SUFFIX, parallel, secrets_in,
    stages,
};

/// What of the environments is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// The environment of this name, or all of a stage of this name.
    Environment(String),
    /// The Kustomizations that build this folder, or one below or above it.
    Path(String),
    /// The Kustomizations of this name (`apps`, `flux-system/apps`).
    Kustomization(String),
}

/// Compares what two graphs have within a scope.
pub fn compare(before: &Graph, after: &Graph, marker: &Marker, scope: &Scope) -> Comparison {
    let mut comparison = Comparison::default();
    let changes = parallel::each(&matched(before, after), |both| {
        let environment = both.new.or(both.old)?;
        let stages: Vec<String> = stages([both.old, both.new]).into_iter().collect();
        let is_meant = is_in_scope(environment, &stages, scope);
        let change = || environment_change(environment, stages, both, marker, scope);
        is_meant.then(change).flatten()
    });
    for change in changes.into_iter().flatten() {
        match change.leaves.is_empty() && change.presence == Presence::Kept {
            true => comparison.unchanged.push(change.name),
            false => comparison.environments.push(change),
        }
    }
    comparison
        .environments
        .sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    comparison.unchanged.sort();
    comparison
}

fn is_in_scope(environment: &Environment, stages: &[String], scope: &Scope) -> bool {
    match scope {
        Scope::Environment(name) => environment.name == *name || stages.contains(name),
        Scope::All | Scope::Path(_) | Scope::Kustomization(_) => true,
    }
}

fn is_leaf_in_scope(leaf: &Leaf, scope: &Scope) -> bool {
    match scope {
        Scope::All | Scope::Environment(_) => true,
        Scope::Path(path) => leaf.touches(path),
        Scope::Kustomization(name) => leaf.name.name == *name || leaf.name.to_string() == *name,
    }
}

/// The Kustomizations that are in scope on either side.
fn in_scope<'a>(both: &'a Both<'_>, scope: &Scope) -> BTreeSet<&'a LeafName> {
    let leaves = both.before.iter().chain(&both.after);
    let meant = leaves.filter(|leaf| is_leaf_in_scope(leaf, scope));
    meant.map(|leaf| &leaf.name).collect()
}

/// What changes in an environment; nothing when nothing of it is in scope. Objects are paired before any is left out: one
/// that comes from elsewhere is not new.
fn environment_change(
    environment: &Environment,
    stages: Vec<String>,
    both: &Both<'_>,
    marker: &Marker,
    scope: &Scope,
) -> Option<EnvironmentChange> {
    let meant = in_scope(both, scope);
    if meant.is_empty() {
        return None;
    }
    let owners = Owners::among(both.after.iter().chain(&both.beside));
    let redactor = redactor(both, marker);
    let mut work = Work::new(both, &owners, marker);
    work.compare(&redactor);
    let names = work.secret_names();
    work.restrict(&meant);
    let mut change = EnvironmentChange {
        name: environment.name.clone(),
        kind: environment.kind,
        path: environment.path.clone(),
        stages,
        presence: both.presence(),
        warnings: work.warnings(&owners),
        unchanged: std::mem::take(&mut work.unchanged),
        leaves: work.leaves(),
    };
    conceal(&mut change, &names);
    redact(&mut change, &redactor);
    Some(change)
}

/// The secret values of both sides, of what stays as it is or is out of scope too; tokens are none.
fn redactor(both: &Both<'_>, marker: &Marker) -> Redactor {
    let leaves = both.before.iter().chain(&both.after);
    let mut seen = BTreeSet::new();
    let leaves = leaves.filter(|leaf| seen.insert(Arc::as_ptr(leaf)));
    secrets_in(leaves.flat_map(|leaf| leaf.objects()), marker)
}

/// The comparison of one environment in progress.
struct Work<'a> {
    both: &'a Both<'a>,
    owners: &'a Owners<'a>,
    before: Vec<&'a Leaf>,
    after: Vec<&'a Leaf>,
    marker: &'a Marker,
    unchanged: BTreeMap<LeafName, usize>,
    objects: Vec<(LeafName, ObjectChange)>,
    problems: Vec<(LeafName, Problem)>,
}

impl<'a> Work<'a> {
    fn new(both: &'a Both<'a>, owners: &'a Owners<'a>, marker: &'a Marker) -> Self {
        let is_same = |leaf: &&Arc<Leaf>, others: &[Arc<Leaf>]| {
            others.iter().any(|other| Arc::ptr_eq(leaf, other))
        };
        let other = |leaves: &'a [Arc<Leaf>], others: &[Arc<Leaf>]| -> Vec<&'a Leaf> {
            let differ = leaves.iter().filter(|leaf| !is_same(leaf, others));
            differ.map(|leaf| &**leaf).collect()
        };
        let same = both.after.iter();
        let same = same.filter(|leaf| is_same(leaf, &both.before));
        let unchanged = same.map(|leaf| (leaf.name.clone(), leaf.objects().len()));
        Self {
            unchanged: unchanged.collect(),
            before: other(&both.before, &both.after),
            after: other(&both.after, &both.before),
            both,
            owners,
            marker,
            objects: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn compare(&mut self, redactor: &Redactor) {
        self.note_problems();
        let pairs = pairs(&self.before, &self.after);
        let lines = Lines {
            marker: self.marker,
            redactor,
            unsettled: unsettled(&pairs),
        };
        let sides = [&*self.both.before, &*self.both.after];
        let losses = Losses::new(sides, self.owners, self.both.is_there, &pairs);
        let broken = self.broken();
        for pair in pairs {
            let lost = pair.before.filter(|_| pair.after.is_none());
            if lost.is_some_and(|side| losses.is_none(side, &broken)) {
                continue;
            }
            match self.change(&pair, &lines, &losses) {
                Some((leaf, change)) => self.objects.push((leaf, change)),
                None => self.note_unchanged(&pair),
            }
        }
    }

    fn note_unchanged(&mut self, pair: &Pair<'_>) {
        if let Some(side) = pair.after {
            *self.unchanged.entry(side.leaf.name.clone()).or_default() += 1;
        }
    }

    /// The Kustomizations that cannot be compared.
    fn broken(&self) -> BTreeSet<LeafName> {
        let problems = self.problems.iter();
        let broken = problems.filter(|(_, problem)| *problem != Problem::IsMended);
        broken.map(|(name, _)| name.clone()).collect()
    }

    /// Leaves out what is not meant. What moves from one that is meant to another is told there.
    fn restrict(&mut self, meant: &BTreeSet<&LeafName>) {
        self.unchanged.retain(|name, _| meant.contains(name));
        self.problems.retain(|(name, _)| meant.contains(name));
        self.objects.retain(|(name, change)| {
            let from = change.moved_from.as_ref();
            meant.contains(name) || from.is_some_and(|from| meant.contains(from))
        });
        self.after.retain(|leaf| {
            let mut told = self.objects.iter().map(|(name, _)| name);
            meant.contains(&leaf.name) || told.any(|name| *name == leaf.name)
        });
    }

    fn note_problems(&mut self) {
        let find = |leaf: &Leaf| self.before.iter().find(|old| old.name == leaf.name);
        let problem = |leaf: &&'a Leaf| {
            let old = find(leaf).map(|old| &old.outcome);
            let problem = match (old, &leaf.outcome) {
                (Some(Outcome::Failed(_)), Outcome::Failed(why)) => {
                    Problem::StaysBroken(why.clone())
                }
                (_, Outcome::Failed(why)) => Problem::Breaks(why.clone()),
                (Some(Outcome::Failed(_)), Outcome::Built(_)) => Problem::IsMended,
                (Some(Outcome::Built(_)), Outcome::External(where_to)) => {
                    Problem::MovesOut(where_to.clone())
                }
                _ => return None,
            };
            Some((leaf.name.clone(), problem))
        };
        self.problems = self.after.iter().filter_map(problem).collect();
    }

    /// The names that tell of secret content, on both sides, of what stays as it is too: others may refer to it anew.
    fn secret_names(&self) -> SecretNames {
        let there = self.both.after.iter().map(|leaf| &**leaf);
        let leaves = self.before.iter().copied().chain(there);
        SecretNames::of(leaves.flat_map(Leaf::objects), self.marker)
    }

    fn change(
        &self,
        pair: &Pair<'_>,
        lines: &Lines<'_>,
        losses: &Losses<'_>,
    ) -> Option<(LeafName, ObjectChange)> {
        let shown = pair.after.as_ref().or(pair.before.as_ref())?;
        let mut change = ObjectChange {
            id: shown.object.id.clone(),
            old_name: None,
            moved_from: None,
            action: Action::Create,
            lines: Vec::new(),
            rivals: Vec::new(),
            is_approximate: false,
            is_earlier: false,
            place: shown.object.origin.place.clone(),
        };
        change.id.name = lines.readable(&change.id.name);
        change.id.namespace = lines.readable(&change.id.namespace);
        match (&pair.before, &pair.after) {
            (Some(before), Some(after)) => {
                changed(&mut change, *before, *after, lines)?;
            }
            (Some(before), None) => change.action = losses.action(*before),
            _ => {}
        }
        Some((shown.leaf.name.clone(), change))
    }

    /// What the user should know of what changes: objects that several Kustomizations want among it.
    fn warnings(&self, owners: &Owners<'_>) -> Vec<String> {
        let stays = |change: &&ObjectChange| {
            !matches!(change.action, Action::Prune { .. } | Action::Leave(_))
        };
        let changes = self.objects.iter().map(|(_, change)| change).filter(stays);
        let mut warnings: Vec<String> = changes.filter_map(|change| warning(&change.id)).collect();
        let changes = |leaf: &Leaf| self.after.iter().any(|other| std::ptr::eq(*other, leaf));
        warnings.extend(owners.warnings(changes));
        warnings
    }

    /// What was found, by Kustomization, in the order in which they are built; prunes last.
    fn leaves(mut self) -> Vec<LeafChange> {
        let mut order: Vec<&Leaf> = self.after.clone();
        let is_new = |leaf: &&Leaf| !self.after.iter().any(|other| other.name == leaf.name);
        order.extend(self.before.iter().copied().filter(is_new));
        let mut leaves = Vec::new();
        for leaf in order {
            let (mine, others): (Vec<_>, Vec<_>) = self
                .objects
                .into_iter()
                .partition(|(name, _)| *name == leaf.name);
            self.objects = others;
            let mut objects: Vec<ObjectChange> =
                mine.into_iter().map(|(_, change)| change).collect();
            objects.sort_by_key(|change| {
                matches!(change.action, Action::Prune { .. } | Action::Leave(_))
            });
            let problem = self.problems.iter().find(|(name, _)| *name == leaf.name);
            let problem = problem.map(|(_, problem)| problem.clone());
            if !objects.is_empty() || problem.is_some() {
                leaves.push(LeafChange {
                    name: leaf.name.clone(),
                    path: leaf.path.clone(),
                    objects,
                    problem,
                });
            }
        }
        leaves
    }
}

/// Generated objects that are called the same as far as that is known, and hold other things that are not.
fn unsettled(pairs: &[Pair<'_>]) -> BTreeSet<String> {
    let is_other = |pair: &&Pair<'_>| match (&pair.before, &pair.after) {
        (Some(before), Some(after)) => {
            before.object.id.name == after.object.id.name
                && after.object.id.name.ends_with(UNKNOWN_SUFFIX)
                && before.object.node != after.object.node
        }
        _ => false,
    };
    let after = pairs.iter().filter(is_other).filter_map(|pair| pair.after);
    after.map(|side| side.object.id.name.clone()).collect()
}

/// What becomes of an object that both sides have; `None` when it stays as it is.
fn changed(
    change: &mut ObjectChange,
    before: Side<'_>,
    after: Side<'_>,
    lines: &Lines<'_>,
) -> Option<()> {
    change.lines = lines.between(before.object, after.object);
    let is_renamed = before.object.id.name != after.object.id.name;
    if is_renamed {
        change.old_name = Some(lines.readable(&before.object.id.name));
    }
    if before.leaf.name != after.leaf.name {
        change.moved_from = Some(before.leaf.name.clone());
    }
    if change.lines.is_empty() && !is_renamed && change.moved_from.is_none() {
        return None;
    }
    let is_certain = change.lines.iter().any(|line| line.is_certain()) || change.lines.is_empty();
    let forces = after.leaf.spec.force;
    // A generated object of a new name is another object for the API server.
    let replaced = (!is_renamed)
        .then(|| replaced(before.object, after.object, &change.lines, forces))
        .flatten();
    change.action = match (replaced, is_certain) {
        (Some(replaced), _) => replaced,
        (None, true) => Action::Change,
        (None, false) => Action::MayChange,
    };
    Some(())
}
