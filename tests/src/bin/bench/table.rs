//! The figures beside their goals: for people as a table, for machines as JSON.

use std::path::PathBuf;

use serde::Serialize;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What Flux 2.9 took on two such cores, measured once and written down here.
    pub(crate) peer: &'static str,
    /// What one client that only applies took, in this run.
    pub(crate) floor: Option<f64>,
    /// What Weir took.
    pub(crate) seen: f64,
    /// What it should take at most.
    pub(crate) goal: f64,
    /// Of all figures of this line.
    pub(crate) unit: &'static str,
    /// More to know, for example requests by verb.
    pub(crate) detail: String,
}

impl Row {
    /// Whether the goal is reached.
    pub(crate) fn met(&self) -> bool {
        self.seen <= self.goal
    }
}

/// The table as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text =
        String::from("| what | Flux | floor | goal | Weir | | |\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let floor = row
            .floor
            .map_or("–".to_owned(), |floor| figure(floor, row.unit));
        let verdict = if row.met() { "met" } else { "**missed**" };
        text += &format!(
            "| {} | {} | {floor} | ≤ {} | {} | {verdict} | {} |\n",
            row.what,
            row.peer,
            figure(row.goal, row.unit),
            figure(row.seen, row.unit),
            row.detail,
        );
    }
    text
}

/// Writes the rows beside what was built.
pub(crate) fn keep(rows: &[Row]) {
    let executable = std::env::current_exe().expect("find the executable");
    let path = executable.with_file_name("bench.json");
    let text = serde_json::to_string_pretty(rows).expect("figures are JSON");
    std::fs::write(&path, text).expect("write the figures");
    let path: PathBuf = path;
    eprintln!("bench: the same for machines in {}", path.display());
}

fn figure(value: f64, unit: &str) -> String {
    let digits = match value {
        value if unit == "requests" || value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}
