//! The task of a Receiver: the path that callers use is made known; and what happens when one has called.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::json;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::context::Context;
use super::inputs::{self, SECRET};
use super::package::Package;
use super::record::{self, RecordError};
use super::schedule::{Key, Kind, Next, Topic, Wake};
use super::source_outcome::{RETRY, unwritten};
use crate::api::bucket::Bucket;
use crate::api::meta::REQUESTED_AT;
use crate::api::meta::condition::{READY, RECONCILING, STALLED};
use crate::api::meta::reason::SUCCEEDED;
use crate::api::oci_repository::OCIRepository;
use crate::api::receiver::{Receiver, ReceiverResource, ReceiverStatus};
use crate::report::conditions::{self, Statement, Status};
use crate::web::receiver::{self as web, Hook};

/// The groups of the kinds that other processes may look after, as far as they are not sources.
const GROUPS: [(&str, &str, &str); 6] = [
    ("Kustomization", "kustomize.toolkit.fluxcd.io", "v1"),
    ("HelmRelease", "helm.toolkit.fluxcd.io", "v2"),
    ("ImageRepository", "image.toolkit.fluxcd.io", "v1"),
    ("ImagePolicy", "image.toolkit.fluxcd.io", "v1"),
    ("ImageUpdateAutomation", "image.toolkit.fluxcd.io", "v1"),
    (
        "ArtifactGenerator",
        "source.extensions.fluxcd.io",
        "v1beta1",
    ),
];

/// Why calls are not answered.
struct Refusal {
    reason: &'static str,
    message: String,
    /// Nothing will get better before the spec changes.
    stalled: bool,
}

/// Waits for calls under the path that the token makes, and says so.
pub async fn reconcile(context: &Context, key: &Key) -> Next {
    let place = (key.namespace.clone(), key.name.clone());
    let Some(object) = context.receiver(key) else {
        context.hooks.set(&place, None);
        return Next::Gone;
    };
    match attempt(context, key, &place, (*object).clone()).await {
        Ok(next) => next,
        Err(error) => unwritten(key, &error),
    }
}

async fn attempt(
    context: &Context,
    key: &Key,
    place: &(String, String),
    object: Receiver,
) -> Result<Next, RecordError> {
    if object.metadata.deletion_timestamp.is_some() {
        context.hooks.set(place, None);
        // Weir sets none; notification-controller may have.
        record::finalizer(&context.client, object, false).await?;
        return Ok(Next::OnEvent);
    }
    let secret = object.spec.secret_ref.name.clone();
    let topic = Topic::Input(SECRET, key.namespace.clone(), secret);
    context.schedule.subscribe(key, BTreeSet::from([topic]));
    context
        .input_watches
        .ensure(context, SECRET, &key.namespace)
        .await;
    let opened = open(context, key, place, &object).await;
    context.hooks.set(place, opened.as_ref().ok().cloned());
    if object.spec.suspend {
        return Ok(Next::OnEvent);
    }
    let status = status(&object, &opened);
    record::status(&context.client, object, &status).await?;
    Ok(match opened {
        Err(refusal) if !refusal.stalled => Next::Backoff(RETRY),
        _ => Next::OnEvent,
    })
}

async fn open(
    context: &Context,
    key: &Key,
    place: &(String, String),
    object: &Receiver,
) -> Result<(String, Hook), Refusal> {
    unsupported(object)?;
    let name = &object.spec.secret_ref.name;
    let failed = |problem: String| Refusal {
        reason: "TokenNotFound",
        message: format!(
            "unable to read token from secret '{}/{name}': {problem}",
            key.namespace
        ),
        stalled: false,
    };
    let data = inputs::data(&context.client, SECRET, &key.namespace, name)
        .await
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| failed(format!("secrets \"{name}\" not found")))?;
    let token = data
        .get("token")
        .filter(|token| !token.is_empty())
        .ok_or_else(|| failed("key 'token' not found".to_owned()))?;
    let path = web::path(token, &key.name, &key.namespace);
    let hook = Hook {
        receiver: place.clone(),
        kind: object.spec.type_.clone(),
        events: object.spec.events.clone(),
        token: Zeroizing::new(token.to_vec()),
        suspended: object.spec.suspend,
    };
    Ok((path, hook))
}

fn unsupported(object: &Receiver) -> Result<(), Refusal> {
    let spec = &object.spec;
    let filtered = spec
        .resources
        .iter()
        .any(|resource| resource.filter.is_some());
    let field = match () {
        () if !web::is_known(&spec.type_) => format!("type: {}", spec.type_),
        () if spec.resource_filter.is_some() => "resourceFilter".to_owned(),
        () if filtered => "resources[].filter".to_owned(),
        () => return Ok(()),
    };
    Err(Refusal {
        reason: "FeatureGateDisabled",
        message: format!("this version of Weir does not carry out spec.{field}"),
        stalled: true,
    })
}

fn status(object: &Receiver, opened: &Result<(String, Hook), Refusal>) -> ReceiverStatus {
    let generation = object.metadata.generation.unwrap_or_default();
    let mut status = object.status.clone().unwrap_or_default();
    let conditions = &mut status.conditions;
    conditions::remove(conditions, RECONCILING);
    conditions::remove(conditions, STALLED);
    let ready = match opened {
        Ok((path, _)) => {
            status.webhook_path = Some(path.clone());
            let message = format!("Receiver initialized for path: {path}");
            Statement::new(READY, Status::True, SUCCEEDED, message)
        }
        Err(refusal) => {
            if refusal.stalled {
                let message = refusal.message.clone();
                let stalled = Statement::new(STALLED, Status::True, refusal.reason, message);
                conditions::set(conditions, stalled, generation);
            }
            status.webhook_path = None;
            Statement::new(
                READY,
                Status::False,
                refusal.reason,
                refusal.message.clone(),
            )
        }
    };
    conditions::set(&mut status.conditions, ready, generation);
    status.observed_generation = object.metadata.generation;
    if let Some(requested) = object.annotations().get(REQUESTED_AT) {
        status.last_handled_reconcile_at = Some(requested.clone());
    }
    status
}

/// Has what the Receivers name looked at, as the calls come in.
pub async fn calls(context: Arc<Context>, mut calls: mpsc::Receiver<(String, String)>) {
    while let Some((namespace, name)) = calls.recv().await {
        let key = Key {
            kind: Kind::Receiver,
            namespace,
            name,
        };
        let Some(receiver) = context.receiver(&key) else {
            continue;
        };
        for resource in &receiver.spec.resources {
            let namespace = resource.namespace.as_ref().unwrap_or(&key.namespace);
            let foreign = *namespace != key.namespace;
            if foreign && context.settings.no_cross_namespace_references {
                tracing::warn!(
                    name = key.name,
                    kind = resource.kind,
                    "another namespace is not looked at"
                );
                continue;
            }
            let kind = own_kind(&context, resource);
            let own = kind.map_or(0, |kind| wake(&context, kind, namespace, resource));
            let are_there_others = match resource.name.as_str() {
                "*" => kind.is_none() || context.settings.shares,
                _ => own == 0,
            };
            if are_there_others {
                let (namespace, resource) = (namespace.clone(), resource.clone());
                tokio::spawn(annotate(context.clone(), kind, namespace, resource));
            }
        }
    }
}

/// The kind, if its objects have tasks here that look at something.
fn own_kind(context: &Context, resource: &ReceiverResource) -> Option<Kind> {
    match resource.kind.as_str() {
        "Kustomization" => {
            let is_own = !context.settings.leaves_kustomizations;
            is_own.then_some(Kind::Kustomization)
        }
        name => Kind::source(name).filter(|kind| !context.foreign.covers(*kind)),
    }
}

/// Whether this process looks after an object.
fn is_own(context: &Context, key: &Key) -> bool {
    match key.kind {
        Kind::Kustomization => context.kustomization(key).is_some(),
        _ => context.is_own(key),
    }
}

/// Wakes those that this process looks after; gives back how many.
fn wake(context: &Context, kind: Kind, namespace: &str, resource: &ReceiverResource) -> usize {
    let labels = |key: &Key| match kind {
        Kind::Kustomization => context
            .kustomization(key)
            .map(|object| object.labels().clone()),
        Kind::OciRepository => {
            OCIRepository::find(context, key).map(|object| object.labels().clone())
        }
        Kind::Bucket => Bucket::find(context, key).map(|object| object.labels().clone()),
        _ => context
            .git_repository(key)
            .map(|object| object.labels().clone()),
    };
    let chosen = |key: &Key| {
        let of_place = key.kind == kind && key.namespace == namespace;
        of_place
            && is_own(context, key)
            && (key.name == resource.name
                || resource.name == "*"
                    && labels(key).is_some_and(|labels| {
                        resource
                            .match_labels
                            .iter()
                            .all(|(name, value)| labels.get(name) == Some(value))
                    }))
    };
    // A source looks as if its time had come: its Secrets are watched, and need not be read again first.
    let reason = match kind {
        Kind::Kustomization => Wake::changed(),
        _ => Wake::due(),
    };
    let mut keys = context.schedule.keys();
    keys.retain(chosen);
    keys.iter()
        .for_each(|key| context.schedule.wake(key, reason.clone()));
    keys.len()
}

/// Asks whoever else looks after the objects, as the flux command asks: the controller of another kind, or the process
/// that has the other ones of a kind of which some are our own.
async fn annotate(
    context: Arc<Context>,
    kind: Option<Kind>,
    namespace: String,
    resource: ReceiverResource,
) {
    let api = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        &namespace,
        &definition(&resource),
    );
    let names = match resource.name.as_str() {
        "*" => {
            let labels = resource.match_labels.iter();
            let selector: Vec<String> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let found = api
                .list_metadata(&ListParams::default().labels(&selector.join(",")))
                .await;
            found.map(|list| list.items.iter().map(ResourceExt::name_any).collect())
        }
        name => Ok(vec![name.to_owned()]),
    };
    let is_ours = |name: &str| {
        let (namespace, name) = (namespace.clone(), name.to_owned());
        let key = kind.map(|kind| Key {
            kind,
            namespace,
            name,
        });
        key.is_some_and(|key| is_own(&context, &key))
    };
    let now = jiff::Timestamp::now().to_string();
    let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now } } });
    let asked = async {
        for name in names?.iter().filter(|name| !is_ours(name)) {
            api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
        }
        Ok::<_, kube::Error>(())
    };
    if let Err(error) = asked.await {
        let (kind, name) = (&resource.kind, &resource.name);
        tracing::warn!(%error, kind, name, namespace, "could not be asked to reconcile");
    }
}

fn definition(resource: &ReceiverResource) -> ApiResource {
    let found = GROUPS.iter().find(|(kind, _, _)| *kind == resource.kind);
    let (group, version) = found
        .map(|(_, group, version)| (*group, *version))
        .unwrap_or(("source.toolkit.fluxcd.io", "v1"));
    let version = resource
        .api_version
        .as_deref()
        .and_then(|given| given.strip_prefix(group)?.strip_prefix('/'))
        .unwrap_or(version);
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &resource.kind))
}
