//! API versions that Kubernetes no longer serves, or will not.

use overlay::ObjectId;

/// Group and version, kinds (all of the group when there are none), the release that drops it, and what replaces it.
type Dropped = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const DROPPED: [Dropped; 17] = [
    (
        "extensions",
        "v1beta1",
        &["Ingress"],
        "1.22",
        "networking.k8s.io/v1",
    ),
    ("extensions", "v1beta1", &[], "1.16", "apps/v1"),
    ("apps", "v1beta1", &[], "1.16", "apps/v1"),
    ("apps", "v1beta2", &[], "1.16", "apps/v1"),
    (
        "networking.k8s.io",
        "v1beta1",
        &["Ingress", "IngressClass"],
        "1.22",
        "networking.k8s.io/v1",
    ),
    (
        "rbac.authorization.k8s.io",
        "v1beta1",
        &[],
        "1.22",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "apiextensions.k8s.io",
        "v1beta1",
        &[],
        "1.22",
        "apiextensions.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ],
        "1.22",
        "admissionregistration.k8s.io/v1",
    ),
    (
        "scheduling.k8s.io",
        "v1beta1",
        &[],
        "1.22",
        "scheduling.k8s.io/v1",
    ),
    (
        "storage.k8s.io",
        "v1beta1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
        "1.22",
        "storage.k8s.io/v1",
    ),
    ("batch", "v1beta1", &["CronJob"], "1.25", "batch/v1"),
    (
        "policy",
        "v1beta1",
        &["PodDisruptionBudget"],
        "1.25",
        "policy/v1",
    ),
    (
        "policy",
        "v1beta1",
        &["PodSecurityPolicy"],
        "1.25",
        "Pod Security Admission",
    ),
    ("autoscaling", "v2beta1", &[], "1.25", "autoscaling/v2"),
    ("autoscaling", "v2beta2", &[], "1.26", "autoscaling/v2"),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1beta2",
        &[],
        "1.29",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1beta3",
        &[],
        "1.32",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
];

/// What to say of an object whose API version is going or gone.
pub(super) fn warning(id: &ObjectId) -> Option<String> {
    let found = DROPPED.iter().find(|(group, version, kinds, ..)| {
        *group == id.group
            && *version == id.version
            && (kinds.is_empty() || kinds.contains(&id.kind.as_str()))
    });
    let (group, version, _, release, instead) = found?;
    Some(format!(
        "{id}: {group}/{version} is not served from Kubernetes {release} on; use {instead}"
    ))
}
