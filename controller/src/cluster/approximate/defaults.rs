//! What the API server fills into its own kinds and does not publish: the values of fields that are left out.
//!
//! Only what people write in manifests stands here. What is missing makes an approximate plan tell of a field that goes
//! where the server would fill it in again, and nothing worse.

use serde_json::{Map, Value, json};

/// Type, field, and the value it gets.
const FIXED: [(&str, &str, &str); 61] = [
    (
        "admissionregistration.v1.MatchResources",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.MatchResources",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MatchResources",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "reinvocationPolicy",
        r#""Never""#,
    ),
    (
        "admissionregistration.v1.MutatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    (
        "admissionregistration.v1.RuleWithOperations",
        "scope",
        r#""*""#,
    ),
    ("admissionregistration.v1.ServiceReference", "port", "443"),
    (
        "admissionregistration.v1.ValidatingAdmissionPolicySpec",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration.v1.ValidatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps.v1.DaemonSetUpdateStrategy",
        "type",
        r#""RollingUpdate""#,
    ),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds", "600"),
    ("apps.v1.DeploymentSpec", "replicas", "1"),
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit", "10"),
    ("apps.v1.DeploymentStrategy", "type", r#""RollingUpdate""#),
    ("apps.v1.RollingUpdateDaemonSet", "maxSurge", "0"),
    ("apps.v1.RollingUpdateDaemonSet", "maxUnavailable", "1"),
    ("apps.v1.RollingUpdateDeployment", "maxSurge", r#""25%""#),
    (
        "apps.v1.RollingUpdateDeployment",
        "maxUnavailable",
        r#""25%""#,
    ),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition", "0"),
    (
        "apps.v1.StatefulSetSpec",
        "podManagementPolicy",
        r#""OrderedReady""#,
    ),
    ("apps.v1.StatefulSetSpec", "replicas", "1"),
    ("apps.v1.StatefulSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps.v1.StatefulSetSpec",
        "updateStrategy",
        r#"{"type":"RollingUpdate","rollingUpdate":{"partition":0}}"#,
    ),
    ("autoscaling.v2.HPAScalingRules", "selectPolicy", r#""Max""#),
    (
        "autoscaling.v2.HorizontalPodAutoscalerSpec",
        "minReplicas",
        "1",
    ),
    ("batch.v1.CronJobSpec", "concurrencyPolicy", r#""Allow""#),
    ("batch.v1.CronJobSpec", "failedJobsHistoryLimit", "1"),
    ("batch.v1.CronJobSpec", "successfulJobsHistoryLimit", "3"),
    ("batch.v1.CronJobSpec", "suspend", "false"),
    ("core.v1.ConfigMapVolumeSource", "defaultMode", "420"),
    (
        "core.v1.Container",
        "terminationMessagePath",
        r#""/dev/termination-log""#,
    ),
    ("core.v1.Container", "terminationMessagePolicy", r#""File""#),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode", "420"),
    ("core.v1.HTTPGetAction", "path", r#""/""#),
    ("core.v1.HTTPGetAction", "scheme", r#""HTTP""#),
    ("core.v1.ObjectFieldSelector", "apiVersion", r#""v1""#),
    ("core.v1.PodSpec", "dnsPolicy", r#""ClusterFirst""#),
    ("core.v1.PodSpec", "restartPolicy", r#""Always""#),
    ("core.v1.PodSpec", "schedulerName", r#""default-scheduler""#),
    ("core.v1.PodSpec", "securityContext", "{}"),
    ("core.v1.PodSpec", "terminationGracePeriodSeconds", "30"),
    ("core.v1.Probe", "failureThreshold", "3"),
    ("core.v1.Probe", "periodSeconds", "10"),
    ("core.v1.Probe", "successThreshold", "1"),
    ("core.v1.Probe", "timeoutSeconds", "1"),
    ("core.v1.ProjectedVolumeSource", "defaultMode", "420"),
    ("core.v1.Secret", "type", r#""Opaque""#),
    ("core.v1.SecretVolumeSource", "defaultMode", "420"),
    (
        "core.v1.ServiceAccountTokenProjection",
        "expirationSeconds",
        "3600",
    ),
    ("core.v1.ServiceSpec", "sessionAffinity", r#""None""#),
    ("core.v1.ServiceSpec", "type", r#""ClusterIP""#),
    ("networking.v1.NetworkPolicyPort", "protocol", r#""TCP""#),
];

/// The group of roles and of the users that they are given to.
const RBAC: &str = "rbac.authorization.k8s.io";

/// What a field of a type gets, given what stands beside it.
pub(in crate::cluster) fn of(
    built_in: &str,
    name: &str,
    beside: &Map<String, Value>,
) -> Option<Value> {
    let fixed = FIXED
        .iter()
        .find(|(of, field, _)| (*of, *field) == (built_in, name));
    match fixed {
        Some((.., value)) => serde_json::from_str(value).ok(),
        None => by_its_neighbours(built_in, name, beside),
    }
}

fn by_its_neighbours(built_in: &str, name: &str, beside: &Map<String, Value>) -> Option<Value> {
    let text = |key: &str| beside.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_exposed = matches!(text("type"), "NodePort" | "LoadBalancer");
    let is_rolling = matches!(text("type"), "" | "RollingUpdate");
    let when = |holds: bool, value: Value| holds.then_some(value);
    match (built_in, name) {
        ("apps.v1.DaemonSetUpdateStrategy" | "apps.v1.DeploymentStrategy", "rollingUpdate") => {
            when(is_rolling, json!({}))
        }
        ("core.v1.Container", "imagePullPolicy") => Some(pull_policy(text("image")).into()),
        ("core.v1.ServicePort", "targetPort") => beside.get("port").cloned(),
        ("core.v1.ServiceSpec", "externalTrafficPolicy") => when(is_exposed, "Cluster".into()),
        ("core.v1.ServiceSpec", "internalTrafficPolicy") => {
            when(text("type") != "ExternalName", "Cluster".into())
        }
        ("core.v1.ServiceSpec", "allocateLoadBalancerNodePorts") => {
            when(text("type") == "LoadBalancer", true.into())
        }
        ("networking.v1.NetworkPolicySpec", "policyTypes") => Some(policy_types(beside)),
        ("rbac.v1.RoleRef", "apiGroup") => Some(RBAC.into()),
        ("rbac.v1.Subject", "apiGroup") => {
            when(matches!(text("kind"), "User" | "Group"), RBAC.into())
        }
        _ => None,
    }
}

/// Fields that the server keeps equal: the second is an older name of the first.
pub(super) fn mirror(built_in: &str, fields: &mut Map<String, Value>) {
    const NAME: &str = "serviceAccountName";
    const OLD_NAME: &str = "serviceAccount";
    if built_in != "core.v1.PodSpec" {
        return;
    }
    let account = fields.get(NAME).or_else(|| fields.get(OLD_NAME)).cloned();
    if let Some(account) = account {
        fields.insert(NAME.to_owned(), account.clone());
        fields.insert(OLD_NAME.to_owned(), account);
    }
}

/// An image without a tag is the newest, and asked for each time.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once('@').map_or(name.split_once(':'), Some) {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn policy_types(spec: &Map<String, Value>) -> Value {
    let egress = spec.get("egress").and_then(Value::as_array);
    match egress.is_some_and(|rules| !rules.is_empty()) {
        true => json!(["Ingress", "Egress"]),
        false => json!(["Ingress"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_can_be_read() {
        assert!(FIXED.is_sorted());
        for (of, field, value) in FIXED {
            assert!(serde_json::from_str::<Value>(value).is_ok(), "{of} {field}");
        }
    }

    #[test]
    fn images_without_a_version_are_asked_for_each_time() {
        for (image, policy) in [
            ("web", "Always"),
            ("registry.example.com:5000/web", "Always"),
            ("web:latest", "Always"),
            ("web:1", "IfNotPresent"),
            ("web@sha256:ab", "IfNotPresent"),
            ("registry.example.com/a/web:1@sha256:ab", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
