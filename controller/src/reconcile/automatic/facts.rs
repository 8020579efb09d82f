//! What Kustomizations say of themselves, in the terms of promotion.

use kube::ResourceExt;

use crate::api::kustomization::condition::DRIFTED;
use crate::api::kustomization::{Kustomization, KustomizationStatus};
use crate::api::meta::condition::READY;
use crate::promotion::health::Reported;
use crate::reconcile::render;

/// What a Kustomization says.
pub fn reported(kustomization: &Kustomization) -> Reported {
    let none = KustomizationStatus::default();
    let status = kustomization.status.as_ref().unwrap_or(&none);
    let condition = |of: &str| status.conditions.iter().find(|it| it.type_ == of);
    let ready = condition(READY);
    let drifted = condition(DRIFTED).filter(|drifted| drifted.status == "True");
    // What was seen before the last change of the spec says nothing.
    let is_seen = status.observed_generation == kustomization.metadata.generation;
    let is_ready = is_seen && ready.is_some_and(|ready| ready.status == "True");
    let revision = match is_ready {
        true => status.last_applied_revision.as_deref(),
        false => status.last_attempted_revision.as_deref(),
    };
    let (commit, spliced) = revision.map(parts).unwrap_or_default();
    Reported {
        namespace: kustomization.namespace().unwrap_or_default(),
        name: kustomization.name_any(),
        path: render::folder(&kustomization.spec),
        is_ready,
        has_failed: ready.is_some_and(|ready| ready.status == "False"),
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        commit: Some(commit).filter(|commit| !commit.is_empty()),
        spliced,
        drifted: drifted.map(|drifted| drifted.message.clone()),
        since: status.history.first().map(|entry| entry.first_reconciled.0),
    }
}

/// The commit of a revision, and the folders of which it has another version: `main@sha1:<commit>+<folder>@<tree>`.
fn parts(revision: &str) -> (String, Vec<(String, String)>) {
    let last = revision.rsplit(':').next().unwrap_or_default();
    let mut parts = last.split('+');
    let commit = parts.next().unwrap_or_default().to_owned();
    let spliced = parts.filter_map(|part| part.rsplit_once('@'));
    let owned = spliced.map(|(folder, tree)| (folder.to_owned(), tree.to_owned()));
    (commit, owned.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_says_what_is_held_back() {
        let folder = |folder: &str, tree: &str| (folder.to_owned(), tree.to_owned());
        for (revision, commit, spliced) in [
            ("main@sha1:abc", "abc", vec![]),
            ("sha1:abc", "abc", vec![]),
            (
                "a+b@sha1:abc+stages/prod@123+stages/c@456",
                "abc",
                vec![folder("stages/prod", "123"), folder("stages/c", "456")],
            ),
        ] {
            assert_eq!(parts(revision), (commit.to_owned(), spliced), "{revision}");
        }
    }
}
