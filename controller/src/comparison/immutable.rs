//! Fields that the API server lets nobody change: the object must be deleted and created again.

use overlay::{Object, ObjectId};

use super::Line;

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

/// The fields among the changed ones that cannot change.
pub(super) fn held(before: &Object, lines: &[Line]) -> Vec<String> {
    let certain = lines.iter().filter(|line| line.is_certain());
    let held = certain.filter(|line| is_held(before, &line.path));
    let mut fields: Vec<String> = held.map(|line| line.path.clone()).collect();
    fields.dedup();
    fields
}

fn is_held(before: &Object, path: &str) -> bool {
    let ObjectId { group, kind, .. } = &before.id;
    let locks = group.is_empty()
        && (kind == "ConfigMap" || kind == "Secret")
        && before.node.find_str(&["immutable"]) == Some("true");
    let by_rule = RULES.iter().any(|rule| {
        rule.group == group
            && rule.kind == kind
            && rule.fields.iter().any(|field| is_at(path, field))
            && !rule.except.iter().any(|field| is_at(path, field))
    });
    by_rule || (locks && HELD.iter().any(|field| is_at(path, field)))
}

/// At a field or below it.
fn is_at(path: &str, field: &str) -> bool {
    let rest = path.strip_prefix(field);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
