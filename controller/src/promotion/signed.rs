//! Who may promote: commits to the source that nobody has signed whom `weir.yaml` lets.

use std::time::SystemTime;

use overlay::{Tree, TreeError};

use super::plan::PlanError;
use super::prepare::{PrepareError, Site};
use super::record::{self, Record};
use super::route::Edge;
use super::scope::{Scope, ScopeError, stage};
use crate::source::TrustedKeys;
use crate::source::history::{Before, Point};

/// Commits that are looked at.
const COMMITS: usize = 1000;

/// What stands against the apps of a scope, in words. Nothing where no edge between the two says who may.
pub(super) fn unsigned(site: &Site<'_>, scope: &Scope) -> Result<Vec<String>, PlanError> {
    let mut found = Vec::new();
    for edge in site
        .policy
        .edges
        .iter()
        .filter(|edge| !edge.who_may.is_empty())
    {
        if !is_between(site, edge, scope)? {
            continue;
        }
        for app in &scope.apps {
            let path = record::path(&scope.to.name, &app.name);
            let recorded = record::read(&site.head.tree, &path).map_err(PrepareError::from)?;
            let folder = scope.source_folder(app);
            found.extend(of_app(site, edge, &folder, recorded.as_ref())?);
        }
    }
    Ok(found)
}

/// Whether an edge leads from the source of a scope to its target.
pub(super) fn is_between(site: &Site<'_>, edge: &Edge, scope: &Scope) -> Result<bool, PlanError> {
    for (name, side) in [(&edge.from, &scope.from), (&edge.to, &scope.to)] {
        match stage(&site.head.tree, name) {
            Ok(stage) if stage == *side => {}
            Ok(_) | Err(ScopeError::UnknownStage { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Looks at the commits since the last promotion. What other controllers promoted into the source was let through by the
/// edge before.
fn of_app(
    site: &Site<'_>,
    edge: &Edge,
    folder: &str,
    recorded: Option<&Record>,
) -> Result<Option<String>, PlanError> {
    let keys = keys(site, edge);
    let mut point = site.head.clone();
    for _ in 0..COMMITS {
        if recorded.is_some_and(|record| record.commit == point.commit.id.to_string()) {
            return Ok(None);
        }
        let before = match site.history.before(&point)? {
            Before::Commit(before) => Some(*before),
            Before::Beginning => None,
            Before::Cut => return Ok(Some(CUT.to_owned())),
        };
        if touches(&point, before.as_ref(), folder)? {
            let signer = site.history.signer(&point, &keys, SystemTime::now());
            if signer.is_err() {
                return Ok(Some(nobody(&point, edge)));
            }
            // Without a record only the newest version is asked for.
            if recorded.is_none() {
                return Ok(None);
            }
        }
        match before {
            Some(before) => point = before,
            None => return Ok(None),
        }
    }
    Ok(Some(MANY.to_owned()))
}

const CUT: &str = "this is a shallow clone, in which not all signatures can be seen";
const MANY: &str =
    "more than 1000 commits since the last promotion, too many to look for signatures";

/// The keys of those who may, and of all controllers that promote.
fn keys(site: &Site<'_>, edge: &Edge) -> TrustedKeys {
    let policy = site.policy;
    let people = edge
        .who_may
        .iter()
        .filter_map(|name| policy.people.get(name));
    let drivers = policy.edges.iter().map(|edge| &edge.driver);
    let controllers = drivers.filter_map(|name| Some(&policy.environments.get(name)?.key));
    TrustedKeys::of_ssh(people.chain(controllers).cloned())
}

fn touches(point: &Point, before: Option<&Point>, folder: &str) -> Result<bool, TreeError> {
    let old = before.map(|before| before.tree.id(folder)).transpose()?;
    Ok(point.tree.id(folder)? != old.flatten())
}

fn nobody(point: &Point, edge: &Edge) -> String {
    let id: String = point.commit.id.to_string().chars().take(12).collect();
    let who = edge.who_may.join(", ");
    format!(
        "commit {id} ({}) is not signed by {who}, and only they may",
        point.commit.subject
    )
}
