//! Kustomizations that other processes look after: what they hold, asked of the API server.

use std::collections::HashSet;

use kube::ResourceExt;
use kube::api::{Api, ListParams};
use overlay::ObjectId;

use super::context::Context;
use super::owners;
use super::run::{self, Run};
use super::schedule::Key;
use super::sites;
use crate::api::kustomization::{Kustomization, reason};
use crate::cluster::ObjectKey;
use crate::report::failure::{Again, Failure};

/// Reads a Kustomization that the own watch does not show.
pub async fn find(context: &Context, key: &Key) -> kube::Result<Option<Kustomization>> {
    let api: Api<Kustomization> = Api::namespaced(context.client.clone(), &key.namespace);
    api.get_opt(&key.name).await
}

/// Those of the objects, of this run's cluster, that Kustomizations of other processes have in their inventories. What
/// cannot be found out is a failure: whoever deletes then may delete what others want.
pub async fn held(run: &Run<'_>, objects: &[ObjectId]) -> Result<Vec<ObjectKey>, Failure> {
    let is_other = |object: &Kustomization| {
        object.metadata.deletion_timestamp.is_none()
            && run.context.kustomization(&key_of(object)).is_none()
    };
    let mut held = Vec::new();
    for other in all(run.context).await?.into_iter().filter(is_other) {
        let theirs = holdings(&other);
        let wanted = objects.iter().map(ObjectKey::from);
        let both: Vec<ObjectKey> = wanted.filter(|key| theirs.contains(key)).collect();
        if !both.is_empty() && is_here(run, &other).await? {
            held.extend(both);
        }
    }
    Ok(held)
}

/// Whether another process's Kustomization has an object of this run's cluster in its inventory.
pub async fn holds(
    run: &Run<'_>,
    other: &Kustomization,
    object: &ObjectKey,
) -> Result<bool, Failure> {
    Ok(other.metadata.deletion_timestamp.is_none()
        && holdings(other).contains(object)
        && is_here(run, other).await?)
}

fn holdings(object: &Kustomization) -> HashSet<ObjectKey> {
    let inventory = run::applied(object).unwrap_or_default();
    inventory.objects.iter().map(ObjectKey::from).collect()
}

fn key_of(object: &Kustomization) -> Key {
    Key::kustomization(object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether another process's Kustomization is brought to the same cluster. Its kubeconfig is read for that, and only
/// where both have an object of the same name.
async fn is_here(run: &Run<'_>, other: &Kustomization) -> Result<bool, Failure> {
    let here = owners::whereabouts(run.context, run.key, &run.object);
    let there = owners::whereabouts(run.context, &key_of(other), other);
    if here.is(&there) {
        return Ok(true);
    }
    let namespace = other.namespace().unwrap_or_default();
    let site = sites::led_to(run.context, &namespace, other.spec.kube_config.as_ref()).await;
    match site {
        Ok(site) => Ok(site.id().is_some() && site.id() == here.id),
        // The server could not be asked, which is not for ever.
        Err(failure) if failure.again == Again::Backoff && !is_out_of_sight(run, &namespace) => {
            let other = key_of(other);
            let message = format!("which cluster {other} is in is not known: {failure}");
            Err(Failure::new(reason::PRUNE_FAILED, message).again(Again::Backoff))
        }
        // What leads nowhere has brought nobody anywhere.
        Err(_) => Ok(false),
    }
}

/// Whether Weir looks at one namespace on purpose, and this is another.
fn is_out_of_sight(run: &Run<'_>, namespace: &str) -> bool {
    let own = run.context.settings.namespace.as_deref();
    own.is_some_and(|own| own != namespace)
}

/// All Kustomizations; those of the own namespace where the account, of one namespace on purpose, may see no others.
async fn all(context: &Context) -> Result<Vec<Kustomization>, Failure> {
    let everywhere: Api<Kustomization> = Api::all(context.client.clone());
    let list = ListParams::default();
    let refused = match everywhere.list(&list).await {
        Ok(all) => return Ok(all.items),
        Err(error) => error,
    };
    let unknown = |error: kube::Error| {
        let message = format!("what Kustomizations of other processes hold is not known: {error}");
        Failure::new(reason::PRUNE_FAILED, message).again(Again::Backoff)
    };
    let forbidden = matches!(&refused, kube::Error::Api(status) if status.code == 403);
    match &context.settings.namespace {
        Some(own) if forbidden => {
            let here: Api<Kustomization> = Api::namespaced(context.client.clone(), own);
            here.list(&list).await.map(|all| all.items).map_err(unknown)
        }
        _ => Err(unknown(refused)),
    }
}
