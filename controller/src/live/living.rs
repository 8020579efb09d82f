//! The Kustomizations of a cluster, as they are there.

use std::collections::BTreeMap;

use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use overlay::path::inside;

use crate::api::kustomization::{Kustomization, reason};
use crate::environments::LeafName;
use crate::report::failure::Failure;

/// All Kustomizations that may be seen, by name.
pub type Living = BTreeMap<LeafName, Kustomization>;

/// How many are asked for at a time.
const PAGE: u32 = 500;

/// Reads the Kustomizations of all namespaces; where that is not allowed, those of one.
pub async fn living(client: &Client, namespace: &str) -> Result<Living, Failure> {
    let all = match list(&Api::all(client.clone())).await {
        Err(kube::Error::Api(status)) if status.code == 403 => {
            list(&Api::namespaced(client.clone(), namespace)).await
        }
        all => all,
    };
    all.map_err(|error| {
        Failure::new(
            reason::RECONCILIATION_FAILED,
            format!("listing Kustomizations: {error}"),
        )
    })
}

async fn list(api: &Api<Kustomization>) -> kube::Result<Living> {
    let mut found = Living::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        found.extend(
            page.items
                .into_iter()
                .map(|object| (name_of(&object), object)),
        );
        if parameters.continue_token.is_none() {
            return Ok(found);
        }
    }
}

fn name_of(object: &Kustomization) -> LeafName {
    LeafName {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// The folder that a Kustomization builds.
pub(super) fn path_of(object: &Kustomization) -> String {
    inside(object.spec.path.as_deref().unwrap_or_default())
}

/// The source that it builds from: kind, namespace, name.
pub(super) fn source_of(name: &LeafName, object: &Kustomization) -> (String, String, String) {
    let reference = &object.spec.source_ref;
    let namespace = reference.namespace.clone();
    (
        reference.kind.clone(),
        namespace.unwrap_or_else(|| name.namespace.clone()),
        reference.name.clone(),
    )
}
