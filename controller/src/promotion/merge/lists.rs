//! Lists: what their items are called, so that the items of several versions meet.

use std::collections::HashSet;

use overlay::merge_keys;
use overlay::yaml::Child;

use super::place::Place;
use super::plain::{Plain, plain};

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// By the values of these keys.
    Keys(&'static [&'static str]),
    /// By their whole value.
    Value,
}

/// Fields that hold lists with a key of their own in kinds of which no more is known: Helm values, custom resources,
/// kustomization files.
const FIELDS: [(&str, &[&str]); 22] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("extraContainers", &["name"]),
    ("sidecars", &["name"]),
    ("env", &["name"]),
    ("extraEnv", &["name"]),
    ("extraEnvVars", &["name"]),
    ("volumes", &["name"]),
    ("extraVolumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("extraVolumeMounts", &["mountPath"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["name"]),
    ("images", &["name"]),
    ("replicas", &["name"]),
    ("configMapGenerator", &["name"]),
    ("secretGenerator", &["name"]),
    ("helmCharts", &["name", "releaseName"]),
    ("dependsOn", &["namespace", "name"]),
    ("substituteFrom", &["kind", "name"]),
    ("valuesFrom", &["kind", "name", "valuesKey"]),
    ("ownerReferences", &["uid"]),
];

/// Lists whose items mean something by their order alone.
const ORDERED: [&str; 2] = ["command", "args"];

/// How the items of these versions of a list are told apart; nothing where they cannot be, and the list is one leaf.
pub(super) fn identity(place: &Place, versions: &[&[Child]]) -> Option<Identity> {
    let fields: Vec<&str> = place.fields.iter().map(String::as_str).collect();
    let known =
        merge_keys(&place.api_version, &place.kind, &fields).filter(|keys| !keys.is_empty());
    let by_field = || {
        let found = FIELDS.iter().find(|(field, _)| *field == place.field());
        found.map(|(_, keys)| *keys)
    };
    let keyed = known.or_else(by_field).map(Identity::Keys);
    let tells_apart =
        |identity: &Identity| versions.iter().all(|items| are_distinct(*identity, items));
    let by_value = (!ORDERED.contains(&place.field())).then_some(Identity::Value);
    keyed.filter(tells_apart).or(by_value.filter(tells_apart))
}

fn are_distinct(identity: Identity, items: &[Child]) -> bool {
    let mut seen = HashSet::new();
    items
        .iter()
        .all(|item| name(identity, item).is_some_and(|name| seen.insert(name)))
}

/// What an item is called.
pub(super) fn name(identity: Identity, item: &Child) -> Option<String> {
    let value = plain(&item.value);
    match (identity, &value) {
        (Identity::Keys(keys), Plain::Mapping(entries)) => {
            let part = |key: &&str| entries.get(*key).and_then(Plain::text).unwrap_or_default();
            let parts: Vec<&str> = keys.iter().map(part).collect();
            let named: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (!named.is_empty()).then(|| named.join("/"))
        }
        (Identity::Keys(_), _) => None,
        (Identity::Value, value) => Some(match value {
            Plain::Scalar { text, .. } => text.clone(),
            other => other.on_one_line(),
        }),
    }
}

/// True when both sides put something in the place of an item that both took out: items that are told apart by their
/// value would then stand beside each other.
pub(super) fn both_replaced(base: &[String], source: &[String], target: &[String]) -> bool {
    let adds = |side: &[String], other: &[String]| {
        side.iter()
            .any(|name| !base.contains(name) && !other.contains(name))
    };
    let gone = |name: &&String| !source.contains(name) && !target.contains(name);
    base.iter().any(|name| gone(&name)) && adds(source, target) && adds(target, source)
}
