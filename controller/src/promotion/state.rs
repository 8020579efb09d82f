//! How stages stand to those that they are promoted from: behind, diverged, pinned, held.

use overlay::{EntryKind, Tree};

use super::merge::What;
use super::plan::{Beside, PlanError, beside};
use super::prepare::{AppChange, PrepareError, Site, Wishes, prepare};
use super::record::{self, FOLDER, Record};
use super::scope::{ScopeError, scope};
use crate::environments::Graph;
use crate::source::history::{History, Point};

/// How an app of a stage stands to the stage that it was promoted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The stage that it was promoted from.
    pub from: String,
    /// The stage.
    pub to: String,
    /// The app.
    pub app: String,
    /// Places that the source changed since.
    pub behind: usize,
    /// Places that only the target changed.
    pub own: usize,
    /// Places that both changed.
    pub conflicts: usize,
    /// Places that are pinned.
    pub pinned: usize,
    /// The commit that a rollback refused.
    pub held: Option<String>,
}

/// The states of all apps that were ever promoted, by stage and app. The default branch is named where what is looked at
/// does not stand on it.
pub fn states(
    history: &History,
    head: &Point,
    trunk: Option<&str>,
    graph: &Graph,
) -> Result<Vec<State>, PlanError> {
    let tree = &head.tree;
    let Beside { policy, trunk } = beside(history, head, trunk)?;
    let site = Site {
        history,
        head,
        trunk: &trunk,
        graph,
        policy: &policy,
    };
    let mut states = Vec::new();
    for (stage, app, record) in records(head)? {
        let [from, to] = stage_names(&record);
        let names = [from.as_str(), to.as_str()];
        let wanted = [app.clone()];
        let scope = match scope(tree, &graph.folders, &policy, names, &wanted) {
            Ok(scope) => scope,
            // A stage or app that is gone stands to nothing.
            Err(ScopeError::UnknownStage { .. } | ScopeError::UnknownApp { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let apps = prepare(&site, &scope, &Wishes::default())?;
        let from = scope.from.name;
        states.push(state([from, stage, app], apps.first(), &record));
    }
    Ok(states)
}

/// The names that a record was made with: folders, and where each app has a folder for each stage (`apps/shop/prod`) the
/// last parts of them.
fn stage_names(record: &Record) -> [String; 2] {
    let folders = [&record.from, &record.to];
    let is_per_app = folders.iter().all(|folder| folder.split('/').count() == 3);
    folders.map(
        |folder| match folder.rsplit_once('/').filter(|_| is_per_app) {
            Some((_, stage)) => stage.to_owned(),
            None => folder.clone(),
        },
    )
}

fn records(head: &Point) -> Result<Vec<(String, String, Record)>, PlanError> {
    let tree = &head.tree;
    let mut found = Vec::new();
    if tree.kind(FOLDER)? != Some(EntryKind::Folder) {
        return Ok(found);
    }
    for stage in tree.list(FOLDER)? {
        let folder = format!("{FOLDER}/{}", stage.name);
        if stage.kind != EntryKind::Folder {
            continue;
        }
        for entry in tree.list(&folder)? {
            let Some(app) = entry.name.strip_suffix(".json") else {
                continue;
            };
            let read = record::read(tree, &record::path(&stage.name, app));
            if let Some(record) = read.map_err(PrepareError::from)? {
                found.push((stage.name.clone(), app.to_owned(), record));
            }
        }
    }
    Ok(found)
}

fn state([from, to, app]: [String; 3], change: Option<&AppChange>, record: &Record) -> State {
    let files = change.into_iter().flat_map(|change| &change.files);
    let findings: Vec<What> = files
        .flat_map(|file| &file.outcome.findings)
        .map(|finding| finding.what)
        .collect();
    let count = |wanted: &[What]| findings.iter().filter(|what| wanted.contains(what)).count();
    State {
        from,
        to,
        app,
        behind: count(&[What::Taken]),
        own: count(&[What::Kept, What::StaysDeleted]),
        conflicts: count(&[What::Conflict, What::Unmet]),
        pinned: count(&[What::Pinned]),
        held: record.hold.as_ref().map(|hold| hold.refused.clone()),
    }
}

impl State {
    /// In words.
    pub fn words(&self) -> String {
        let places = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let held = self.held.as_ref().map(|refused| {
            let short: String = refused.chars().take(12).collect();
            format!("held: {short} is refused")
        });
        let parts = [
            places(self.behind, "place behind", "places behind"),
            places(self.conflicts, "place diverged", "places diverged"),
            places(self.own, "edit of its own", "edits of its own"),
            places(self.pinned, "place pinned", "places pinned"),
            held,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => "the same".to_owned(),
            false => parts.join(", "),
        }
    }
}
