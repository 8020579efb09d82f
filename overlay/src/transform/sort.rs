//! The order of the output: kustomize's legacy order of kinds, or the order of the input.

use std::collections::HashMap;

use crate::error::Error;
use crate::kustomization::SortOptions;
use crate::resource::{Gvk, Id};
use crate::resources::Resources;

/// Kinds that come first when nothing else is said.
const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that come last when nothing else is said.
const LAST: &[&str] = &[
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Sorts as `sortOptions` say.
pub(crate) fn sort_by_options(
    resources: &mut Resources,
    options: &SortOptions,
) -> Result<(), Error> {
    match (&*options.order, &options.legacy) {
        ("legacy", None) => sort_legacy(resources, FIRST, LAST),
        ("legacy", Some(kinds)) => sort_legacy(resources, &kinds.first, &kinds.last),
        ("fifo", None) => {}
        ("fifo", Some(kinds)) => {
            return Err(
                Error::new("legacySortOptions belong to the order `legacy`").at_mark(kinds.mark)
            );
        }
        (other, _) => {
            return Err(Error::new(format!("sortOptions.order cannot be `{other}`"))
                .at_mark(options.mark)
                .hint("it is legacy or fifo"));
        }
    }
    Ok(())
}

/// Sorts by kustomize's default.
pub(crate) fn sort_by_default(resources: &mut Resources) {
    sort_legacy(resources, FIRST, LAST);
}

fn sort_legacy(resources: &mut Resources, first: &[impl AsRef<str>], last: &[impl AsRef<str>]) {
    let ranks = ranks(first, last);
    resources
        .list
        .sort_by_cached_key(|resource| sort_key(&resource.id(), &ranks));
}

/// Negative for kinds that come first, positive for those that come last; a kind in both lists comes last.
fn ranks<'k>(first: &'k [impl AsRef<str>], last: &'k [impl AsRef<str>]) -> HashMap<&'k str, i64> {
    let before = first.len() as i64;
    let firsts = first
        .iter()
        .zip(-before..)
        .map(|(kind, rank)| (kind.as_ref(), rank));
    let lasts = last
        .iter()
        .zip(1..)
        .map(|(kind, rank)| (kind.as_ref(), rank));
    firsts.chain(lasts).collect()
}

/// Rank, then whether it is no core Namespace, then `group_version_kind`, then `namespace|name`.
fn sort_key(id: &Id, ranks: &HashMap<&str, i64>) -> (i64, bool, String, String) {
    let or = |text: &str, none: &str| {
        if text.is_empty() {
            none.to_owned()
        } else {
            text.to_owned()
        }
    };
    (
        ranks.get(id.gvk.kind.as_str()).copied().unwrap_or(0),
        id.gvk.kind == "Namespace" && !id.gvk.group.is_empty(),
        gvk_key(&id.gvk),
        format!("{}|{}", or(&id.namespace, "~X"), or(&id.name, "~N")),
    )
}

/// `group_version_kind` with marks for what is missing.
fn gvk_key(gvk: &Gvk) -> String {
    let or = |text: &str, none: &str| {
        if text.is_empty() {
            none.to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{}_{}_{}",
        or(&gvk.group, "~G"),
        or(&gvk.version, "~V"),
        or(&gvk.kind, "~K")
    )
}

/// The place of a kind among field specs and name references, which run in the legacy order too.
pub(crate) fn kind_key(gvk: &Gvk) -> (i64, String) {
    let rank = FIRST
        .iter()
        .position(|kind| *kind == gvk.kind)
        .map(|at| at as i64 - FIRST.len() as i64);
    let rank = rank.or_else(|| {
        LAST.iter()
            .position(|kind| *kind == gvk.kind)
            .map(|at| at as i64 + 1)
    });
    (rank.unwrap_or(0), gvk_key(gvk))
}
