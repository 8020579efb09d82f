//! Whether the source's environments run what is promoted, and are well: as a cluster says.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use overlay::{Tree, TreeError};

use super::prepare::Site;
use super::refusal::{HEALTH, Refusal, SOAK};
use crate::api::duration;
use crate::environments::{Environment, Leaf};

/// What a cluster says of one of its Kustomizations.
#[derive(Clone, Debug, Default)]
pub struct Reported {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The folder that it builds.
    pub path: String,
    /// Whether it is Ready.
    pub is_ready: bool,
    /// What it says.
    pub message: String,
    /// It says that something failed, and is not only under way.
    pub has_failed: bool,
    /// The commit that is applied; of one that is not Ready the commit that it tries.
    pub commit: Option<String>,
    /// Folders of which it has another version than the commit's: these, with the beginning of their trees' ids.
    pub spliced: Vec<(String, String)>,
    /// What of its objects is not as it was applied, and left so.
    pub drifted: Option<String>,
    /// Since when the objects are applied as they are.
    pub since: Option<Timestamp>,
}

/// What a source must be like before it is promoted.
pub struct Gate<'a> {
    /// What the cluster of the source says.
    pub reported: &'a [Reported],
    /// How long it must have been so.
    pub soak: Duration,
    /// The time now.
    pub now: Timestamp,
}

/// What of the source's environments stands against a promotion.
pub fn refusals(
    site: &Site<'_>,
    folders: &[String],
    sources: &BTreeSet<String>,
    gate: &Gate<'_>,
) -> Result<Vec<Refusal>, TreeError> {
    let environments = site
        .graph
        .environments
        .iter()
        .filter(|it| sources.contains(&it.name));
    let leaves = environments.flat_map(|environment| leaves(environment, folders));
    let known: Vec<&Reported> = leaves
        .filter_map(|leaf| find(leaf, gate.reported))
        .collect();
    if known.is_empty() {
        let message = "the cluster has no Kustomization that builds the source".to_owned();
        return Ok(vec![refusal(HEALTH, message)]);
    }
    let mut refusals = Vec::new();
    for reported in known {
        let name = format!("{}/{}", reported.namespace, reported.name);
        if let Some(problem) = problem(site, folders, reported)? {
            refusals.push(refusal(HEALTH, format!("{name} {problem}")));
        } else if let Some(left) = left(reported, gate) {
            refusals.push(refusal(
                SOAK,
                format!("{name} has {} left to soak", duration::format(left)),
            ));
        }
    }
    Ok(refusals)
}

pub(super) fn refusal(name: &'static str, message: String) -> Refusal {
    Refusal {
        name,
        message,
        hint: None,
    }
}

/// The Kustomizations of an environment that build any of these folders.
pub(super) fn leaves<'a>(
    environment: &'a Environment,
    folders: &'a [String],
) -> impl Iterator<Item = &'a Leaf> {
    let builds = |leaf: &&Leaf| {
        let built = leaf.built();
        built.is_some_and(|built| {
            let mut paths = built.composed.reads.paths.keys();
            paths.any(|path| {
                folders
                    .iter()
                    .any(|folder| overlay::path::is_within(path, folder))
            })
        })
    };
    environment.leaves.iter().map(|leaf| &**leaf).filter(builds)
}

/// A Kustomization in the cluster: by its name, or, where the repository does not name it, by the folder that it builds.
pub(super) fn find<'a>(leaf: &Leaf, reported: &'a [Reported]) -> Option<&'a Reported> {
    let is_it = |found: &&Reported| match leaf.name.namespace.as_str() {
        "" => found.path == leaf.path,
        namespace => found.namespace == namespace && found.name == leaf.name.name,
    };
    reported.iter().find(is_it)
}

/// Why a Kustomization does not speak for what is promoted.
fn problem(
    site: &Site<'_>,
    folders: &[String],
    reported: &Reported,
) -> Result<Option<String>, TreeError> {
    if !reported.is_ready {
        return Ok(Some(format!("is not Ready: {}", reported.message)));
    }
    let Some(commit) = &reported.commit else {
        return Ok(Some("has not applied any commit".to_owned()));
    };
    let short: String = commit.chars().take(12).collect();
    let Ok(point) = site.history.point(commit) else {
        return Ok(Some(format!(
            "runs commit {short}, which this clone has not got"
        )));
    };
    for folder in folders {
        if point.tree.id(folder)? != site.head.tree.id(folder)? {
            return Ok(Some(format!(
                "runs commit {short}, in which {folder} is another"
            )));
        }
    }
    Ok(None)
}

/// How much of the soak is left.
fn left(reported: &Reported, gate: &Gate<'_>) -> Option<Duration> {
    if gate.soak.is_zero() {
        return None;
    }
    let soak = SignedDuration::try_from(gate.soak).unwrap_or(SignedDuration::MAX);
    let been = reported
        .since
        .map_or(SignedDuration::ZERO, |since| gate.now.duration_since(since));
    let left = soak.checked_sub(been)?;
    Duration::try_from(left)
        .ok()
        .filter(|left| !left.is_zero())
        .map(|left| Duration::from_secs(left.as_secs().max(1)))
}
