//! Impersonation on every request.

use super::site::{Site, calls, cluster, config_map, position};
use controller::cluster::{Identity, Inventory, Known, apply, prune};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::json;
use std::time::Duration;
use weir_tests::eventually;

#[tokio::test]
async fn every_request_carries_the_service_account() {
    let mut site = Site::new("account").await;
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "deployer"}})).unwrap();
    Api::namespaced(site.admin.clone(), &site.namespace)
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let identity = Identity::ServiceAccount {
        namespace: site.namespace.clone(),
        name: "deployer".into(),
    };
    site.client = cluster().await.client(&identity).unwrap();
    let applied = site.run(&config_map("one", "a")).await;
    assert_eq!(applied.errors.len(), 1);
    assert!(
        applied.errors[0]
            .to_string()
            .contains("apply failed (Forbidden): "),
        "{}",
        applied.errors[0]
    );

    let role: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": site.namespace}]})).unwrap();
    let bindings: Api<DynamicObject> = Api::namespaced_with(
        site.admin.clone(),
        &site.namespace,
        &weir_tests::objects::kind("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    );
    bindings
        .create(&PostParams::default(), &role)
        .await
        .unwrap();
    // The authorizer learns of the binding a moment later.
    eventually(
        Duration::from_secs(30),
        "the account may apply",
        async || {
            let plan = site.plan(&config_map("one", "a")).await;
            match apply(&site.client, &plan).await.errors.pop() {
                Some(error) => Err(error),
                None => Ok(()),
            }
        },
    )
    .await;
    let begin = position();
    site.known = Known::default();
    site.run(&config_map("one", "a")).await;
    site.run(&config_map("one", "b")).await;
    let inventory = Inventory::default().with(&site.known.inventory.objects);
    prune(
        &site.client,
        &site.owner,
        &inventory.objects,
        &site.known.proofs,
    )
    .await;
    let user = format!("system:serviceaccount:{}:deployer", site.namespace);
    let calls = calls(begin, &site.namespace);
    assert!(calls.iter().any(|call| call.verb == "delete"), "{calls:?}");
    assert!(
        calls
            .iter()
            .all(|call| call.impersonated.as_deref() == Some(&user)),
        "{calls:?}"
    );
}
