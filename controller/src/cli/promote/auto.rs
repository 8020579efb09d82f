//! `weir promote --auto --dry-run`: what the controllers would promote now, edge by edge, and what they wait for.

use std::collections::BTreeMap;
use std::path::Path;

use anstream::{print, println};
use jiff::Timestamp;

use super::git::Git;
use super::history;
use super::write::WriteFlags;
use crate::cli::{Exit, Failure, Outcome, table};
use crate::environments::{Settings, graph};
use crate::promotion::auto::pending::Site;
use crate::promotion::auto::{Decision, Heard, Verdict, decide, hear, pending};
use crate::promotion::policy::{self, Policy};

/// Fetches what the server has, and explains.
pub(super) fn explain(flags: &WriteFlags) -> Outcome {
    let top = history(Path::new("."))?.work_tree();
    let git = Git::at(top.as_deref().unwrap_or(Path::new(".")));
    let onto = match flags.default_branch.as_ref().or(flags.onto.as_ref()) {
        Some(onto) => onto.clone(),
        None => git.default_branch(&flags.remote)?,
    };
    let base = git.fetch(&flags.remote, &onto)?;
    git.fetch_states(&flags.remote)?;
    // Opened anew: what was fetched lies in packs that an older view does not know.
    let history = history(Path::new("."))?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let head = history.point(&base).map_err(|error| failed(&error))?;
    let policy = policy::read(&head.tree).map_err(|error| failed(&error))?;
    if policy.edges.is_empty() {
        println!("weir.yaml names no edges: nothing is promoted without being told to.");
        return Ok(Exit::Success);
    }
    let settings = Settings::default();
    let graph = graph(&head.tree, &settings).map_err(|error| failed(&error))?;
    let site = Site {
        history: &history,
        head: &head,
        graph: &graph,
        policy: &policy,
        settings: &settings,
        driver: None,
    };
    let pending = pending(&site);
    let now = Timestamp::now();
    let heard = hear(&history, &policy, now);
    let decisions = decide(&pending, &policy, &heard, now);
    print!("{}", edges(&decisions));
    println!();
    print!("{}", environments(&policy, &heard));
    let promotes = |decision: &Decision| matches!(decision.verdict, Verdict::Promotes(_));
    Ok(match decisions.iter().any(promotes) {
        true => Exit::Changes,
        false => Exit::Success,
    })
}

fn edges(decisions: &[Decision]) -> String {
    let row = |decision: &Decision| {
        vec![
            format!("{} → {}", decision.from, decision.to),
            decision.app.clone(),
            decision.driver.clone(),
            decision.verdict.sentence(),
        ]
    };
    let rows: Vec<Vec<String>> = decisions.iter().map(row).collect();
    table::render(&["EDGE", "APP", "BY", "WHAT"], &rows)
}

fn environments(policy: &Policy, heard: &BTreeMap<String, Heard>) -> String {
    let row = |name: &String| match heard.get(name) {
        Some(Heard::Said(said)) => vec![
            name.clone(),
            said.at.to_string(),
            said.folders
                .values()
                .filter(|running| running.healthy_since.is_none())
                .count()
                .to_string(),
            said.decisions
                .first()
                .map(|told| format!("{}: {}", told.about, told.sentence))
                .unwrap_or_default(),
        ],
        Some(Heard::Nothing(problem)) => {
            let unknown = || "-".to_owned();
            vec![name.clone(), unknown(), unknown(), problem.clone()]
        }
        None => Vec::new(),
    };
    let rows: Vec<Vec<String>> = policy.environments.keys().map(row).collect();
    table::render(&["ENVIRONMENT", "HEARD", "UNHEALTHY", "LAST"], &rows)
}
