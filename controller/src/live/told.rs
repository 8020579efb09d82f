//! The plan of a place in the words of a comparison, which all printers know.

use std::collections::{BTreeMap, BTreeSet};

use overlay::unknown::{Marker, Part};
use overlay::{Object, ObjectId, Place as Written};
use serde_json::Value;

use super::planned::{Planned, Renamed, is_suspended, texts};
use super::{Ground, Lost, PlacePlan};
use crate::cluster::{self, Change, ObjectError, ObjectKey, Shown, Skip, Step};
use crate::comparison::immutable::replaced_live;
use crate::comparison::{
    Action, Comparison, EnvironmentChange, LeafChange, Line, ObjectChange, Problem,
};
use crate::environments::{LeafName, may_be_same, token_in};
use crate::reconcile::run;

/// What a place gets.
pub(super) fn environment(ground: &Ground<'_>, plan: &PlacePlan) -> EnvironmentChange {
    let mut change = super::environment(ground, &plan.place);
    let keepers = keepers(ground, plan);
    for leaf in &plan.leaves {
        let told = told(ground, leaf, &keepers);
        let name = leaf.grown.name.clone();
        change.unchanged.insert(name, told.unchanged);
        change.warnings.extend(told.warnings);
        if !told.objects.is_empty() || leaf.problem.is_some() {
            change.leaves.push(LeafChange {
                name: leaf.grown.name.clone(),
                path: leaf.grown.path.clone(),
                objects: told.objects,
                problem: leaf.problem.clone(),
            });
        }
    }
    for gone in plan.gone.iter().filter(|gone| !gone.objects.is_empty()) {
        let objects = gone.objects.iter().map(lost);
        change.leaves.push(LeafChange {
            name: gone.name.clone(),
            path: gone.path.clone(),
            objects: objects.collect(),
            problem: None,
        });
    }
    change.warnings.extend(shared(plan));
    change.warnings.extend(suspended(ground, plan, &change));
    change.warnings.extend(untold(plan, &change));
    change.warnings.extend(approximate(&change));
    change
}

/// What is told of one Kustomization.
struct Told {
    objects: Vec<ObjectChange>,
    unchanged: usize,
    warnings: Vec<String>,
}

/// Who has applied which object, of those that want it no more.
type Keepers = BTreeMap<ObjectKey, LeafName>;

fn keepers(ground: &Ground<'_>, plan: &PlacePlan) -> Keepers {
    let mut keepers = Keepers::new();
    for leaf in &plan.leaves {
        let prunes = leaf.plan.iter().flat_map(|plan| &plan.prunes);
        keepers.extend(prunes.map(|id| (ObjectKey::from(id), leaf.grown.name.clone())));
    }
    for gone in &plan.gone {
        let object = ground.living.get(&gone.name);
        let inventory = object
            .and_then(|object| run::applied(object).ok())
            .unwrap_or_default();
        let all = inventory.objects.iter();
        keepers.extend(all.map(|id| (ObjectKey::from(id), gone.name.clone())));
    }
    keepers
}

fn told(ground: &Ground<'_>, leaf: &Planned, keepers: &Keepers) -> Told {
    let mut told = Told {
        objects: Vec::new(),
        unchanged: 0,
        warnings: Vec::new(),
    };
    let Some(plan) = &leaf.plan else {
        return told;
    };
    let name = &leaf.grown.name;
    told.warnings.extend(leaf.closed.iter().map(|file| {
        format!("{name}: only its key says which objects {file} holds: neither they nor what is pruned are told")
    }));
    let mut quiet = BTreeSet::new();
    let marker = &ground.settings.marker;
    for step in &plan.steps {
        let error = plan.errors.iter().find(|error| error.id == step.id);
        match object(step, error, leaf, marker) {
            Some(mut change) => {
                let keeper = keepers.get(&ObjectKey::from(&step.id));
                change.moved_from = keeper.filter(|name| **name != leaf.grown.name).cloned();
                told.objects.push(change);
            }
            None => {
                told.unchanged += 1;
                quiet.insert(format!("{}: ", step.id));
                told.warnings.extend(
                    step.rivals
                        .iter()
                        .map(|rival| format!("{}: {rival} too", step.id)),
                );
            }
        }
    }
    let is_step = |error: &&ObjectError| plan.steps.iter().any(|step| step.id == error.id);
    let refused = plan.errors.iter().filter(|error| !is_step(error));
    told.objects
        .extend(refused.map(|error| never_sent(error, leaf.grown.objects())));
    told.objects.extend(leaf.lost.iter().map(lost));
    let is_news = |text: &&String| !quiet.iter().any(|id| text.starts_with(id.as_str()));
    told.warnings
        .extend(plan.warnings.iter().filter(is_news).cloned());
    told
}

/// What becomes of one object; nothing when it stays as it is.
fn object(
    step: &Step,
    error: Option<&ObjectError>,
    leaf: &Planned,
    marker: &Marker,
) -> Option<ObjectChange> {
    let key = ObjectKey::from(&step.id);
    let renamed = leaf.renamed.iter().find(|renamed| renamed.new == key);
    let unread = leaf.unread.get(&key).map_or(&[][..], Vec::as_slice);
    let mut reasons = match leaf.unknown.contains(&key) {
        true => reasons(&step.object, marker),
        false => Vec::new(),
    };
    reasons.extend(unread.iter().map(|(_, reason)| reason.clone()));
    let changes = renamed.map_or(&step.changes, |renamed| &renamed.changes);
    let known = changes
        .iter()
        .filter_map(|change| line(change, &reasons, !unread.is_empty()));
    let lines: Vec<Line> = known.chain(unread.iter().map(unread_line)).collect();
    let action = match error {
        Some(error) => refusal(step, error),
        None => action(step, renamed, &lines, leaf.grown.spec.force)?,
    };
    Some(ObjectChange {
        id: step.id.clone(),
        old_name: renamed.map(|renamed| renamed.old.name.clone()),
        moved_from: None,
        action,
        lines,
        rivals: step.rivals.clone(),
        is_approximate: step.is_approximate,
        is_earlier: false,
        place: step.object.origin.place.clone(),
    })
}

fn action(step: &Step, renamed: Option<&Renamed>, lines: &[Line], forces: bool) -> Option<Action> {
    let is_certain = lines.iter().any(Line::is_certain);
    Some(match &step.action {
        // What stays as far as it is known may change by a patch that is not.
        cluster::Action::Unchanged if lines.is_empty() => return None,
        cluster::Action::Unchanged => Action::MayChange,
        cluster::Action::Create | cluster::Action::CreateUnchecked(_) => match renamed {
            Some(_) => Action::Change,
            None => Action::Create,
        },
        // What may not be read has no live state.
        cluster::Action::Configure if step.is_approximate && step.live.is_none() => {
            Action::MayChange
        }
        // The API server would have said so, had it been asked.
        cluster::Action::Configure if step.is_approximate && is_certain => {
            replaced_live(&step.object, lines, forces).unwrap_or(Action::Change)
        }
        cluster::Action::Configure if lines.is_empty() || is_certain => Action::Change,
        cluster::Action::Configure => Action::MayChange,
        cluster::Action::Replace(fields) => Action::Replace {
            fields: fields.clone(),
            is_allowed: true,
        },
        cluster::Action::Skip(why) => Action::Skip(skipped(*why).to_owned()),
    })
}

fn refusal(step: &Step, error: &ObjectError) -> Action {
    match step.immutable.is_empty() {
        true => Action::Refuse(words(error)),
        false => Action::Replace {
            fields: step.immutable.clone(),
            is_allowed: false,
        },
    }
}

fn words(error: &ObjectError) -> String {
    match error.reason.as_str() {
        "" => error.message.clone(),
        reason => format!("{reason}: {}", error.message),
    }
}

fn skipped(why: Skip) -> &'static str {
    match why {
        Skip::ReconcileDisabled => "reconcile: disabled",
        Skip::Ignored => "ssa: Ignore",
        Skip::Replaced => "a part of Flux whose work Weir does",
        Skip::Present => "ssa: IfNotPresent, and it is present",
        Skip::KeptElsewhere => "another Kustomization keeps it",
        Skip::DriftReported => "its drift is only reported",
    }
}

/// An object that the rules refuse before anything is sent.
fn never_sent(error: &ObjectError, objects: &[Object]) -> ObjectChange {
    let found = objects.iter().find(|object| object.id == error.id);
    let place = found.map(|object| object.origin.place.clone());
    bare(&error.id, Action::Refuse(words(error)), place)
}

fn lost(lost: &Lost) -> ObjectChange {
    bare(&lost.id, lost.action.clone(), None)
}

fn bare(id: &ObjectId, action: Action, place: Option<Written>) -> ObjectChange {
    ObjectChange {
        id: id.clone(),
        old_name: None,
        moved_from: None,
        action,
        lines: Vec::new(),
        rivals: Vec::new(),
        is_approximate: false,
        is_earlier: false,
        place: place.unwrap_or_default(),
    }
}

/// One leaf. What a masked value of an object with unknown ones depends on is any of these. So does any leaf where a
/// patch cannot be read: what is there may be what that sets, and secret; what only is there may be its doing.
fn line(change: &Change, reasons: &[String], is_unread: bool) -> Option<Line> {
    let sides = [change.before.clone(), change.after.clone()];
    let ([before, after], unknown) = match (&sides, is_unread) {
        ([_, None], true) => return None,
        ([Some(_), Some(_)], true) => ([(); 2].map(|()| Some(Shown::Masked)), reasons.to_vec()),
        ([Some(Shown::Masked), Some(Shown::Masked)], false) => (sides, reasons.to_vec()),
        ([None, Some(_)], true) => (sides, reasons.to_vec()),
        _ => (sides, Vec::new()),
    };
    Some(Line {
        path: change.path.clone(),
        before,
        after,
        unknown,
    })
}

/// A patch that cannot be read stands for whatever it sets.
fn unread_line((path, reason): &(String, String)) -> Line {
    let value = Value::String(format!("(known after apply: {reason})"));
    let shown = Some(Shown::Value(value));
    Line {
        path: path.clone(),
        before: shown.clone(),
        after: shown,
        unknown: vec![reason.clone()],
    }
}

fn of_text(text: &str, marker: &Marker) -> Vec<String> {
    let Some(text) = token_in(text, marker) else {
        return Vec::new();
    };
    let part = |part: Part<'_>| match part {
        Part::Unknown(unknown) => Some(unknown.reason),
        Part::Text(_) => None,
    };
    marker.parts(&text).into_iter().filter_map(part).collect()
}

/// Why values of an object are not known.
fn reasons(object: &Object, marker: &Marker) -> Vec<String> {
    let mut all = Vec::new();
    texts(&object.node, &mut all);
    let found: BTreeSet<String> = all.iter().flat_map(|text| of_text(text, marker)).collect();
    found.into_iter().collect()
}

/// Objects that several Kustomizations want, one that changes among them.
fn shared(plan: &PlacePlan) -> Vec<String> {
    let mut owners: BTreeMap<ObjectKey, (&ObjectId, Vec<String>, bool)> = BTreeMap::new();
    for leaf in &plan.leaves {
        for step in leaf.plan.iter().flat_map(|plan| &plan.steps) {
            let entry = owners.entry(ObjectKey::from(&step.id));
            let (_, names, changes) = entry.or_insert((&step.id, Vec::new(), false));
            names.push(leaf.grown.name.to_string());
            *changes |= step.action != cluster::Action::Unchanged;
        }
    }
    let found = owners
        .into_values()
        .filter(|(_, names, changes)| names.len() > 1 && *changes);
    found
        .map(|(id, names, _)| format!("{id} is wanted by {}", names.join(" and ")))
        .collect()
}

/// Kustomizations that change and do nothing until somebody resumes them.
fn suspended(ground: &Ground<'_>, plan: &PlacePlan, change: &EnvironmentChange) -> Vec<String> {
    let changes = |leaf: &&Planned| change.leaves.iter().any(|it| it.name == leaf.grown.name);
    let is_suspended = |leaf: &&Planned| is_suspended(leaf, ground.living.get(&leaf.grown.name));
    let found = plan.leaves.iter().filter(changes).filter(is_suspended);
    found
        .map(|leaf| {
            format!(
                "{} is suspended: nothing of it happens before it is resumed",
                leaf.grown.name
            )
        })
        .collect()
}

/// Kustomizations of which nobody can tell what of what is there is secret: none of it is shown.
fn untold(plan: &PlacePlan, change: &EnvironmentChange) -> Vec<String> {
    let is_told = |name: &LeafName| {
        let mut leaves = change.leaves.iter().filter(|leaf| leaf.name == *name);
        leaves.any(|leaf| leaf.objects.iter().any(|object| !object.lines.is_empty()))
    };
    let untold = plan.earlier.untold.iter().filter(|(name, _)| is_told(name));
    untold
        .map(|(name, why)| {
            format!("{name}: {why}: what is there is not shown, as secrets may be in it")
        })
        .collect()
}

fn approximate(change: &EnvironmentChange) -> Option<String> {
    let mut objects = change.leaves.iter().flat_map(|leaf| &leaf.objects);
    objects.any(|object| object.is_approximate).then(|| {
        "approximate where it says so: told from what is in the cluster, as this account may not try it there, or as \
         values are not known"
            .to_owned()
    })
}

/// Marks what differs in the cluster without a change of the repository too.
pub(super) fn mark_earlier(change: &mut EnvironmentChange, changed: &Comparison) {
    let same_path = |other: &&EnvironmentChange| other.path == change.path;
    let of_path: Vec<_> = changed.environments.iter().filter(same_path).collect();
    let mine: Vec<&ObjectId> = of_path
        .iter()
        .flat_map(|other| &other.leaves)
        .flat_map(|leaf| leaf.objects.iter().map(|object| &object.id))
        .collect();
    // A folder that is built as it lies has no namespace for its objects; the Kustomization that is there has.
    let is_it = |id: &ObjectId, other: &ObjectId| {
        (&id.group, &id.kind) == (&other.group, &other.kind)
            && may_be_same(&id.name, &other.name)
            && (id.namespace == other.namespace || other.namespace.is_empty())
    };
    let broken = |leaf: &LeafChange| matches!(leaf.problem, Some(Problem::Breaks(_)));
    for leaf in change.leaves.iter_mut().filter(|leaf| !broken(leaf)) {
        for object in &mut leaf.objects {
            object.is_earlier = !mine.iter().any(|other| is_it(&object.id, other));
        }
    }
}
