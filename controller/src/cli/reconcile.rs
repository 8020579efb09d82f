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
  weir reconcile source/flux-system     a GitRepository
  weir reconcile OCIRepository/charts   a source that source-controller looks after";

/// Reconcile a Kustomization or a source now, and wait for the result.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The Kustomization's name; `source/NAME` for a GitRepository, and KIND/NAME for any.
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

/// A kind that can be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn source(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "source.toolkit.fluxcd.io",
        kind,
        plural,
    }
}

const KUSTOMIZATION: Kind = Kind {
    group: "kustomize.toolkit.fluxcd.io",
    kind: "Kustomization",
    plural: "kustomizations",
};

/// Whoever makes an ExternalArtifact makes it without being asked.
const SOURCES: [Kind; 3] = [
    source("GitRepository", "gitrepositories"),
    source("OCIRepository", "ocirepositories"),
    source("Bucket", "buckets"),
];

impl Kind {
    /// The kind that a word before a slash means.
    fn named(word: &str) -> Option<Self> {
        if word == "source" {
            return SOURCES.first().copied();
        }
        let mut kinds = SOURCES.iter().chain([&KUSTOMIZATION]);
        kinds
            .find(|kind| kind.kind.eq_ignore_ascii_case(word))
            .copied()
    }

    fn resource(self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{}/v1", self.group),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

/// Asks and waits.
pub(super) async fn run(args: Args) -> Outcome {
    let client = args.connection.client().await?;
    let namespace = &args.connection.namespace;
    let timeout = Duration::from_secs(args.timeout);
    if let Some((word, name)) = args.name.split_once('/') {
        let kind = Kind::named(word).ok_or_else(|| {
            let message = format!("`{word}` is no kind that can be asked");
            Failure::with_hint(
                message,
                "name a Kustomization, GitRepository, OCIRepository or Bucket",
            )
        })?;
        return request(&client, kind, namespace, name, timeout).await;
    }
    if args.with_source {
        let (kind, source_namespace, source) = source_of(&client, namespace, &args.name).await?;
        request(&client, kind, &source_namespace, &source, timeout).await?;
    }
    request(&client, KUSTOMIZATION, namespace, &args.name, timeout).await
}

/// Kind, namespace and name of the source that a Kustomization follows.
async fn source_of(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<(Kind, String, String), Failure> {
    let api = api(client, KUSTOMIZATION, namespace);
    let object = api.get(name).await.map_err(|error| cannot(name, &error))?;
    let reference = &object.data["spec"]["sourceRef"];
    let text = |field: &str| reference[field].as_str().map(str::to_owned);
    let kind = text("kind").unwrap_or_default();
    let found = SOURCES.iter().find(|source| source.kind == kind);
    let found = found.ok_or_else(|| {
        Failure::new(format!(
            "{name} follows an {kind}, and nobody can be asked for one"
        ))
    })?;
    Ok((
        *found,
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
