//! The budget: one client that asks for what a controller has to ask for at least, and does nothing else.
//!
//! For each Kustomization that is the inventory before its first object, the objects, one look at its Deployment once
//! that is as it should be, and the status after it. It composes nothing, compares nothing and has no events to tell.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, pin_mut, stream};
use kube::api::{Api, DynamicObject, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use weir_tests::objects::{api, kustomization, kustomization_kind};
use weir_tests::scene::{SOURCE, deployment_kind, install_definitions};
use weir_tests::{ControlPlane, ControlPlaneOptions};

use crate::floor::{CONNECTIONS, apply, is_settled};

/// How many Kustomizations are under way at once.
const UNDER_WAY: usize = 64;

/// How long it takes to bring so many applications about, on a control plane of its own that is as new as Weir's.
pub(crate) async fn budget(applications: Vec<[Value; 4]>) -> Duration {
    let control_plane = ControlPlane::start(ControlPlaneOptions {
        audit: true,
        ..Default::default()
    });
    let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
    install_definitions(&client).await;
    let namespace = control_plane.namespace("budget").await;
    let site = Site {
        statuses: api(&client, &namespace, &kustomization_kind()),
        deployments: api(&client, &namespace, &deployment_kind()),
        connections: Semaphore::new(CONNECTIONS),
        client,
        namespace,
    };
    let made = stream::iter(&applications).map(|application| site.kustomization(name(application)));
    let made: Vec<DynamicObject> = made.buffered(CONNECTIONS).collect().await;
    let settled = site.settled(applications.iter().map(name)).await;
    let begun = Instant::now();
    let work = applications.iter().zip(made).zip(settled);
    let work = work.map(|((application, made), settled)| site.bring(application, made, settled));
    stream::iter(work)
        .buffer_unordered(UNDER_WAY)
        .collect::<()>()
        .await;
    begun.elapsed()
}

fn name(application: &[Value; 4]) -> &str {
    application[0]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
}

struct Site {
    client: Client,
    namespace: String,
    statuses: Api<DynamicObject>,
    deployments: Api<DynamicObject>,
    connections: Semaphore,
}

impl Site {
    async fn kustomization(&self, name: &str) -> DynamicObject {
        let spec = json!({ "wait": true, "targetNamespace": self.namespace });
        let object = kustomization(name, SOURCE, &format!("./apps/{name}"), spec);
        let parameters = PostParams::default();
        let created = self.statuses.create(&parameters, &object);
        created.await.expect("create a Kustomization")
    }

    /// For each name, what tells when its Deployment is as it should be.
    async fn settled<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Vec<oneshot::Receiver<()>> {
        let (mut tell, told): (HashMap<String, _>, Vec<_>) = names
            .map(|name| {
                let (tell, told) = oneshot::channel();
                ((name.to_owned(), tell), told)
            })
            .unzip();
        let (listed, ready) = oneshot::channel();
        let deployments = self.deployments.clone();
        tokio::spawn(async move {
            let mut listed = Some(listed);
            let events = watcher(deployments, watcher::Config::default()).default_backoff();
            pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(seen)) if is_settled(&seen) => {
                        let tell: Option<oneshot::Sender<()>> = tell.remove(&seen.name_any());
                        let _ = tell.map(|tell| tell.send(()));
                    }
                    Ok(watcher::Event::InitDone) => {
                        let _ = listed.take().map(|listed| listed.send(()));
                    }
                    Ok(_) => {}
                    Err(error) => eprintln!("bench: watch: {error}"),
                }
            }
        });
        ready.await.expect("the watch begins");
        told
    }

    async fn bring(
        &self,
        application: &[Value; 4],
        made: DynamicObject,
        settled: oneshot::Receiver<()>,
    ) {
        let made = self.status(made, begun(application, &self.namespace)).await;
        join_all(application.iter().map(async |object| {
            let _connection = self.connection().await;
            apply(&self.client, &self.namespace, object).await;
        }))
        .await;
        settled.await.expect("the Deployment is as it should be");
        let connection = self.connection().await;
        let look = self.deployments.get(name(application));
        look.await.expect("look at the Deployment");
        drop(connection);
        self.status(made, ended(application, &self.namespace)).await;
    }

    async fn status(&self, mut object: DynamicObject, status: Value) -> DynamicObject {
        let _connection = self.connection().await;
        object.data["status"] = status;
        object.metadata.managed_fields = None;
        let (name, parameters) = (object.name_any(), PostParams::default());
        let written = self.statuses.replace_status(&name, &parameters, &object);
        written.await.expect("write a status")
    }

    async fn connection(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.connections.acquire().await.expect("never closed")
    }
}

/// The status before the first object is applied.
fn begun(application: &[Value; 4], namespace: &str) -> Value {
    json!({
        "conditions": [
            condition("Reconciling", "True", "ProgressingWithRetry"),
            condition("Ready", "Unknown", "Progressing"),
        ],
        "inventory": inventory(application, namespace),
        "lastAttemptedRevision": REVISION,
        "observedGeneration": 1,
    })
}

/// The status when all is well.
fn ended(application: &[Value; 4], namespace: &str) -> Value {
    json!({
        "conditions": [
            condition("Ready", "True", "ReconciliationSucceeded"),
            condition("Healthy", "True", "Succeeded"),
        ],
        "history": [{
            "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "firstReconciled": TIME, "lastReconciled": TIME, "lastReconciledDuration": "1s",
            "lastReconciledStatus": "ReconciliationSucceeded", "totalReconciliations": 1,
            "metadata": { "revision": REVISION },
        }],
        "inventory": inventory(application, namespace),
        "lastAppliedRevision": REVISION,
        "lastAttemptedRevision": REVISION,
        "observedGeneration": 1,
    })
}

const REVISION: &str = "main@sha1:0000000000000000000000000000000000000000";
const TIME: &str = "2026-01-01T00:00:00Z";

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "observedGeneration": 1,
        "message": format!("Applied revision: {REVISION}"), "lastTransitionTime": TIME,
    })
}

fn inventory(application: &[Value; 4], namespace: &str) -> Value {
    let entries = application.iter().map(|object| {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = object["kind"].as_str().unwrap_or_default();
        json!({ "id": format!("{namespace}_{}_{group}_{kind}", name(application)), "v": version })
    });
    json!({ "entries": entries.collect::<Vec<_>>() })
}
