//! Whether the source's environments run what is promoted, and are well: as they have published it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use overlay::Tree;

use super::auto::Heard;
use super::auto::hear::unproven;
use super::effect::reached;
use super::file::Fate;
use super::health::refusal;
use super::plan::PlanError;
use super::prepare::{AppChange, Site};
use super::refusal::{HEALTH, Refusal, SOAK};
use super::route::Edge;
use super::scope::{App, Scope};
use super::signed::is_between;

/// What stands against promoting these apps. Nothing where no environment of the source publishes what it runs.
pub(super) fn refusals(
    site: &Site<'_>,
    scope: &Scope,
    apps: &[AppChange],
    heard: (&BTreeMap<String, Heard>, Timestamp),
) -> Result<Vec<Refusal>, PlanError> {
    let mut found: Vec<Refusal> = Vec::new();
    let changed = scope.apps.iter().filter(|app| is_changed(&app.name, apps));
    for app in changed {
        for refusal in of_app(site, scope, app, heard)? {
            if !found.contains(&refusal) {
                found.push(refusal);
            }
        }
    }
    Ok(found)
}

fn is_changed(name: &str, apps: &[AppChange]) -> bool {
    let own = apps.iter().filter(|app| app.name == name);
    own.flat_map(|app| &app.files)
        .any(|file| file.outcome.fate != Fate::Same)
}

fn of_app(
    site: &Site<'_>,
    scope: &Scope,
    app: &App,
    (heard, now): (&BTreeMap<String, Heard>, Timestamp),
) -> Result<Vec<Refusal>, PlanError> {
    let folder = scope.source_folder(app);
    let tree = site.head.tree.id(&folder)?;
    let version = tree.map(|id| id.to_string()).unwrap_or_default();
    let edge = edge(site, scope, app)?;
    let soak = edge.and_then(|edge| edge.soak);
    let soak = soak.unwrap_or_else(|| site.policy.soak());
    let mut refusals = Vec::new();
    for name in environments(site, edge, &folder) {
        let Some(said) = heard.get(&name).filter(|said| speaks(said, edge, &folder)) else {
            continue;
        };
        let unproven = |soak| unproven(Some(said), (&folder, &version), soak, now);
        if let Some(why) = unproven(Duration::ZERO) {
            refusals.push(refusal(HEALTH, format!("{name} {why}")));
        } else if let Some(why) = unproven(soak) {
            refusals.push(refusal(SOAK, format!("{name} {why}")));
        }
    }
    Ok(refusals)
}

/// The edge that an app travels over.
fn edge<'a>(site: &Site<'a>, scope: &Scope, app: &App) -> Result<Option<&'a Edge>, PlanError> {
    for edge in &site.policy.edges {
        let is_meant = edge.apps.is_empty() || edge.apps.contains(&app.name);
        if is_meant && is_between(site, edge, scope)? {
            return Ok(Some(edge));
        }
    }
    Ok(None)
}

/// Who must run it: those that the edge requires, else all that the source reaches.
fn environments(site: &Site<'_>, edge: Option<&Edge>, folder: &str) -> BTreeSet<String> {
    match edge.filter(|edge| !edge.requires.is_empty()) {
        Some(edge) => site.policy.routes().members(&edge.requires),
        None => reached(site.graph, &[folder.to_owned()]),
    }
}

/// Environments tell of the stages that they run, of the apps directly below these, and of what edges and waves name; of
/// another folder their silence means nothing.
fn speaks(said: &Heard, edge: Option<&Edge>, folder: &str) -> bool {
    edge.is_some() || matches!(said, Heard::Nothing(_)) || said.running(folder).is_some()
}
