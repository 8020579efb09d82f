//! In which order objects are applied: Flux's stages, and Flux's ranks inside a stage. Deletion runs backwards.

use overlay::ObjectId;

/// Kinds applied before all others of their stage, in this order.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds applied after all others.
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// What is applied together; the next stage starts when this one is applied and, for definitions, in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Custom resource definitions, namespaces, cluster roles.
    Definitions,
    /// Kinds whose name ends in `Class`.
    Classes,
    /// Kinds that the operator has given a stage of their own.
    Custom,
    /// All others.
    Rest,
}

/// A group and a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group; empty for core.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// The stage of an object; `custom` are the kinds with a stage of their own.
pub fn stage(id: &ObjectId, custom: &[GroupKind]) -> Stage {
    match id.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" | "ClusterRole" => Stage::Definitions,
        kind if kind.ends_with("Class") => Stage::Classes,
        kind if custom
            .iter()
            .any(|custom| custom.kind == kind && custom.group == id.group) =>
        {
            Stage::Custom
        }
        _ => Stage::Rest,
    }
}

/// The rank of a kind inside its stage. Objects of one rank do not wait for each other.
pub fn rank(kind: &str) -> usize {
    if let Some(index) = FIRST.iter().position(|first| *first == kind) {
        return index;
    }
    let others = FIRST.len();
    match LAST.iter().position(|last| *last == kind) {
        Some(index) => others + 1 + index,
        None => others,
    }
}

/// The key that sorts objects of a stage: rank, then group and kind, then namespace and name.
pub fn key(id: &ObjectId) -> (usize, &str, &str, &str, &str) {
    (rank(&id.kind), &id.group, &id.kind, &id.namespace, &id.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    #[test]
    fn sorts_as_flux_does() {
        let mut ids = [
            id(
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
                "v",
            ),
            id("networking.k8s.io", "Ingress", "i"),
            id("batch", "Job", "j"),
            id("apps", "Deployment", "b"),
            id("apps", "Deployment", "a"),
            id("", "Service", "s"),
            id("", "Namespace", "n"),
            id("", "ServiceAccount", "a"),
            id("apiextensions.k8s.io", "CustomResourceDefinition", "c"),
        ];
        ids.sort_by(|left, right| key(left).cmp(&key(right)));
        let kinds: Vec<_> = ids.iter().map(|id| id.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "CustomResourceDefinition",
                "Namespace",
                "ServiceAccount",
                "Service",
                "Deployment",
                "Deployment",
                "Job",
                "Ingress",
                "ValidatingWebhookConfiguration"
            ]
        );
        assert_eq!(ids[4].name, "a");
    }

    #[test]
    fn stages() {
        let custom = [GroupKind {
            group: "example.org".into(),
            kind: "Tenant".into(),
        }];
        assert_eq!(
            stage(&id("", "Namespace", "n"), &custom),
            Stage::Definitions
        );
        assert_eq!(
            stage(&id("storage.k8s.io", "StorageClass", "s"), &custom),
            Stage::Classes
        );
        assert_eq!(
            stage(&id("example.org", "Tenant", "t"), &custom),
            Stage::Custom
        );
        assert_eq!(stage(&id("other.org", "Tenant", "t"), &custom), Stage::Rest);
    }
}
