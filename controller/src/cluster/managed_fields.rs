//! Who owns which fields of a live object: our own entry, and entries of managers whose fields Weir takes over.

use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::held_fields;

/// The field manager that Weir applies with: Flux's, so that a cluster can change hands without a conflict.
pub const FIELD_MANAGER: &str = "kustomize-controller";

/// SHA-256 of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Our own entry in `managedFields`: what the last apply left there. While it is unchanged, nobody has taken a
/// field from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnEntry {
    /// Digest of `fieldsV1`.
    pub fields: Digest,
    /// The server's time of the last apply that changed something, in seconds since 1970.
    pub time: i64,
}

/// A manager whose fields become ours before the first apply, so that fields that `kubectl` has added go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// Beginning of the manager's name.
    pub prefix: String,
    /// `Apply` or `Update`.
    pub operation: &'static str,
}

/// The managers that Flux takes over, and more that are given by name.
pub fn taken_over_besides(names: &[String]) -> Vec<TakenOver> {
    let more = names.iter().flat_map(|name| {
        ["Apply", "Update"].map(|operation| TakenOver {
            prefix: name.clone(),
            operation,
        })
    });
    taken_over().into_iter().chain(more).collect()
}

/// The managers that Flux takes over.
pub fn taken_over() -> Vec<TakenOver> {
    [
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("before-first-apply", "Update"),
        (FIELD_MANAGER, "Update"),
    ]
    .into_iter()
    .map(|(prefix, operation)| TakenOver {
        prefix: prefix.to_owned(),
        operation,
    })
    .collect()
}

fn entries(object: &Value) -> &[Value] {
    object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_own(entry: &Value) -> bool {
    text(entry, "manager") == FIELD_MANAGER
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

fn is_taken(entry: &Value, managers: &[TakenOver]) -> bool {
    text(entry, "subresource").is_empty()
        && managers.iter().any(|manager| {
            text(entry, "operation") == manager.operation
                && text(entry, "manager").starts_with(&manager.prefix)
        })
}

/// Our own entry of an object, when there is one.
pub fn own_entry(object: &Value) -> Option<OwnEntry> {
    let entry = entries(object).iter().find(|entry| is_own(entry))?;
    let fields = entry
        .get("fieldsV1")
        .map(Value::to_string)
        .unwrap_or_default();
    Some(OwnEntry {
        fields: Digest::of(fields.as_bytes()),
        time: text(entry, "time")
            .parse::<jiff::Timestamp>()
            .map_or(0, |time| time.as_second()),
    })
}

/// The fields of our own entry, as JSON.
pub fn own_fields(object: &Value) -> Option<String> {
    let entry = entries(object).iter().find(|entry| is_own(entry))?;
    entry.get("fieldsV1").map(Value::to_string)
}

/// What anybody holds of an object: one tree of all entries.
pub(super) fn all_fields(object: &Value) -> Value {
    let mut all = Map::new();
    let trees = entries(object)
        .iter()
        .filter_map(|entry| entry["fieldsV1"].as_object());
    trees.for_each(|tree| unite(&mut all, tree));
    Value::Object(all)
}

/// Whether a manager besides us holds what a path of keys (`f:spec`, `k:{…}`) leads to.
pub(super) fn is_held_by_another(object: &Value, path: &[String]) -> bool {
    let holds = |entry: &Value| {
        let begin = entry.get("fieldsV1");
        path.iter()
            .fold(begin, |fields, key| fields?.get(key))
            .is_some()
    };
    let mut others = entries(object).iter().filter(|entry| !is_own(entry));
    others.any(holds)
}

/// Another manager, and a field that it has taken from us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// The field, for example `spec.replicas`.
    pub field: String,
    /// The manager.
    pub manager: String,
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is written by {}", self.field, self.manager)
    }
}

/// Who holds fields that a wanted object sets and that we do not hold any more.
pub fn rivals(live: &Value, wanted: &Value) -> Vec<Rival> {
    let nothing = json!({});
    let own = entries(live).iter().find(|entry| is_own(entry));
    let ours = own.map_or(&nothing, |own| &own["fieldsV1"]);
    let others = entries(live).iter().filter(|entry| !is_own(entry));
    let taken = others.flat_map(|entry| {
        let fields = held_fields::taken(&entry["fieldsV1"], ours, wanted);
        let manager = text(entry, "manager");
        fields.into_iter().map(|field| Rival {
            field,
            manager: manager.to_owned(),
        })
    });
    taken.collect()
}

/// Whether a manager besides us applies the field at a path. A path that goes through a list is nobody's: lists
/// are not told by position there.
pub fn is_applied_by_another(object: &Value, path: &[String]) -> bool {
    let holds = |entry: &Value| {
        let fields = entry.get("fieldsV1");
        let found = path
            .iter()
            .fold(fields, |fields, part| fields?.get(format!("f:{part}")));
        found.is_some()
    };
    let others = entries(object).iter().filter(|entry| !is_own(entry));
    let mut others = others.filter(|entry| text(entry, "operation") == "Apply");
    others.any(holds)
}

/// The manager besides us whose entry has the newest date; status writers do not count.
pub fn last_writer(object: &Value) -> Option<String> {
    let others = entries(object).iter().filter(|entry| !is_own(entry));
    let others = others.filter(|entry| text(entry, "subresource").is_empty());
    let newest = others.max_by_key(|entry| text(entry, "time"))?;
    Some(text(newest, "manager").to_owned())
}

/// Whether somebody has written `status.observedGeneration`.
pub fn is_reported(object: &Value) -> bool {
    let field = "/fieldsV1/f:status/f:observedGeneration";
    let mut entries = entries(object).iter();
    entries.any(|entry| entry.pointer(field).is_some())
}

/// Whether the server keeps managed fields for this object at all; some aggregated API servers do not.
pub fn has_managed_fields(object: &Value) -> bool {
    !entries(object).is_empty()
}

/// One digest of all entries that would be taken over; none without such entries.
pub fn taken_over_digest(object: &Value, managers: &[TakenOver]) -> Option<Digest> {
    let mut hash = Sha256::new();
    let mut any = false;
    for entry in entries(object) {
        let taken = (!is_own(entry) && is_taken(entry, managers)).then(|| part(entry).0);
        if let Some(taken) = taken.flatten() {
            any = true;
            hash.update(taken.to_string());
        }
    }
    any.then(|| Digest(hash.finalize().into()))
}

/// The list of entries after the take-over, or none when nothing is to be taken over: the fields of all such
/// managers are merged into our entry, or the first of them becomes it.
pub fn take_over(object: &Value, managers: &[TakenOver]) -> Option<Vec<Value>> {
    let (taken, mut kept): (Vec<_>, Vec<_>) = entries(object)
        .iter()
        .filter(|entry| !is_own(entry))
        .cloned()
        .partition(|entry| is_taken(entry, managers));
    let (taken, stay): (Vec<_>, Vec<_>) = taken.iter().map(part).unzip();
    let mut taken = taken.into_iter().flatten();
    let own = entries(object).iter().find(|entry| is_own(entry)).cloned();
    let first = taken.next()?;
    let mut ours = match own {
        Some(mut own) => {
            merge_fields(&mut own, &first);
            own
        }
        None => renamed(first),
    };
    taken.for_each(|entry| merge_fields(&mut ours, &entry));
    kept.extend(stay.into_iter().flatten());
    kept.push(ours);
    Some(kept)
}

/// Where `kubectl rollout restart` writes the time of the restart. To take it over would be to undo the restart.
const RESTARTED_AT: [&str; 5] = [
    "f:spec",
    "f:template",
    "f:metadata",
    "f:annotations",
    "f:kubectl.kubernetes.io/restartedAt",
];

/// Parts an entry's fields in those that are taken over and the time of a restart, which stays with its manager.
fn part(entry: &Value) -> (Option<Value>, Option<Value>) {
    let mut rest = entry.clone();
    if !take_out(&mut rest["fieldsV1"], &RESTARTED_AT) {
        return (Some(rest), None);
    }
    let mut stays = entry.clone();
    stays["fieldsV1"] = RESTARTED_AT
        .iter()
        .rev()
        .fold(json!({}), |inner, key| json!({ *key: inner }));
    let is_empty = rest["fieldsV1"].as_object().is_some_and(Map::is_empty);
    ((!is_empty).then_some(rest), Some(stays))
}

/// Takes a field out of a tree, with all above it that hold nothing else; false when it is not there.
fn take_out(node: &mut Value, path: &[&str]) -> bool {
    let ([first, rest @ ..], Some(fields)) = (path, node.as_object_mut()) else {
        return path.is_empty();
    };
    let Some(child) = fields.get_mut(*first) else {
        return false;
    };
    let found = take_out(child, rest);
    let is_bare = |child: &Value| {
        child
            .as_object()
            .is_some_and(|child| child.keys().all(|key| key == "."))
    };
    if found && (rest.is_empty() || is_bare(child)) {
        fields.remove(*first);
    }
    found
}

fn renamed(mut entry: Value) -> Value {
    entry["manager"] = FIELD_MANAGER.into();
    entry["operation"] = "Apply".into();
    entry
}

fn merge_fields(into: &mut Value, from: &Value) {
    let Some(more) = from.get("fieldsV1").and_then(Value::as_object) else {
        return;
    };
    if let Some(have) = into.get_mut("fieldsV1").and_then(Value::as_object_mut) {
        unite(have, more);
    } else {
        into["fieldsV1"] = Value::Object(more.clone());
    }
}

/// The union of two field sets: `fieldsV1` is a tree of keys, so it is the union of their trees.
fn unite(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(have)), Value::Object(more)) => unite(have, more),
            (Some(_), _) => {}
            (None, _) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(entries: Value) -> Value {
        json!({"metadata": {"managedFields": entries}})
    }

    #[test]
    fn a_controller_that_has_only_begun_has_not_reported() {
        let written = |fields: Value| {
            object(json!([
                {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                 "fieldsV1": {"f:status": fields}},
            ]))
        };
        let begun = json!({"f:conditions": {"k:{\"type\":\"Progressing\"}": {".": {}}}});
        assert!(!is_reported(&written(begun)));
        assert!(is_reported(&written(json!({"f:observedGeneration": {}}))));
    }

    #[test]
    fn kubectl_s_fields_are_merged_into_ours() {
        let live = object(json!([
            {"manager": "kustomize-controller", "operation": "Apply", "time": "t1",
             "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubectl-edit", "operation": "Update",
             "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
             "fieldsV1": {"f:status": {}}},
        ]));
        let after = take_over(&live, &taken_over()).expect("kubectl-edit is taken over");
        assert_eq!(after.len(), 2);
        assert_eq!(after[0]["manager"], "kube-controller-manager");
        assert_eq!(
            after[1]["fieldsV1"],
            json!({"f:spec": {"f:replicas": {}, "f:paused": {}}})
        );
    }

    #[test]
    fn without_our_entry_the_first_taken_becomes_ours() {
        let live = object(json!([
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:data": {}}},
            {"manager": "before-first-apply", "operation": "Update", "fieldsV1": {"f:type": {}}},
        ]));
        let after = take_over(&live, &taken_over()).expect("both are taken over");
        assert_eq!(
            after,
            [
                json!({"manager": "kustomize-controller", "operation": "Apply",
                    "fieldsV1": {"f:data": {}, "f:type": {}}})
            ]
        );
    }

    #[test]
    fn the_time_of_a_restart_stays_with_its_manager() {
        let restart = |rest: Value| {
            let mut annotations = json!({"f:kubectl.kubernetes.io/restartedAt": {}});
            unite(
                annotations.as_object_mut().expect("a map"),
                rest.as_object().expect("a map"),
            );
            json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": annotations}}}})
        };
        let own = json!({"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        let with = |fields: Value| {
            let theirs =
                json!({"manager": "kubectl-rollout", "operation": "Update", "fieldsV1": fields});
            object(json!([own, theirs]))
        };
        let alone = with(restart(json!({".": {}})));
        assert_eq!(take_over(&alone, &taken_over()), None);
        assert_eq!(taken_over_digest(&alone, &taken_over()), None);
        let more = with(restart(json!({"f:note": {}})));
        let after = take_over(&more, &taken_over()).expect("the note is taken over");
        assert_eq!(after[0]["manager"], "kubectl-rollout");
        assert_eq!(after[0]["fieldsV1"], restart(json!({})));
        let note = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:metadata": {"f:annotations": {"f:note": {}}}}}});
        assert_eq!(after[1]["fieldsV1"], note);
    }

    #[test]
    fn rivals_are_who_holds_what_we_want() {
        let live = object(json!([
            {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:other": {}}}},
        ]));
        let wanted = json!({"kind": "Deployment", "spec": {"replicas": 2, "paused": true}});
        let rivals: Vec<String> = rivals(&live, &wanted)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(rivals, ["spec.replicas is written by hpa"]);
    }

    #[test]
    fn other_managers_and_subresources_are_left_alone() {
        let live = object(json!([
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {}},
            {"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "flux-client-side-apply", "operation": "Apply", "fieldsV1": {}},
        ]));
        assert_eq!(take_over(&live, &taken_over()), None);
        assert_eq!(taken_over_digest(&live, &taken_over()), None);
        assert_eq!(own_entry(&live), None);
        assert_eq!(
            last_writer(&live).as_deref(),
            Some("flux-client-side-apply")
        );
        assert!(has_managed_fields(&live));
    }
}
