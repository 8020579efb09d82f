//! `weir reconcile NAME`: ask the controller to reconcile now, and wait for its answer.

use std::time::Duration;

use anstream::{eprintln, println};
use futures::TryStreamExt;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;

use super::connection::Connection;
use super::{Exit, Failure, Outcome};

/// The annotation that Flux and Weir answer with `status.lastHandledReconcileAt`.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

const EXAMPLES: &str = "\
Examples:
  weir reconcile apps                   the Kustomization flux-system/apps
  weir reconcile apps --with-source     its source first
  weir reconcile source/flux-system     a GitRepository";

/// Reconcile a Kustomization or a source now, and wait for the result.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The Kustomization's name, or `source/NAME` for a GitRepository.
    name: String,
    /// Reconcile the Kustomization's source first.
    #[arg(long)]
    with_source: bool,
    /// How many seconds to wait.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    connection: Connection,
}

/// The two kinds that can be asked.
#[derive(Clone, Copy)]
enum Kind {
    Source,
    Kustomization,
}

impl Kind {
    fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Source => (
                "source.toolkit.fluxcd.io",
                "GitRepository",
                "gitrepositories",
            ),
            Self::Kustomization => (
                "kustomize.toolkit.fluxcd.io",
                "Kustomization",
                "kustomizations",
            ),
        };
        ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// Asks and waits.
pub(super) async fn run(args: Args) -> Outcome {
    let client = args.connection.client().await?;
    let namespace = &args.connection.namespace;
    let timeout = Duration::from_secs(args.timeout);
    if let Some(source) = args.name.strip_prefix("source/") {
        return request(&client, Kind::Source, namespace, source, timeout).await;
    }
    if args.with_source {
        let (source_namespace, source) = source_of(&client, namespace, &args.name).await?;
        request(&client, Kind::Source, &source_namespace, &source, timeout).await?;
    }
    request(&client, Kind::Kustomization, namespace, &args.name, timeout).await
}

/// Namespace and name of the GitRepository that a Kustomization follows.
async fn source_of(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<(String, String), Failure> {
    let api = api(client, Kind::Kustomization, namespace);
    let object = api.get(name).await.map_err(|error| cannot(name, &error))?;
    let reference = &object.data["spec"]["sourceRef"];
    if reference["kind"] != "GitRepository" {
        return Err(Failure::new(format!(
            "{name} follows a {}, which this command cannot ask",
            reference["kind"]
                .as_str()
                .unwrap_or("source without a kind")
        )));
    }
    let text = |field: &str| reference[field].as_str().map(str::to_owned);
    Ok((
        text("namespace").unwrap_or_else(|| namespace.to_owned()),
        text("name").unwrap_or_default(),
    ))
}

async fn request(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
    timeout: Duration,
) -> Outcome {
    let api = api(client, kind, namespace);
    let asked = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: asked}}});
    let object = api
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(|error| cannot(name, &error))?;
    let title = format!("{} {namespace}/{name}", kind.resource().kind);
    if object.data["spec"]["suspend"] == true {
        return Err(Failure::with_hint(
            format!("{title} is suspended"),
            "set spec.suspend to false",
        ));
    }
    eprintln!("► {title}: asked to reconcile, waiting");
    let answer = tokio::time::timeout(timeout, answered(&api, name, &asked))
        .await
        .map_err(|_| Failure::new(format!("{title}: no answer in {} s", timeout.as_secs())))??;
    report(&title, &answer)
}

/// Waits until the object has answered this request and is observed at its generation.
async fn answered(
    api: &Api<DynamicObject>,
    name: &str,
    asked: &str,
) -> Result<DynamicObject, Failure> {
    let mut events = Box::pin(watcher::watch_object(api.clone(), name));
    while let Some(object) = events
        .try_next()
        .await
        .map_err(|error| watch_failed(name, &error))?
    {
        let object = object.ok_or_else(|| Failure::new(format!("{name} was deleted")))?;
        let status = &object.data["status"];
        let settled = condition(&object, "Reconciling").is_none_or(|(state, _)| state != "True")
            || condition(&object, "Ready").is_some_and(|(state, _)| state == "False");
        if status["lastHandledReconcileAt"] == asked && settled {
            return Ok(object);
        }
    }
    Err(Failure::new(format!("the watch of {name} ended")))
}

fn report(title: &str, object: &DynamicObject) -> Outcome {
    match condition(object, "Ready") {
        Some(("True", message)) => {
            println!("✔ {title}: {message}");
            Ok(Exit::Success)
        }
        Some((_, message)) => Err(Failure::new(format!("{title} is not ready: {message}"))),
        None => Err(Failure::new(format!("{title} has no Ready condition"))),
    }
}

/// Status and message of a condition.
fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let condition = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    Some((
        condition["status"].as_str()?,
        condition["message"].as_str().unwrap_or_default(),
    ))
}

fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

fn cannot(name: &str, error: &kube::Error) -> Failure {
    Failure::with_hint(
        format!("{name}: {error}"),
        "`weir get all -A` lists what there is",
    )
}

fn watch_failed(name: &str, error: &watcher::Error) -> Failure {
    Failure::new(format!("watching {name}: {error}"))
}
