//! The table of built-in kinds that `weir lint` checks fields with, written from what an API server publishes and what it
//! was seen refusing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::probes::{Seen, Wrong};
use super::published::{Holds, Published, short};

/// Fields that only the server's code requires, wherever their mapping stands.
const IN_CODE_ALONE: [(&str, &[&str]); 22] = [
    ("admissionregistration.v1.RuleWithOperations", RULE),
    ("apps.v1.DaemonSet", &["spec"]),
    ("apps.v1.Deployment", &["spec"]),
    ("apps.v1.ReplicaSet", &["spec"]),
    ("apps.v1.ReplicaSetSpec", &["template"]),
    ("apps.v1.StatefulSet", &["spec"]),
    ("batch.v1.Job", &["spec"]),
    ("batch.v1.JobTemplateSpec", &["spec"]),
    ("core.v1.ConfigMapEnvSource", &["name"]),
    ("core.v1.ConfigMapKeySelector", &["name"]),
    ("core.v1.ConfigMapVolumeSource", &["name"]),
    ("core.v1.Container", &["image"]),
    ("core.v1.EphemeralVolumeSource", &["volumeClaimTemplate"]),
    ("core.v1.PersistentVolume", &["spec"]),
    ("core.v1.PersistentVolumeClaim", &["spec"]),
    ("core.v1.PersistentVolumeSpec", &["accessModes", "capacity"]),
    ("core.v1.Pod", &["spec"]),
    ("core.v1.PodTemplateSpec", &["spec"]),
    ("core.v1.SecretEnvSource", &["name"]),
    ("core.v1.SecretKeySelector", &["name"]),
    ("networking.v1.Ingress", &["spec"]),
    ("networking.v1.IngressServiceBackend", &["port"]),
];

const RULE: &[&str] = &["apiGroups", "apiVersions", "operations", "resources"];

/// A line for each mapping that the kinds of users are made of.
pub(super) fn table(published: &Published, seen: &Seen) -> String {
    let (mut lines, mut due) = (BTreeMap::new(), BTreeSet::new());
    for (kind, name) in published.kinds() {
        due.insert(name);
        lines.insert(short(name), format!(" @{kind}"));
    }
    let mut done = BTreeSet::new();
    while let Some(name) = due.pop_first() {
        if !done.insert(name) {
            continue;
        }
        let line = lines.entry(short(name)).or_default();
        for (field, schema) in published.fields(name).into_iter().flatten() {
            let holds = published.holds(schema);
            let is_refused = |wrong| seen.is_always_refused(name, field, wrong);
            let _ = write!(
                line,
                " {field}{}:{}",
                if is_required(published, name, field) && is_refused(Wrong::Missing) {
                    "!"
                } else {
                    ""
                },
                word(published, holds, is_refused(Wrong::Value), &mut due)
            );
        }
    }
    let lines = lines.iter().map(|(name, rest)| format!("{name}{rest}\n"));
    lines.collect()
}

fn is_required(published: &Published, name: &str, field: &str) -> bool {
    let is_in_code =
        |(mapping, fields): &(&str, &[&str])| *mapping == short(name) && fields.contains(&field);
    published.requires(name, field) || IN_CODE_ALONE.iter().any(is_in_code)
}

/// What a field holds, in the table's words.
fn word<'a>(
    published: &'a Published,
    holds: Holds<'a>,
    is_closed: bool,
    due: &mut BTreeSet<&'a str>,
) -> String {
    let mut inner = |schema| word(published, published.holds(schema), is_closed, due);
    match holds {
        Holds::List(items) => format!("[{}", inner(items)),
        Holds::Map(values) => format!("{{{}", inner(values)),
        Holds::Fields(name) => {
            due.insert(name);
            short(name).to_owned()
        }
        Holds::Text(allowed) if is_closed && !allowed.is_empty() => {
            format!("={}", allowed.join("|"))
        }
        Holds::Text(_) => "string".to_owned(),
        Holds::Plain(name) => name.to_owned(),
    }
}
