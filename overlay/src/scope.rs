//! Which kinds are certainly cluster-wide, by the API of Kubernetes 1.21 that kustomize 5.8 carries.

use crate::resource::Gvk;

/// The effective namespace of cluster-wide objects: no namespace can be called so.
pub(crate) const CLUSTER_WIDE: &str = "_non_namespaceable_";

/// Group, versions and kinds of the cluster-wide API. Everything else counts as namespaced, custom kinds too.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    (
        "",
        &["v1"],
        &[
            "ComponentStatus",
            "Namespace",
            "Node",
            "NodeProxyOptions",
            "PersistentVolume",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &["v1", "v1beta1"],
        &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ],
    ),
    (
        "apiextensions.k8s.io",
        &["v1", "v1beta1"],
        &["CustomResourceDefinition"],
    ),
    (
        "apiregistration.k8s.io",
        &["v1", "v1beta1"],
        &["APIService"],
    ),
    (
        "certificates.k8s.io",
        &["v1", "v1beta1"],
        &["CertificateSigningRequest"],
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        &["v1beta1"],
        &["FlowSchema", "PriorityLevelConfiguration"],
    ),
    ("networking.k8s.io", &["v1", "v1beta1"], &["IngressClass"]),
    ("node.k8s.io", &["v1", "v1beta1"], &["RuntimeClass"]),
    ("policy", &["v1beta1"], &["PodSecurityPolicy"]),
    (
        "rbac.authorization.k8s.io",
        &["v1", "v1beta1"],
        &["ClusterRole", "ClusterRoleBinding"],
    ),
    ("scheduling.k8s.io", &["v1", "v1beta1"], &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["v1", "v1beta1"],
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
    ),
];

/// True for kinds that are certainly cluster-wide.
pub(crate) fn is_cluster_wide(gvk: &Gvk) -> bool {
    KINDS.iter().any(|(group, versions, kinds)| {
        *group == gvk.group
            && versions.contains(&gvk.version.as_str())
            && kinds.contains(&gvk.kind.as_str())
    })
}
