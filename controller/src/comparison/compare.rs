//! Two graphs become a comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::ObjectId;
use overlay::unknown::Marker;

use super::conceal::{conceal, redact};
use super::deprecated::warning;
use super::immutable::{replaced, says};
use super::lines::Lines;
use super::pair::{Pair, Side, pairs};
use super::{Action, Comparison, EnvironmentChange, LeafChange, ObjectChange, Presence, Problem};
use crate::cluster::redact::Redactor;
use crate::environments::{
    Environment, Graph, Leaf, LeafName, Outcome, SecretNames, UNKNOWN_SUFFIX, folder_in, parallel,
    stages, token_in,
};
use crate::reconcile::gate::is_guarded;

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

/// An annotation that keeps an object that is gone from Git.
const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";

/// The deletion policy that keeps all objects of a Kustomization that goes.
const ORPHAN: &str = crate::api::kustomization::deletion_policy::ORPHAN;

/// Compares what two graphs have within a scope.
pub fn compare(before: &Graph, after: &Graph, marker: &Marker, scope: &Scope) -> Comparison {
    let mut comparison = Comparison::default();
    let changes = parallel::each(&matched(before, after), |(old, new)| {
        let environment = new.or(*old)?;
        let stages: Vec<String> = stages([*old, *new]).into_iter().collect();
        let is_meant = is_in_scope(environment, &stages, scope);
        let change = || environment_change(environment, stages, [*old, *new], marker, scope);
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

/// The environments of both graphs, paired by path and name; where the name is new, as others have come or gone, by the
/// folder in it, else by the path alone.
fn matched<'a>(
    before: &'a Graph,
    after: &'a Graph,
) -> Vec<(Option<&'a Environment>, Option<&'a Environment>)> {
    let mut old: BTreeMap<(&str, &str), &Environment> = before
        .environments
        .iter()
        .map(|it| ((&*it.path, &*it.name), it))
        .collect();
    let mut pairs = Vec::new();
    let mut unmatched = Vec::new();
    for new in &after.environments {
        match old.remove(&(&*new.path, &*new.name)) {
            Some(same) => pairs.push((Some(same), Some(new))),
            None => unmatched.push(new),
        }
    }
    for is_by_folder in [true, false] {
        unmatched.retain(|new| {
            let fits = |(path, name): &&(&str, &str)| {
                *path == new.path && (!is_by_folder || folder_in(name) == folder_in(&new.name))
            };
            let renamed = old.keys().find(fits).copied();
            let same = renamed.and_then(|key| old.remove(&key));
            pairs.extend(same.map(|same| (Some(same), Some(*new))));
            same.is_none()
        });
    }
    pairs.extend(unmatched.into_iter().map(|new| (None, Some(new))));
    pairs.extend(old.into_values().map(|gone| (Some(gone), None)));
    pairs
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

/// What changes in an environment; nothing when nothing of it is in scope.
fn environment_change(
    environment: &Environment,
    stages: Vec<String>,
    [old, new]: [Option<&Environment>; 2],
    marker: &Marker,
    scope: &Scope,
) -> Option<EnvironmentChange> {
    let in_scope = |side: Option<&'_ Environment>| -> Vec<Arc<Leaf>> {
        let leaves = side.into_iter().flat_map(|it| &it.leaves);
        leaves
            .filter(|leaf| is_leaf_in_scope(leaf, scope))
            .cloned()
            .collect()
    };
    let (before, after) = (in_scope(old), in_scope(new));
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let mut work = Work::new(&before, &after, marker);
    let redactor = redactor([old, new], marker);
    work.compare(new.is_some(), &redactor);
    let names = work.secret_names();
    let mut change = EnvironmentChange {
        name: environment.name.clone(),
        kind: environment.kind,
        path: environment.path.clone(),
        stages,
        presence: match (old, new) {
            (None, _) => Presence::Added,
            (_, None) => Presence::Removed,
            _ => Presence::Kept,
        },
        unchanged: work.unchanged,
        warnings: work.warnings(),
        leaves: work.leaves(),
    };
    conceal(&mut change, &names);
    redact(&mut change, &redactor);
    Some(change)
}

/// The secret values of both sides, of what stays as it is or is out of scope too; tokens are none.
fn redactor(sides: [Option<&Environment>; 2], marker: &Marker) -> Redactor {
    let leaves = sides.into_iter().flatten().flat_map(|side| &side.leaves);
    let mut seen = BTreeSet::new();
    let leaves = leaves.filter(|leaf| seen.insert(Arc::as_ptr(leaf)));
    let mut redactor = Redactor::of(leaves.flat_map(|leaf| leaf.objects()));
    redactor.retain(|value| token_in(value, marker).is_none());
    redactor
}

/// The comparison of one environment in progress.
struct Work<'a> {
    before: Vec<&'a Leaf>,
    after: Vec<&'a Leaf>,
    /// All of the later side, those that are the same included.
    there: &'a [Arc<Leaf>],
    marker: &'a Marker,
    unchanged: usize,
    objects: Vec<(LeafName, ObjectChange)>,
    problems: Vec<(LeafName, Problem)>,
    /// Objects that several Kustomizations have, and those.
    shared: Vec<String>,
}

impl<'a> Work<'a> {
    fn new(before: &'a [Arc<Leaf>], after: &'a [Arc<Leaf>], marker: &'a Marker) -> Self {
        let is_same = |leaf: &&Arc<Leaf>, others: &[Arc<Leaf>]| {
            others.iter().any(|other| Arc::ptr_eq(leaf, other))
        };
        let other = |leaves: &'a [Arc<Leaf>], others: &[Arc<Leaf>]| -> Vec<&'a Leaf> {
            let differ = leaves.iter().filter(|leaf| !is_same(leaf, others));
            differ.map(|leaf| &**leaf).collect()
        };
        let same = after.iter().filter(|leaf| is_same(leaf, before));
        Self {
            unchanged: same.map(|leaf| leaf.objects().len()).sum(),
            before: other(before, after),
            after: other(after, before),
            there: after,
            marker,
            objects: Vec::new(),
            problems: Vec::new(),
            shared: Vec::new(),
        }
    }

    /// Compares; of an environment that goes nothing is deleted, as nobody is left to do it.
    fn compare(&mut self, is_there: bool, redactor: &Redactor) {
        self.note_problems();
        let pairs = pairs(&self.before, &self.after);
        let lines = Lines {
            marker: self.marker,
            redactor,
            unsettled: unsettled(&pairs),
        };
        let broken: Vec<LeafName> = self
            .problems
            .iter()
            .filter(|(_, problem)| *problem != Problem::IsMended)
            .map(|(name, _)| name.clone())
            .collect();
        for pair in pairs {
            let is_lost = pair.after.is_none();
            let owner = pair.before.as_ref().map(|side| &side.leaf.name);
            // What a Kustomization that does not build has applied stays as it is.
            if is_lost && owner.is_some_and(|owner| broken.contains(owner)) {
                continue;
            }
            match self.change(&pair, &lines, is_there) {
                Some((leaf, change)) => self.objects.push((leaf, change)),
                None => self.unchanged += 1,
            }
        }
        self.note_shared();
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
        let there = self.there.iter().map(|leaf| &**leaf);
        let leaves = self.before.iter().copied().chain(there);
        SecretNames::of(leaves.flat_map(Leaf::objects), self.marker)
    }

    fn change(
        &self,
        pair: &Pair<'_>,
        lines: &Lines<'_>,
        is_there: bool,
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
            (Some(before), None) => change.action = self.loss(*before, is_there),
            _ => {}
        }
        Some((shown.leaf.name.clone(), change))
    }

    /// What becomes of an object that Git no longer has.
    fn loss(&self, side: Side<'_>, is_there: bool) -> Action {
        let successor = self.after.iter().find(|leaf| leaf.name == side.leaf.name);
        let spec = successor.map_or(&side.leaf.spec, |leaf| &leaf.spec);
        let keeps = successor.is_none() && spec.deletion_policy.as_deref() == Some(ORPHAN);
        let reason = match () {
            () if !is_there => "the environment goes; nobody prunes it",
            () if says(side.object, PRUNE, "disabled") => "prune: disabled",
            () if keeps => "deletionPolicy: Orphan",
            () if !spec.prune => "prune: false",
            () => {
                return Action::Prune {
                    is_guarded: is_guarded(&side.object.id),
                };
            }
        };
        Action::Leave(reason.to_owned())
    }

    /// Objects that several Kustomizations of the environment have, one that changes among them.
    fn note_shared(&mut self) {
        let mut owners: BTreeMap<(&str, &str, &str, &str), Vec<&Leaf>> = BTreeMap::new();
        for leaf in self.there {
            for ObjectId {
                group,
                kind,
                namespace,
                name,
                ..
            } in leaf.objects().iter().map(|it| &it.id)
            {
                owners
                    .entry((group, kind, namespace, name))
                    .or_default()
                    .push(leaf);
            }
        }
        let changes = |leaf: &&Leaf| self.after.iter().any(|other| std::ptr::eq(*other, *leaf));
        for ((_, kind, namespace, name), leaves) in owners {
            if leaves.len() > 1 && leaves.iter().any(changes) {
                let names: Vec<String> = leaves.iter().map(|leaf| leaf.name.to_string()).collect();
                let object = format!("{kind}/{namespace}/{name}").replace("//", "/");
                self.shared
                    .push(format!("{object} is wanted by {}", names.join(" and ")));
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let stays = |change: &&ObjectChange| {
            !matches!(change.action, Action::Prune { .. } | Action::Leave(_))
        };
        let changes = self.objects.iter().map(|(_, change)| change).filter(stays);
        let mut warnings: Vec<String> = changes.filter_map(|change| warning(&change.id)).collect();
        warnings.extend(self.shared.iter().cloned());
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
