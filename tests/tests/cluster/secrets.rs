//! Secrets reach the cluster and nothing else.

use super::site::Site;
use controller::cluster::apply;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use overlay::yaml::{Secret as Sealed, Style, Tag, Value};

#[tokio::test]
async fn a_secret_is_applied_in_the_clear_and_shown_nowhere() {
    let mut site = Site::new("secret").await;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NAMESPACE}\nstringData: {password: PLAIN}\n";
    site.run(&yaml.replace("PLAIN", "old-password")).await;
    let mut wanted = site.wanted(yaml);
    let data = wanted.objects[0]
        .node
        .get_mut("stringData")
        .unwrap()
        .as_mapping_mut()
        .unwrap();
    data.insert(
        "password",
        Value::Secret(Sealed::new("hunter22-new".into(), Tag::Str, Style::Plain)).into(),
    );
    let plan = site.plan_of(wanted).await;
    assert_eq!(plan.steps[0].changes[0].path, "data.password");
    let applied = apply(&site.client, &plan).await;
    let text = format!("{plan:?}{applied:?}");
    for secret in [
        "hunter22-new",
        "aHVudGVyMjItbmV3",
        "old-password",
        "b2xkLXBhc3N3b3Jk",
    ] {
        assert!(!text.contains(secret), "{secret} is shown");
    }
    let secrets: Api<Secret> = Api::namespaced(site.admin.clone(), &site.namespace);
    let live = secrets.get("s").await.unwrap();
    assert_eq!(live.data.unwrap()["password"].0, b"hunter22-new");
}

#[tokio::test]
async fn a_refused_secret_is_reported_without_its_value() {
    let mut site = Site::new("refused").await;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NAMESPACE}\ntype: kubernetes.io/tls\n\
                stringData: {tls.crt: hunter22, tls.key: hunter22}\nimmutable: true\n";
    site.run(&yaml.replace("immutable: true", "")).await;
    let broken = yaml.replace("kubernetes.io/tls", "Opaque");
    let plan = site.plan(&broken).await;
    assert_eq!(plan.errors.len(), 1);
    let text = format!("{plan:?}{}", plan.errors[0]);
    assert!(
        !text.contains("hunter22") && plan.errors[0].message.contains("type"),
        "{text}"
    );
}
