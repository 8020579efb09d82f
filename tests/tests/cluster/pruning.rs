//! Deletions, each with its proof.

use super::site::{Site, config_map};
use controller::cluster::{Done, Kept, prune};
use kube::api::{Patch, PatchParams, PostParams};
use overlay::ObjectId;
use serde_json::json;

#[tokio::test]
async fn only_what_is_proved_ours_is_pruned() {
    let mut site = Site::new("prune").await;
    let names = ["plain", "asked", "relabelled", "replaced", "gone"];
    let all: String = names.iter().map(|name| config_map(name, "a")).collect();
    site.run(&all).await;
    let maps = site.config_maps();
    let hand = PatchParams {
        field_manager: Some("hand".into()),
        ..PatchParams::default()
    };
    let asks =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    maps.patch("asked", &hand, &Patch::Merge(&asks))
        .await
        .unwrap();
    let other = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}});
    maps.patch("relabelled", &hand, &Patch::Merge(&other))
        .await
        .unwrap();
    let mut again = maps.get("replaced").await.unwrap();
    maps.delete("replaced", &Default::default()).await.unwrap();
    again.metadata.resource_version = None;
    again.metadata.uid = None;
    maps.create(&PostParams::default(), &again).await.unwrap();
    maps.delete("gone", &Default::default()).await.unwrap();

    let plan = site.plan(&config_map("other", "a")).await;
    assert_eq!(plan.prunes.len(), 5);
    let pruned = prune(&site.client, &site.owner, &plan.prunes, &site.known.proofs).await;
    assert_eq!(pruned.errors, []);
    let kept: Vec<_> = pruned
        .kept
        .iter()
        .map(|(id, why)| (id.name.as_str(), *why))
        .collect();
    assert_eq!(
        kept,
        [
            ("replaced", Kept::Replaced),
            ("relabelled", Kept::NotOwned),
            ("asked", Kept::Asked)
        ]
    );
    let left: Vec<_> = maps
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert_eq!(
        left,
        ["asked", "kube-root-ca.crt", "relabelled", "replaced"]
    );
}

#[tokio::test]
async fn a_kind_that_is_gone_is_pruned() {
    let site = Site::new("nokind").await;
    let id = ObjectId {
        group: "gone.example.org".into(),
        version: "v1".into(),
        kind: "Gone".into(),
        namespace: site.namespace.clone(),
        name: "one".into(),
    };
    let pruned = prune(&site.client, &site.owner, &[id], &site.known.proofs).await;
    assert_eq!(pruned.errors, []);
    assert_eq!(pruned.changes.entries[0].done, Done::Deleted);
}
