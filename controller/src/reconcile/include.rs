//! `spec.include`: files of other GitRepositories of the namespace, put into a revision.

use std::collections::BTreeSet;

use super::context::Context;
use super::schedule::{Key, Topic};
use crate::api::git_repository::condition::{INCLUDE_UNAVAILABLE, STORAGE_OPERATION_FAILED};
use crate::api::git_repository::{GitRepositoryInclude, GitRepositorySpec};
use crate::api::meta::Artifact;
use crate::report::source::Trouble;
use crate::source::{GitTree, graft};

/// What a source that includes others listens to.
pub fn topics<'a>(
    spec: &'a GitRepositorySpec,
    namespace: &'a str,
) -> impl Iterator<Item = Topic> + 'a {
    let keys = || spec.include.iter().map(|include| key(include, namespace));
    // Its artifact is told some time after its files.
    keys().map(Topic::Source).chain(keys().map(Topic::Object))
}

/// The artifacts of what is included, as far as they are told yet.
pub fn artifacts(context: &Context, own: &Key, spec: &GitRepositorySpec) -> Vec<Artifact> {
    let artifact = |include: &GitRepositoryInclude| {
        let object = context.git_repository(&key(include, &own.namespace))?;
        object.status.as_ref()?.artifact.clone()
    };
    spec.include.iter().filter_map(artifact).collect()
}

fn key(include: &GitRepositoryInclude, namespace: &str) -> Key {
    Key::git_repository(namespace, &include.repository.name)
}

/// The revision with all that it includes.
pub async fn included(
    context: &Context,
    own: &Key,
    spec: &GitRepositorySpec,
    mut tree: GitTree,
) -> Result<GitTree, Trouble> {
    for include in &spec.include {
        tree = one(context, own, include, tree).await?;
    }
    Ok(tree)
}

async fn one(
    context: &Context,
    own: &Key,
    include: &GitRepositoryInclude,
    tree: GitTree,
) -> Result<GitTree, Trouble> {
    let name = &include.repository.name;
    let source = key(include, &own.namespace);
    let unavailable = |reason, message| Trouble {
        condition: INCLUDE_UNAVAILABLE,
        reason,
        message,
        stalled: false,
    };
    if context.git_repository(&source).is_none() {
        let message = format!(
            "could not get resource for include '{name}': GitRepository \"{name}\" not found"
        );
        return Err(unavailable("NotFound", message));
    }
    // Each would grow with the other, without an end.
    if leads_to(context, &source, own) {
        let message = format!("include '{name}' includes this repository");
        return Err(unavailable("NoArtifact", message));
    }
    let Some(snapshot) = context.snapshots.get(&source) else {
        let message = format!("no artifact available for include '{name}'");
        return Err(unavailable("NoArtifact", message));
    };
    let from = include.from_path.clone().unwrap_or_default();
    let to = include.to_path.clone().filter(|path| !path.is_empty());
    let to = to.unwrap_or_else(|| name.clone());
    let failed = |problem: String| Trouble {
        condition: STORAGE_OPERATION_FAILED,
        reason: "CopyFailure",
        message: format!("failed to copy '{name}' include from {from} to {to}: {problem}"),
        stalled: false,
    };
    let paths = (from.clone(), to.clone());
    let work = tokio::task::spawn_blocking(move || {
        graft::include(&tree, snapshot.tree.as_ref(), &paths.0, &paths.1)
    });
    work.await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

/// Whether a repository includes another one, over however many others.
fn leads_to(context: &Context, from: &Key, to: &Key) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.clone()];
    while let Some(next) = open.pop() {
        if next == *to {
            return true;
        }
        if let Some(object) = context
            .git_repository(&next)
            .filter(|_| seen.insert(next.clone()))
        {
            open.extend(
                object
                    .spec
                    .include
                    .iter()
                    .map(|include| key(include, &next.namespace)),
            );
        }
    }
    false
}
