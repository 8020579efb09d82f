//! The lists that merge by key, for the kinds of Kubernetes 1.21, whose API description kustomize 5.8 carries.
//!
//! Only fields on the way to such a list are named; every other list below these kinds is replaced as a whole
//! (tolerations, for one), and so are all lists of kinds that are not here.

/// A type: its fields that hold, or lead to, a list that merges.
pub(super) struct Type {
    pub(super) fields: &'static [Field],
}

/// A field of a [`Type`].
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The keys by which its elements merge; none when it is no such list. No keys: the values themselves.
    pub(super) keys: Option<&'static [&'static str]>,
    /// The type of its value, or of its elements.
    pub(super) inner: &'static Type,
}

/// The type of a kind, if it is one of the kinds here.
pub(super) fn type_of(api_version: &str, kind: &str) -> Option<&'static Type> {
    KINDS
        .iter()
        .filter(|(versions, _)| versions.contains(&api_version))
        .flat_map(|(_, kinds)| kinds.iter())
        .find(|(name, _)| *name == kind)
        .map(|(_, shape)| *shape)
}

/// The keys by which a list of a kind merges: fields from the root on, without the steps into list items. `None` for a
/// list that is replaced as a whole, no keys for one whose values themselves are compared.
pub fn merge_keys(api_version: &str, kind: &str, path: &[&str]) -> Option<&'static [&'static str]> {
    let mut shape = type_of(api_version, kind)?;
    let mut keys = None;
    for name in path {
        let field = shape.fields.iter().find(|field| field.name == *name)?;
        (shape, keys) = (field.inner, field.keys);
    }
    keys
}

/// The type of a definition of the API description, by its name there.
pub(super) fn definition(name: &str) -> Option<&'static Type> {
    let local = name.strip_prefix("io.k8s.")?;
    let found = DEFINITIONS.iter().find(|(known, _)| *known == local);
    Some(found.map_or(&PLAIN, |(_, shape)| *shape))
}

/// Definitions to which other descriptions refer, without the `io.k8s.` in front.
static DEFINITIONS: &[(&str, &Type)] = &[
    ("api.core.v1.PodTemplateSpec", &POD_TEMPLATE_SPEC),
    ("api.core.v1.PodSpec", &POD_SPEC),
    ("api.core.v1.Container", &CONTAINER),
    ("api.core.v1.EphemeralContainer", &EPHEMERAL_CONTAINER),
    ("api.core.v1.Volume", &VOLUME),
    (
        "api.core.v1.PersistentVolumeClaim",
        &METADATA_AND_CONDITIONS,
    ),
    ("api.core.v1.ServiceSpec", &SERVICE_SPEC),
    ("api.apps.v1.DeploymentSpec", &WORKLOAD_SPEC),
    ("api.apps.v1.DaemonSetSpec", &WORKLOAD_SPEC),
    ("api.apps.v1.ReplicaSetSpec", &WORKLOAD_SPEC),
    ("api.apps.v1.StatefulSetSpec", &STATEFUL_SET_SPEC),
    ("api.batch.v1.JobSpec", &WORKLOAD_SPEC),
    ("api.batch.v1.JobTemplateSpec", &WORKLOAD),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", &OBJECT_META),
];

/// Nothing below it merges by key.
pub(super) static PLAIN: Type = Type { fields: &[] };

const fn object(name: &'static str, inner: &'static Type) -> Field {
    Field {
        name,
        keys: None,
        inner,
    }
}

const fn merged(name: &'static str, keys: &'static [&'static str], inner: &'static Type) -> Field {
    Field {
        name,
        keys: Some(keys),
        inner,
    }
}

static OBJECT_META: Type = Type {
    fields: &[
        merged("finalizers", &[], &PLAIN),
        merged("ownerReferences", &["uid"], &PLAIN),
    ],
};

const METADATA: Field = object("metadata", &OBJECT_META);

static METADATA_ONLY: Type = Type {
    fields: &[METADATA],
};

static CONDITIONS: Type = Type {
    fields: &[merged("conditions", &["type"], &PLAIN)],
};

const STATUS: Field = object("status", &CONDITIONS);

static METADATA_AND_CONDITIONS: Type = Type {
    fields: &[METADATA, STATUS],
};

static CONTAINER: Type = Type {
    fields: &[
        merged("env", &["name"], &PLAIN),
        merged("ports", &["containerPort", "protocol"], &PLAIN),
        merged("volumeDevices", &["devicePath"], &PLAIN),
        merged("volumeMounts", &["mountPath"], &PLAIN),
    ],
};

/// Ports of ephemeral containers are replaced.
static EPHEMERAL_CONTAINER: Type = Type {
    fields: &[
        merged("env", &["name"], &PLAIN),
        merged("volumeDevices", &["devicePath"], &PLAIN),
        merged("volumeMounts", &["mountPath"], &PLAIN),
    ],
};

static EPHEMERAL_VOLUME: Type = Type {
    fields: &[object("volumeClaimTemplate", &METADATA_ONLY)],
};

static VOLUME: Type = Type {
    fields: &[object("ephemeral", &EPHEMERAL_VOLUME)],
};

static POD_SPEC: Type = Type {
    fields: &[
        merged("containers", &["name"], &CONTAINER),
        merged("initContainers", &["name"], &CONTAINER),
        merged("ephemeralContainers", &["name"], &EPHEMERAL_CONTAINER),
        merged("volumes", &["name"], &VOLUME),
        merged("imagePullSecrets", &["name"], &PLAIN),
        merged("hostAliases", &["ip"], &PLAIN),
        merged(
            "topologySpreadConstraints",
            &["topologyKey", "whenUnsatisfiable"],
            &PLAIN,
        ),
    ],
};

static POD_TEMPLATE_SPEC: Type = Type {
    fields: &[METADATA, object("spec", &POD_SPEC)],
};

const TEMPLATE: Field = object("template", &POD_TEMPLATE_SPEC);

static POD_TEMPLATE: Type = Type {
    fields: &[METADATA, TEMPLATE],
};

static WORKLOAD_SPEC: Type = Type {
    fields: &[TEMPLATE],
};

/// Deployment and its like.
static WORKLOAD: Type = Type {
    fields: &[METADATA, object("spec", &WORKLOAD_SPEC), STATUS],
};

static STATEFUL_SET_SPEC: Type = Type {
    fields: &[
        TEMPLATE,
        object("volumeClaimTemplates", &METADATA_AND_CONDITIONS),
    ],
};

static STATEFUL_SET: Type = Type {
    fields: &[METADATA, object("spec", &STATEFUL_SET_SPEC), STATUS],
};

static CRON_JOB_SPEC: Type = Type {
    fields: &[object("jobTemplate", &WORKLOAD)],
};

static CRON_JOB: Type = Type {
    fields: &[METADATA, object("spec", &CRON_JOB_SPEC)],
};

static POD_STATUS: Type = Type {
    fields: &[
        merged("conditions", &["type"], &PLAIN),
        merged("podIPs", &["ip"], &PLAIN),
    ],
};

static POD: Type = Type {
    fields: &[
        METADATA,
        object("spec", &POD_SPEC),
        object("status", &POD_STATUS),
    ],
};

static SERVICE_SPEC: Type = Type {
    fields: &[merged("ports", &["port", "protocol"], &PLAIN)],
};

static SERVICE: Type = Type {
    fields: &[METADATA, object("spec", &SERVICE_SPEC), STATUS],
};

static SERVICE_ACCOUNT: Type = Type {
    fields: &[METADATA, merged("secrets", &["name"], &PLAIN)],
};

static COMPONENT_STATUS: Type = Type {
    fields: &[METADATA, merged("conditions", &["type"], &PLAIN)],
};

static NODE_SPEC: Type = Type {
    fields: &[merged("podCIDRs", &[], &PLAIN)],
};

static NODE_STATUS: Type = Type {
    fields: &[
        merged("addresses", &["type"], &PLAIN),
        merged("conditions", &["type"], &PLAIN),
    ],
};

static NODE: Type = Type {
    fields: &[
        METADATA,
        object("spec", &NODE_SPEC),
        object("status", &NODE_STATUS),
    ],
};

static CSI_NODE_SPEC: Type = Type {
    fields: &[merged("drivers", &["name"], &PLAIN)],
};

static CSI_NODE: Type = Type {
    fields: &[METADATA, object("spec", &CSI_NODE_SPEC)],
};

static WEBHOOKS: Type = Type {
    fields: &[METADATA, merged("webhooks", &["name"], &PLAIN)],
};

/// A kustomization file that is patched as a resource.
static KUSTOMIZATION: Type = Type {
    fields: &[
        merged("configMapGenerator", &["name"], &PLAIN),
        merged("secretGenerator", &["name"], &PLAIN),
    ],
};

/// API versions, and their kinds with their types.
type Group = (
    &'static [&'static str],
    &'static [(&'static str, &'static Type)],
);

static KINDS: &[Group] = &[
    (
        &["v1"],
        &[
            ("Binding", &METADATA_ONLY),
            ("ComponentStatus", &COMPONENT_STATUS),
            ("ConfigMap", &METADATA_ONLY),
            ("Endpoints", &METADATA_ONLY),
            ("Event", &METADATA_ONLY),
            ("LimitRange", &METADATA_ONLY),
            ("Namespace", &METADATA_AND_CONDITIONS),
            ("Node", &NODE),
            ("PersistentVolume", &METADATA_ONLY),
            ("PersistentVolumeClaim", &METADATA_AND_CONDITIONS),
            ("Pod", &POD),
            ("PodTemplate", &POD_TEMPLATE),
            ("ReplicationController", &WORKLOAD),
            ("ResourceQuota", &METADATA_ONLY),
            ("Secret", &METADATA_ONLY),
            ("Service", &SERVICE),
            ("ServiceAccount", &SERVICE_ACCOUNT),
        ],
    ),
    (
        &["apps/v1"],
        &[
            ("ControllerRevision", &METADATA_ONLY),
            ("DaemonSet", &WORKLOAD),
            ("Deployment", &WORKLOAD),
            ("ReplicaSet", &WORKLOAD),
            ("StatefulSet", &STATEFUL_SET),
        ],
    ),
    (&["batch/v1"], &[("CronJob", &CRON_JOB), ("Job", &WORKLOAD)]),
    (&["batch/v1beta1"], &[("CronJob", &CRON_JOB)]),
    (
        &[
            "admissionregistration.k8s.io/v1",
            "admissionregistration.k8s.io/v1beta1",
        ],
        &[
            ("MutatingWebhookConfiguration", &WEBHOOKS),
            ("ValidatingWebhookConfiguration", &WEBHOOKS),
        ],
    ),
    (
        &["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"],
        &[("CustomResourceDefinition", &METADATA_ONLY)],
    ),
    (
        &[
            "apiregistration.k8s.io/v1",
            "apiregistration.k8s.io/v1beta1",
        ],
        &[("APIService", &METADATA_AND_CONDITIONS)],
    ),
    (
        &["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"],
        &[("TokenReview", &METADATA_ONLY)],
    ),
    (
        &["authentication.k8s.io/v1"],
        &[("TokenRequest", &METADATA_ONLY)],
    ),
    (
        &["authorization.k8s.io/v1", "authorization.k8s.io/v1beta1"],
        &[
            ("LocalSubjectAccessReview", &METADATA_ONLY),
            ("SelfSubjectAccessReview", &METADATA_ONLY),
            ("SelfSubjectRulesReview", &METADATA_ONLY),
            ("SubjectAccessReview", &METADATA_ONLY),
        ],
    ),
    (
        &[
            "autoscaling/v1",
            "autoscaling/v2beta1",
            "autoscaling/v2beta2",
        ],
        &[("HorizontalPodAutoscaler", &METADATA_ONLY)],
    ),
    (&["autoscaling/v1"], &[("Scale", &METADATA_ONLY)]),
    (
        &["certificates.k8s.io/v1", "certificates.k8s.io/v1beta1"],
        &[("CertificateSigningRequest", &METADATA_ONLY)],
    ),
    (
        &["coordination.k8s.io/v1", "coordination.k8s.io/v1beta1"],
        &[("Lease", &METADATA_ONLY)],
    ),
    (
        &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
        &[("EndpointSlice", &METADATA_ONLY)],
    ),
    (
        &["events.k8s.io/v1", "events.k8s.io/v1beta1"],
        &[("Event", &METADATA_ONLY)],
    ),
    (
        &[
            "extensions/v1beta1",
            "networking.k8s.io/v1",
            "networking.k8s.io/v1beta1",
        ],
        &[("Ingress", &METADATA_ONLY)],
    ),
    (
        &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"],
        &[("IngressClass", &METADATA_ONLY)],
    ),
    (
        &["networking.k8s.io/v1"],
        &[("NetworkPolicy", &METADATA_ONLY)],
    ),
    (
        &["flowcontrol.apiserver.k8s.io/v1beta1"],
        &[
            ("FlowSchema", &METADATA_ONLY),
            ("PriorityLevelConfiguration", &METADATA_ONLY),
        ],
    ),
    (
        &["node.k8s.io/v1", "node.k8s.io/v1beta1"],
        &[("RuntimeClass", &METADATA_ONLY)],
    ),
    (
        &["policy/v1", "policy/v1beta1"],
        &[("PodDisruptionBudget", &METADATA_AND_CONDITIONS)],
    ),
    (
        &["policy/v1beta1"],
        &[
            ("Eviction", &METADATA_ONLY),
            ("PodSecurityPolicy", &METADATA_ONLY),
        ],
    ),
    (
        &[
            "rbac.authorization.k8s.io/v1",
            "rbac.authorization.k8s.io/v1beta1",
        ],
        &[
            ("ClusterRole", &METADATA_ONLY),
            ("ClusterRoleBinding", &METADATA_ONLY),
            ("Role", &METADATA_ONLY),
            ("RoleBinding", &METADATA_ONLY),
        ],
    ),
    (
        &["scheduling.k8s.io/v1", "scheduling.k8s.io/v1beta1"],
        &[("PriorityClass", &METADATA_ONLY)],
    ),
    (
        &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"],
        &[
            ("CSIDriver", &METADATA_ONLY),
            ("CSINode", &CSI_NODE),
            ("StorageClass", &METADATA_ONLY),
            ("VolumeAttachment", &METADATA_ONLY),
        ],
    ),
    (
        &["storage.k8s.io/v1beta1"],
        &[("CSIStorageCapacity", &METADATA_ONLY)],
    ),
    (
        &["kustomize.config.k8s.io/v1beta1"],
        &[("Kustomization", &KUSTOMIZATION)],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_keys_of_the_api() {
        let ports: Option<&[&str]> = Some(&["containerPort", "protocol"]);
        let cases = [
            (
                "apps/v1",
                "Deployment",
                "spec.template.spec.containers.ports",
                ports,
            ),
            (
                "batch/v1",
                "CronJob",
                "spec.jobTemplate.spec.template.spec.initContainers.ports",
                ports,
            ),
            ("v1", "Pod", "spec.ephemeralContainers.ports", None),
            ("v1", "Pod", "spec.tolerations", None),
            ("v1", "Service", "spec.ports", Some(&["port", "protocol"])),
            ("v1", "Secret", "metadata.finalizers", Some(&[])),
            (
                "apps/v1",
                "StatefulSet",
                "spec.volumeClaimTemplates.metadata.finalizers",
                Some(&[]),
            ),
            ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates", None),
            ("apps/v1beta1", "Deployment", "metadata.finalizers", None),
            ("v1", "Service", "status.conditions", Some(&["type"])),
        ];
        for (api_version, kind, path, want) in cases {
            let steps: Vec<&str> = path.split('.').collect();
            assert_eq!(merge_keys(api_version, kind, &steps), want, "{kind} {path}");
        }
    }
}
