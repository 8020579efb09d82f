//! kustomize's own field specs, as tables.

use super::{Configuration, NameReference};
use crate::fieldspec::FieldSpec;

/// Group, version, kind and path; empty for any.
type Row = (&'static str, &'static str, &'static str, &'static str);

const APPS: &str = "apps";
const BATCH: &str = "batch";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// Fields with labels in metadata, of the object and of what it makes.
const TEMPLATE_LABELS: &[Row] = &[
    ("", "", "", "metadata/labels"),
    (
        "",
        "v1",
        "ReplicationController",
        "spec/template/metadata/labels",
    ),
    ("", "", "Deployment", "spec/template/metadata/labels"),
    ("", "", "ReplicaSet", "spec/template/metadata/labels"),
    ("", "", "DaemonSet", "spec/template/metadata/labels"),
    (APPS, "", "StatefulSet", "spec/template/metadata/labels"),
    (
        APPS,
        "",
        "StatefulSet",
        "spec/volumeClaimTemplates[]/metadata/labels",
    ),
    (BATCH, "", "Job", "spec/template/metadata/labels"),
    (BATCH, "", "CronJob", "spec/jobTemplate/metadata/labels"),
    (
        BATCH,
        "",
        "CronJob",
        "spec/jobTemplate/spec/template/metadata/labels",
    ),
];

/// Selectors that are made when they are missing.
const SELECTORS_MADE: &[Row] = &[
    ("", "v1", "Service", "spec/selector"),
    ("", "v1", "ReplicationController", "spec/selector"),
    ("", "", "Deployment", "spec/selector/matchLabels"),
    ("", "", "ReplicaSet", "spec/selector/matchLabels"),
    ("", "", "DaemonSet", "spec/selector/matchLabels"),
    (APPS, "", "StatefulSet", "spec/selector/matchLabels"),
];

/// Selectors that are changed only where they are.
const SELECTORS_FOUND: &[Row] = &[
    (BATCH, "", "Job", "spec/selector/matchLabels"),
    (
        BATCH,
        "",
        "CronJob",
        "spec/jobTemplate/spec/selector/matchLabels",
    ),
    (
        "policy",
        "",
        "PodDisruptionBudget",
        "spec/selector/matchLabels",
    ),
    (
        "networking.k8s.io",
        "",
        "NetworkPolicy",
        "spec/podSelector/matchLabels",
    ),
    (
        "networking.k8s.io",
        "",
        "NetworkPolicy",
        "spec/ingress/from/podSelector/matchLabels",
    ),
    (
        "networking.k8s.io",
        "",
        "NetworkPolicy",
        "spec/egress/to/podSelector/matchLabels",
    ),
];

/// Selectors in the pod templates of Deployments and StatefulSets, below `spec/template/spec/`.
const POD_SELECTORS: &[&str] = &[
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];

const ANNOTATIONS: &[Row] = &[
    ("", "", "", "metadata/annotations"),
    (
        "",
        "v1",
        "ReplicationController",
        "spec/template/metadata/annotations",
    ),
    ("", "", "Deployment", "spec/template/metadata/annotations"),
    ("", "", "ReplicaSet", "spec/template/metadata/annotations"),
    ("", "", "DaemonSet", "spec/template/metadata/annotations"),
    ("", "", "StatefulSet", "spec/template/metadata/annotations"),
    (BATCH, "", "Job", "spec/template/metadata/annotations"),
    (
        BATCH,
        "",
        "CronJob",
        "spec/jobTemplate/metadata/annotations",
    ),
    (
        BATCH,
        "",
        "CronJob",
        "spec/jobTemplate/spec/template/metadata/annotations",
    ),
];

const NAMESPACES_MADE: &[Row] = &[
    ("", "", "Namespace", "metadata/name"),
    (
        "apiregistration.k8s.io",
        "",
        "APIService",
        "spec/service/namespace",
    ),
];

const NAMESPACES_FOUND: &[Row] = &[(
    "apiextensions.k8s.io",
    "",
    "CustomResourceDefinition",
    "spec/conversion/webhook/clientConfig/service/namespace",
)];

const IMAGES: &[Row] = &[
    ("", "", "", "spec/containers[]/image"),
    ("", "", "", "spec/initContainers[]/image"),
    ("", "", "", "spec/volumes[]/image/reference"),
    ("", "", "", "spec/template/spec/containers[]/image"),
    ("", "", "", "spec/template/spec/initContainers[]/image"),
    ("", "", "", "spec/template/spec/volumes[]/image/reference"),
];

const REPLICAS: &[Row] = &[
    ("", "", "Deployment", "spec/replicas"),
    ("", "", "ReplicationController", "spec/replicas"),
    ("", "", "ReplicaSet", "spec/replicas"),
    ("", "", "StatefulSet", "spec/replicas"),
];

const NAME: &[Row] = &[("", "", "", "metadata/name")];

/// Where each kind has its pod: version of the kind, kind, path.
const POD: (&str, &str, &str) = ("v1", "Pod", "spec");
const POD_ANY_VERSION: (&str, &str, &str) = ("", "Pod", "spec");
const POD_TEMPLATE: (&str, &str, &str) = ("", "PodTemplate", "template/spec");
const DEPLOYMENT: (&str, &str, &str) = ("", "Deployment", "spec/template/spec");
const REPLICA_SET: (&str, &str, &str) = ("", "ReplicaSet", "spec/template/spec");
const REPLICATION_CONTROLLER: (&str, &str, &str) =
    ("", "ReplicationController", "spec/template/spec");
const DAEMON_SET: (&str, &str, &str) = ("", "DaemonSet", "spec/template/spec");
const STATEFUL_SET: (&str, &str, &str) = ("", "StatefulSet", "spec/template/spec");
const JOB: (&str, &str, &str) = ("", "Job", "spec/template/spec");
const CRON_JOB: (&str, &str, &str) = ("", "CronJob", "spec/jobTemplate/spec/template/spec");

/// Kinds whose pods name ConfigMaps and Secrets.
const DATA_USERS: &[(&str, &str, &str)] = &[
    POD,
    POD_TEMPLATE,
    DEPLOYMENT,
    REPLICA_SET,
    DAEMON_SET,
    STATEFUL_SET,
    JOB,
    CRON_JOB,
];

/// Kinds whose pods name service accounts, claims and priority classes.
const POD_USERS: &[(&str, &str, &str)] = &[
    POD_ANY_VERSION,
    STATEFUL_SET,
    DEPLOYMENT,
    REPLICATION_CONTROLLER,
    CRON_JOB,
    JOB,
    DAEMON_SET,
];

const CONFIG_MAP_IN_POD: &[&str] = &[
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];

const SECRET_IN_POD: &[&str] = &[
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

/// What names objects of one kind.
struct Named {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    /// Fields of pods, and the kinds that have pods.
    in_pods: (
        &'static [&'static str],
        &'static [(&'static str, &'static str, &'static str)],
    ),
    /// Other fields.
    elsewhere: &'static [Row],
}

const SCALE_TARGET: &[Row] = &[(
    "",
    "",
    "HorizontalPodAutoscaler",
    "spec/scaleTargetRef/name",
)];
const NOT_IN_PODS: (&[&str], &[(&str, &str, &str)]) = (&[], &[]);

const NAMED: &[Named] = &[
    Named {
        group: "storage.k8s.io",
        version: "v1",
        kind: "StorageClass",
        in_pods: NOT_IN_PODS,
        elsewhere: &[
            ("", "", "PersistentVolume", "spec/storageClassName"),
            ("", "", "PersistentVolumeClaim", "spec/storageClassName"),
            (
                "",
                "",
                "StatefulSet",
                "spec/volumeClaimTemplates/spec/storageClassName",
            ),
        ],
    },
    Named {
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        in_pods: (&["serviceAccountName"], POD_USERS),
        elsewhere: &[
            (RBAC, "", "RoleBinding", "subjects"),
            (RBAC, "", "ClusterRoleBinding", "subjects"),
        ],
    },
    Named {
        group: RBAC,
        version: "",
        kind: "Role",
        in_pods: NOT_IN_PODS,
        elsewhere: &[(RBAC, "", "RoleBinding", "roleRef/name")],
    },
    Named {
        group: RBAC,
        version: "",
        kind: "ClusterRole",
        in_pods: NOT_IN_PODS,
        elsewhere: &[
            (RBAC, "", "RoleBinding", "roleRef/name"),
            (RBAC, "", "ClusterRoleBinding", "roleRef/name"),
        ],
    },
    Named {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        in_pods: (CONFIG_MAP_IN_POD, DATA_USERS),
        elsewhere: &[
            ("", "", "Node", "spec/configSource/configMap"),
            ("", "", "Role", "rules/resourceNames"),
            ("", "", "ClusterRole", "rules/resourceNames"),
            (
                "",
                "",
                "Ingress",
                r"metadata/annotations/nginx.ingress.kubernetes.io\/fastcgi-params-configmap",
            ),
        ],
    },
    Named {
        group: "",
        version: "v1",
        kind: "Secret",
        in_pods: (SECRET_IN_POD, DATA_USERS),
        elsewhere: &[
            ("", "", "Ingress", "spec/tls/secretName"),
            (
                "",
                "",
                "Ingress",
                r"metadata/annotations/ingress.kubernetes.io\/auth-secret",
            ),
            (
                "",
                "",
                "Ingress",
                r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-secret",
            ),
            (
                "",
                "",
                "Ingress",
                r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-tls-secret",
            ),
            ("", "", "ServiceAccount", "imagePullSecrets/name"),
            ("", "", "StorageClass", "parameters/secretName"),
            ("", "", "StorageClass", "parameters/adminSecretName"),
            ("", "", "StorageClass", "parameters/userSecretName"),
            ("", "", "StorageClass", "parameters/secretRef"),
            ("", "", "Role", "rules/resourceNames"),
            ("", "", "ClusterRole", "rules/resourceNames"),
            (
                "serving.knative.dev",
                "v1",
                "Service",
                "spec/template/spec/containers/env/valueFrom/secretKeyRef/name",
            ),
            ("", "", "PersistentVolume", "spec/azureFile/secretName"),
        ],
    },
    Named {
        group: "",
        version: "v1",
        kind: "Service",
        in_pods: NOT_IN_PODS,
        elsewhere: &[
            (APPS, "", "StatefulSet", "spec/serviceName"),
            (
                "",
                "",
                "Ingress",
                "spec/rules/http/paths/backend/serviceName",
            ),
            ("", "", "Ingress", "spec/backend/serviceName"),
            (
                "",
                "",
                "Ingress",
                "spec/rules/http/paths/backend/service/name",
            ),
            ("", "", "Ingress", "spec/defaultBackend/service/name"),
            (
                "apiregistration.k8s.io",
                "",
                "APIService",
                "spec/service/name",
            ),
            (
                ADMISSION,
                "",
                "ValidatingWebhookConfiguration",
                "webhooks/clientConfig/service",
            ),
            (
                ADMISSION,
                "",
                "MutatingWebhookConfiguration",
                "webhooks/clientConfig/service",
            ),
        ],
    },
    Named {
        group: "scheduling.k8s.io",
        version: "v1",
        kind: "PriorityClass",
        in_pods: (&["priorityClassName"], POD_USERS),
        elsewhere: &[],
    },
    Named {
        group: "",
        version: "v1",
        kind: "PersistentVolume",
        in_pods: NOT_IN_PODS,
        elsewhere: &[
            ("", "", "PersistentVolumeClaim", "spec/volumeName"),
            ("", "", "ClusterRole", "rules/resourceNames"),
        ],
    },
    Named {
        group: "",
        version: "v1",
        kind: "PersistentVolumeClaim",
        in_pods: (&["volumes/persistentVolumeClaim/claimName"], POD_USERS),
        elsewhere: &[],
    },
    Named {
        group: "",
        version: "",
        kind: "Deployment",
        in_pods: NOT_IN_PODS,
        elsewhere: SCALE_TARGET,
    },
    Named {
        group: "",
        version: "",
        kind: "StatefulSet",
        in_pods: NOT_IN_PODS,
        elsewhere: SCALE_TARGET,
    },
    Named {
        group: ADMISSION,
        version: "",
        kind: "ValidatingAdmissionPolicy",
        in_pods: NOT_IN_PODS,
        elsewhere: &[(
            ADMISSION,
            "",
            "ValidatingAdmissionPolicyBinding",
            "spec/policyName",
        )],
    },
    // kustomize's table has the version in the group, so that no IngressClass is ever found by it.
    Named {
        group: "networking.k8s.io/v1",
        version: "v1",
        kind: "IngressClass",
        in_pods: NOT_IN_PODS,
        elsewhere: &[("", "", "Ingress", "spec/ingressClassName")],
    },
    Named {
        group: "",
        version: "",
        kind: "ReplicaSet",
        in_pods: NOT_IN_PODS,
        elsewhere: SCALE_TARGET,
    },
    Named {
        group: "",
        version: "",
        kind: "ReplicationController",
        in_pods: NOT_IN_PODS,
        elsewhere: SCALE_TARGET,
    },
];

/// Fields of pods in which `$(VAR)` is looked for.
const VARIABLES_IN_POD: &[&str] = &[
    "containers/args",
    "containers/command",
    "containers/env/value",
    "containers/volumeMounts/mountPath",
    "initContainers/args",
    "initContainers/command",
    "initContainers/env/value",
    "initContainers/volumeMounts/mountPath",
];

const VARIABLE_USERS: &[(&str, &str, &str)] = &[
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD_ANY_VERSION,
    REPLICA_SET,
    STATEFUL_SET,
];

const VARIABLES_ELSEWHERE: &[Row] = &[
    (
        "",
        "",
        "CronJob",
        "spec/jobTemplate/spec/template/volumes/nfs/server",
    ),
    ("", "", "DaemonSet", "spec/template/spec/volumes/nfs/server"),
    (
        "",
        "",
        "Deployment",
        "spec/template/spec/volumes/nfs/server",
    ),
    ("", "", "Deployment", "spec/template/metadata/annotations"),
    ("", "", "Ingress", "spec/rules/host"),
    ("", "", "Ingress", "spec/tls/hosts"),
    ("", "", "Ingress", "spec/tls/secretName"),
    ("", "", "Job", "spec/template/spec/volumes/nfs/server"),
    ("", "", "Pod", "spec/volumes/nfs/server"),
    (
        "",
        "",
        "ReplicaSet",
        "spec/template/spec/volumes/nfs/server",
    ),
    ("", "", "Service", "spec/ports/port"),
    ("", "", "Service", "spec/ports/targetPort"),
    (
        "",
        "",
        "StatefulSet",
        "spec/volumeClaimTemplates/spec/nfs/server",
    ),
    ("", "", "PersistentVolume", "spec/nfs/server"),
    ("", "", "", "metadata/labels"),
    ("", "", "", "metadata/annotations"),
];

fn specs(rows: &[Row], create: bool) -> Vec<FieldSpec> {
    let spec = |&(group, version, kind, path): &Row| FieldSpec {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        path: path.into(),
        create,
        ..FieldSpec::default()
    };
    rows.iter().map(spec).collect()
}

/// The same fields of the pods of several kinds.
fn in_pods(group: &str, fields: &[&str], users: &[(&str, &str, &str)]) -> Vec<FieldSpec> {
    let spec = |(version, kind, pod): &(&str, &str, &str), field: &str| FieldSpec {
        group: group.into(),
        version: (*version).into(),
        kind: (*kind).into(),
        path: ecow::eco_format!("{pod}/{field}"),
        ..FieldSpec::default()
    };
    users
        .iter()
        .flat_map(|user| fields.iter().map(move |field| spec(user, field)))
        .collect()
}

fn reference(named: &Named) -> NameReference {
    let (fields, users) = named.in_pods;
    let mut all = in_pods("", fields, users);
    all.extend(specs(named.elsewhere, false));
    NameReference {
        group: named.group.into(),
        version: named.version.into(),
        kind: named.kind.into(),
        fields: all,
    }
}

/// The defaults. Name references stand in kustomize's order: fixed kinds first, then by group, version and kind.
pub(super) fn configuration() -> Configuration {
    let mut common_labels = specs(SELECTORS_MADE, true);
    common_labels.extend(in_pods(APPS, POD_SELECTORS, &[DEPLOYMENT, STATEFUL_SET]));
    common_labels.extend(specs(SELECTORS_FOUND, false));
    common_labels.extend(specs(TEMPLATE_LABELS, true));
    let mut namespace = specs(NAMESPACES_MADE, true);
    namespace.extend(specs(NAMESPACES_FOUND, false));
    let mut var_reference = in_pods("", VARIABLES_IN_POD, VARIABLE_USERS);
    var_reference.extend(specs(VARIABLES_ELSEWHERE, false));
    Configuration {
        name_prefix: specs(NAME, false),
        name_suffix: specs(NAME, false),
        namespace,
        common_labels,
        template_labels: specs(TEMPLATE_LABELS, true),
        common_annotations: specs(ANNOTATIONS, true),
        name_reference: NAMED.iter().map(reference).collect(),
        var_reference,
        images: specs(IMAGES, true),
        replicas: specs(REPLICAS, true),
        ..Configuration::default()
    }
}
