//! How the apps of each stage stand to the stage that they were promoted from, below the matrix.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::promote::trunk::Server;
use crate::cli::{Failure, table};
use crate::environments::Graph;
use crate::promotion::state::{State, states};
use crate::source::history::History;

/// The states at a revision; none outside a repository, and none where nothing was ever promoted.
pub(super) fn at(revision: &str, graph: &Graph) -> Result<Vec<State>, Failure> {
    let Ok(history) = History::discover(Path::new(".")) else {
        return Ok(Vec::new());
    };
    let Ok(head) = history.point(revision) else {
        return Ok(Vec::new());
    };
    let server = Server {
        remote: "origin",
        default_branch: None,
    };
    let trunk = server.beside_head(&history)?;
    states(&history, &head, trunk.revision(), graph).map_err(|error| match error.hint() {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    })
}

/// A table for people, below another; nothing for no states.
pub(super) fn text(states: &[State]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let row = |state: &State| {
        let edge = format!("{} → {}", state.from, state.to);
        vec![edge, state.app.clone(), state.words()]
    };
    let rows: Vec<Vec<String>> = states.iter().map(row).collect();
    format!("\n{}", table::render(&["PROMOTION", "APP", "STATE"], &rows))
}

/// The same for programs.
pub(super) fn values(states: &[State]) -> Vec<Value> {
    let value = |state: &State| {
        json!({
            "promotion": {"from": state.from, "to": state.to},
            "app": state.app,
            "behind": state.behind,
            "diverged": state.conflicts,
            "own": state.own,
            "pinned": state.pinned,
            "held": state.held,
        })
    };
    states.iter().map(value).collect()
}
