//! Events for notification-controller: the same ones, posted as Flux's controllers post them (`--events-addr`).
//!
//! Nobody waits for it: what it cannot take in time is dropped and counted, and the events of the API server go on.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use reqwest::StatusCode;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::events::{Event, Severity, controller};

/// How many events may wait.
const QUEUE: usize = 1024;

/// How long one post may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The waits before the further tries of a post.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// How many waiting events are posted after a stop.
const LAST: usize = 20;

/// An event as notification-controller reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    involved_object: &'a ObjectReference,
    severity: &'static str,
    timestamp: String,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    reporting_controller: &'static str,
    reporting_instance: &'a str,
}

/// What waits to be posted, and when it happened.
pub(super) type Queue = mpsc::Sender<(Event, Timestamp)>;

/// The end that posts.
pub struct Poster {
    queue: mpsc::Receiver<(Event, Timestamp)>,
    address: String,
    instance: String,
    client: reqwest::Client,
}

/// A queue and what posts from it; `instance` is the name of this process.
pub(super) fn channel(
    address: String,
    instance: String,
) -> Result<(Queue, Poster), reqwest::Error> {
    let (sender, queue) = mpsc::channel(QUEUE);
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let poster = Poster {
        queue,
        address,
        instance,
        client,
    };
    Ok((sender, poster))
}

impl Poster {
    /// Posts events until the process stops, and then the first of those that wait.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                event = self.queue.recv() => match event {
                    Some((event, at)) => self.post(&event, at).await,
                    None => return,
                },
                _ = stopping.changed() => break,
            }
        }
        self.queue.close();
        for _ in 0..LAST {
            let Some((event, at)) = self.queue.recv().await else {
                return;
            };
            self.post_once(&event, at).await;
        }
    }

    async fn post(&self, event: &Event, at: Timestamp) {
        for pause in PAUSES {
            if self.post_once(event, at).await {
                return;
            }
            tokio::time::sleep(pause).await;
        }
        if !self.post_once(event, at).await {
            tracing::warn!(
                address = self.address,
                reason = event.reason,
                "event not posted"
            );
        }
    }

    /// Whether the event needs no further try. A 429 says that it is known already.
    async fn post_once(&self, event: &Event, at: Timestamp) -> bool {
        let body = body(event, at, &self.instance);
        let Ok(body) = serde_json::to_vec(&body) else {
            return true;
        };
        let request = self.client.post(&self.address);
        let request = request
            .header("Content-Type", "application/json")
            .body(body);
        match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                status.is_success() || (status.is_client_error() && status != StatusCode::NOT_FOUND)
            }
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "event not posted yet");
                false
            }
        }
    }
}

fn body<'a>(event: &'a Event, at: Timestamp, instance: &'a str) -> Body<'a> {
    Body {
        involved_object: &event.object,
        severity: match event.severity {
            Severity::Info => "info",
            Severity::Error => "error",
        },
        timestamp: format!("{at:.0}"),
        message: &event.message,
        reason: &event.reason,
        metadata: &event.metadata,
        reporting_controller: controller(event.object.kind.as_deref()),
        reporting_instance: instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_flux_s() {
        let event = Event {
            object: ObjectReference {
                kind: Some("Kustomization".to_owned()),
                name: Some("apps".to_owned()),
                ..ObjectReference::default()
            },
            severity: Severity::Error,
            reason: "BuildFailed".to_owned(),
            message: "no such file".to_owned(),
            metadata: [(
                "kustomize.toolkit.fluxcd.io/revision".to_owned(),
                "main@sha1:1".to_owned(),
            )]
            .into(),
        };
        let at: Timestamp = "2026-08-01T10:00:00.25Z".parse().expect("a time");
        let body = serde_json::to_value(body(&event, at, "weir-0")).expect("it is JSON");
        let expected = serde_json::json!({
            "involvedObject": {"kind": "Kustomization", "name": "apps"},
            "severity": "error",
            "timestamp": "2026-08-01T10:00:00Z",
            "message": "no such file",
            "reason": "BuildFailed",
            "metadata": {"kustomize.toolkit.fluxcd.io/revision": "main@sha1:1"},
            "reportingController": "kustomize-controller",
            "reportingInstance": "weir-0",
        });
        assert_eq!(body, expected);
    }
}
