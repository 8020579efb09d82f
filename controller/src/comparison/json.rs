//! A comparison for programs; `docs/plan.md` says what each field means.

use serde_json::{Value, json};

use super::count::COUNTS;
use super::{
    Action, Comparison, Counts, EnvironmentChange, LeafChange, Line, ObjectChange, Presence,
    Problem,
};
use crate::cluster::{Rival, Shown};
use crate::environments::Kind;

/// What this form of the document is called. Fields may be added to it; none changes its meaning or goes.
pub const SCHEMA: &str = "weir.plan/v1";

/// The two revisions, as the user named them.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// The earlier one.
    pub from: String,
    /// The later one.
    pub to: String,
    /// Whether the earlier one is a cluster.
    pub is_live: bool,
}

/// The whole comparison.
pub fn value(comparison: &Comparison, sides: &Sides) -> Value {
    let environments: Vec<Value> = comparison.environments.iter().map(environment).collect();
    json!({
        "schema": SCHEMA,
        "from": sides.from,
        "to": sides.to,
        "live": sides.is_live,
        "counts": counts(&Counts::of(comparison)),
        "environments": environments,
        "unchangedEnvironments": comparison.unchanged,
    })
}

/// Counts by name: `mayChange`, `leftBehind`.
fn counts(counts: &Counts) -> Value {
    let mut map = serde_json::Map::new();
    for (count, word, _) in COUNTS {
        map.insert(camel_case(word), counts.get(count).into());
    }
    map.insert("unchanged".to_owned(), counts.unchanged.into());
    map.into()
}

fn camel_case(words: &str) -> String {
    let mut parts = words.split(' ');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        text.extend(letters);
    }
    text
}

fn environment(environment: &EnvironmentChange) -> Value {
    let kind = match environment.kind {
        Kind::Cluster => "cluster",
        Kind::Folder => "folder",
        Kind::Unreached => "unreached",
    };
    let presence = match environment.presence {
        Presence::Added => "added",
        Presence::Kept => "kept",
        Presence::Removed => "removed",
    };
    let leaves: Vec<Value> = environment.leaves.iter().map(leaf).collect();
    json!({
        "name": environment.name,
        "kind": kind,
        "path": environment.path,
        "stages": environment.stages,
        "presence": presence,
        "counts": counts(&Counts::of_environment(environment)),
        "kustomizations": leaves,
        "warnings": environment.warnings,
    })
}

fn leaf(leaf: &LeafChange) -> Value {
    let objects: Vec<Value> = leaf.objects.iter().map(object).collect();
    let problem = leaf.problem.as_ref().map(|problem| {
        let (kind, message) = match problem {
            Problem::Breaks(why) => ("breaks", why.as_str()),
            Problem::StaysBroken(why) => ("staysBroken", why.as_str()),
            Problem::IsMended => ("isMended", ""),
            Problem::MovesOut(repository) => ("movesOut", repository.as_str()),
            Problem::AnotherCluster(way) => ("anotherCluster", way.as_str()),
        };
        json!({"kind": kind, "message": message})
    });
    json!({
        "namespace": leaf.name.namespace,
        "name": leaf.name.name,
        "path": leaf.path,
        "problem": problem,
        "objects": objects,
    })
}

/// One object, as in a plan.
pub fn object(object: &ObjectChange) -> Value {
    let id = &object.id;
    let (action, more) = action(&object.action);
    let lines: Vec<Value> = object.lines.iter().map(line).collect();
    let rival = |rival: &Rival| json!({"path": rival.field, "manager": rival.manager});
    let rivals: Vec<Value> = object.rivals.iter().map(rival).collect();
    let mut value = json!({
        "group": id.group,
        "version": id.version,
        "kind": id.kind,
        "namespace": id.namespace,
        "name": id.name,
        "action": action,
        "oldName": object.old_name,
        "movedFrom": object.moved_from.as_ref().map(ToString::to_string),
        "file": &*object.place.file,
        "line": object.place.line,
        "changes": lines,
        "conflicts": rivals,
        "isApproximate": object.is_approximate,
        "isEarlier": object.is_earlier,
    });
    if let (Some(map), Some(more)) = (value.as_object_mut(), more.as_object()) {
        map.extend(more.clone());
    }
    value
}

fn action(action: &Action) -> (&'static str, Value) {
    match action {
        Action::Create => ("create", json!({})),
        Action::Change => ("change", json!({})),
        Action::MayChange => ("mayChange", json!({})),
        Action::Replace { fields, is_allowed } => (
            "replace",
            json!({"immutableFields": fields, "isAllowed": is_allowed}),
        ),
        Action::Prune { is_guarded } => ("prune", json!({"isGuarded": is_guarded})),
        Action::Leave(why) => ("leave", json!({"reason": why})),
        Action::Refuse(why) => ("refuse", json!({"reason": why})),
        Action::Skip(why) => ("skip", json!({"reason": why})),
    }
}

/// A side that is masked says so and has no value; one that is not there is null.
fn line(line: &Line) -> Value {
    let side = |shown: &Option<Shown>| match shown {
        None => Value::Null,
        Some(Shown::Masked) => json!({"secret": true}),
        Some(Shown::Value(value)) => json!({"value": value}),
    };
    json!({
        "path": line.path,
        "before": side(&line.before),
        "after": side(&line.after),
        "certain": line.is_certain(),
        "unknown": line.unknown,
    })
}
