//! What the shared watches report.

use super::site::{FOUR, Site, cluster_at, config_map, lines};
use controller::cluster::live::drifted;
use controller::cluster::{Drift, How, Identity, Owner, Report, Watches};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use weir_tests::{ControlPlane, Fault, FaultProxy};

/// The next report about a site's Service; all its other objects may be touched, by their controllers.
async fn next_change(reports: &mut mpsc::Receiver<Report>, owner: &Owner) -> How {
    let next = async {
        loop {
            match reports.recv().await.unwrap() {
                Report::Changed(changed) if changed.owner != *owner => {}
                Report::Changed(changed) if changed.key.kind == "Service" => return changed.how,
                Report::Changed(changed) => assert_eq!(changed.how, How::Touched, "{changed:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), next)
        .await
        .expect("a report")
}

#[tokio::test]
async fn the_watches_tell_what_concerns_proofs_from_what_does_not() {
    let mut site = Site::new("watch").await;
    site.run(FOUR).await;
    let (watches, mut reports) = Watches::new(site.client.clone());
    site.known.live = watches.live();
    let plan = site.plan(FOUR).await;
    let resources = plan.steps.iter().filter_map(|step| step.resource.clone());
    watches.want(&site.owner, resources.collect());
    assert_eq!(watches.count(), 4);
    let mut complete = 0;
    while complete < 4 {
        complete += usize::from(matches!(reports.recv().await.unwrap(), Report::Complete(_)));
    }
    let drift = |site: &Site| {
        let drifted = drifted(&site.owner, &site.known.proofs, &site.known.live);
        drifted.into_values().collect::<Vec<_>>()
    };
    assert_eq!(drift(&site), []);

    let hand = PatchParams {
        field_manager: Some("hand".into()),
        ..PatchParams::default()
    };
    let services: Api<Service> = Api::namespaced(site.admin.clone(), &site.namespace);
    let foreign = json!({"metadata": {"annotations": {"note": "theirs"}}});
    services
        .patch("web", &hand, &Patch::Merge(&foreign))
        .await
        .unwrap();
    assert_eq!(next_change(&mut reports, &site.owner).await, How::Touched);
    assert_eq!(drift(&site), []);

    let taken = json!({"spec": {"selector": {"app": "theirs"}}});
    services
        .patch("web", &hand, &Patch::Merge(&taken))
        .await
        .unwrap();
    let since = Instant::now();
    assert_eq!(next_change(&mut reports, &site.owner).await, How::Altered);
    eprintln!("a foreign edit was seen after {:?}", since.elapsed());
    assert_eq!(drift(&site), [Drift::FieldsTaken]);
    assert_eq!(
        lines(&site.run(FOUR).await)
            .iter()
            .filter(|line| line.ends_with("configured"))
            .count(),
        1
    );

    services.delete("web", &Default::default()).await.unwrap();
    while next_change(&mut reports, &site.owner).await != How::Gone {}
    assert_eq!(drift(&site), [Drift::Missing]);

    watches.want(&site.owner, BTreeSet::new());
    assert_eq!(watches.count(), 0);
    assert!(site.known.live.is_empty());
}

#[tokio::test]
async fn a_kind_that_may_not_be_watched_is_reported() {
    let site = Site::new("unwatchable").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let client = cluster_at(&proxy.kubeconfig())
        .await
        .client(&Identity::OwnAccount)
        .unwrap();
    let plan = site.plan(&config_map("one", "a")).await;
    let resource = plan.steps[0].resource.clone().unwrap();
    let forbidden = Fault::Answer(hyper::StatusCode::FORBIDDEN);
    proxy.inject(forbidden, |line| line.path == "/api/v1/configmaps", 0..1);
    let (watches, mut reports) = Watches::new(client);
    watches.want(&site.owner, BTreeSet::from([resource.clone()]));
    let report = tokio::time::timeout(Duration::from_secs(30), reports.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&report, Report::Unwatchable(kind, _) if *kind == resource),
        "{report:?}"
    );
}
