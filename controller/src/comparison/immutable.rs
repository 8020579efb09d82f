//! Fields that the API server lets nobody change: the object must be deleted and created again.

use overlay::{Object, ObjectId};

use super::{Action, Line};

/// A kind and its fields that cannot change, and below these the ones that can.
struct Rule {
    group: &'static str,
    kind: &'static str,
    fields: &'static [&'static str],
    except: &'static [&'static str],
}

const fn rule(group: &'static str, kind: &'static str, fields: &'static [&'static str]) -> Rule {
    Rule {
        group,
        kind,
        fields,
        except: &[],
    }
}

const RULES: [Rule; 15] = [
    rule("apps", "Deployment", &["spec.selector"]),
    rule("apps", "DaemonSet", &["spec.selector"]),
    rule("apps", "ReplicaSet", &["spec.selector"]),
    Rule {
        group: "apps",
        kind: "StatefulSet",
        fields: &["spec"],
        except: &[
            "spec.minReadySeconds",
            "spec.ordinals",
            "spec.persistentVolumeClaimRetentionPolicy",
            "spec.replicas",
            "spec.revisionHistoryLimit",
            "spec.template",
            "spec.updateStrategy",
        ],
    },
    rule(
        "batch",
        "Job",
        &["spec.completionMode", "spec.selector", "spec.template"],
    ),
    Rule {
        group: "",
        kind: "PersistentVolumeClaim",
        fields: &["spec"],
        except: &["spec.resources", "spec.volumeAttributesClassName"],
    },
    rule("", "Secret", &["type"]),
    rule("rbac.authorization.k8s.io", "RoleBinding", &["roleRef"]),
    rule(
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        &["roleRef"],
    ),
    rule(
        "storage.k8s.io",
        "StorageClass",
        &[
            "parameters",
            "provisioner",
            "reclaimPolicy",
            "volumeBindingMode",
        ],
    ),
    rule(
        "storage.k8s.io",
        "CSIDriver",
        &["spec.attachRequired", "spec.volumeLifecycleModes"],
    ),
    rule(
        "scheduling.k8s.io",
        "PriorityClass",
        &["value", "preemptionPolicy"],
    ),
    rule("networking.k8s.io", "IngressClass", &["spec.controller"]),
    rule("node.k8s.io", "RuntimeClass", &["handler"]),
    rule(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["spec.group", "spec.scope"],
    ),
];

/// What an object that says `immutable: true` holds fast.
const HELD: [&str; 3] = ["data", "binaryData", "stringData"];

/// An annotation, or label, that lets an object be replaced.
const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";

/// That an object is replaced, where a field changes that cannot; `forces` says whether its Kustomization lets it.
pub(super) fn replaced(
    before: &Object,
    after: &Object,
    lines: &[Line],
    forces: bool,
) -> Option<Action> {
    let certain = lines.iter().filter(|line| line.is_certain());
    let held = certain.filter(|line| holder(before, &line.path).is_some());
    let mut fields: Vec<String> = held.map(|line| line.path.clone()).collect();
    fields.dedup();
    replacement(after, fields, forces)
}

/// The same where what was there is a live object that is not at hand, told as the API server tells it.
pub(crate) fn replaced_live(after: &Object, lines: &[Line], forces: bool) -> Option<Action> {
    // What locks itself only now holds nothing yet.
    if lines.iter().any(|line| line.path == "immutable") {
        return None;
    }
    let certain = lines.iter().filter(|line| line.is_certain());
    let held = certain.filter_map(|line| holder(after, &line.path));
    let mut fields: Vec<String> = held.map(str::to_owned).collect();
    fields.sort();
    fields.dedup();
    replacement(after, fields, forces)
}

fn replacement(after: &Object, fields: Vec<String>, forces: bool) -> Option<Action> {
    let is_allowed = forces || says(after, FORCE, "enabled");
    (!fields.is_empty()).then_some(Action::Replace { fields, is_allowed })
}

/// Whether a label or annotation has a value.
pub(super) fn says(object: &Object, name: &str, value: &str) -> bool {
    ["annotations", "labels"].iter().any(|field| {
        let found = object.node.find_str(&["metadata", field, name]);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    })
}

/// The field that cannot change and that a path is at or below.
fn holder(object: &Object, path: &str) -> Option<&'static str> {
    let ObjectId { group, kind, .. } = &object.id;
    let locks = group.is_empty()
        && (kind == "ConfigMap" || kind == "Secret")
        && object.node.find_str(&["immutable"]) == Some("true");
    let locked = HELD.iter().filter(|_| locks);
    let is_its = |rule: &&Rule| rule.group == group && rule.kind == kind;
    let is_free = |rule: &Rule| rule.except.iter().any(|field| is_at(path, field));
    let rules = RULES.iter().filter(is_its).filter(|rule| !is_free(rule));
    let mut all = rules.flat_map(|rule| rule.fields).chain(locked);
    all.find(|field| is_at(path, field)).copied()
}

/// At a field or below it.
fn is_at(path: &str, field: &str) -> bool {
    let rest = path.strip_prefix(field);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
