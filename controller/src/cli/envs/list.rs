//! One line an environment.

use serde_json::{Value, json};

use crate::cli::table;
use crate::environments::{Environment, Facts, Graph, Kind, facts};

/// An environment and what is said of it.
pub(super) struct Row<'a> {
    environment: &'a Environment,
    facts: Facts,
}

pub(super) fn rows(graph: &Graph) -> Vec<Row<'_>> {
    let row = |environment| Row {
        environment,
        facts: facts(environment, &graph.folders),
    };
    graph.environments.iter().map(row).collect()
}

const HEADER: [&str; 8] = [
    "ENVIRONMENT",
    "STAGE",
    "CLUSTER",
    "BUILDS",
    "OBJECTS",
    "BASES",
    "COMPONENTS",
    "ENCRYPTED",
];

/// The table for people, and below it why what does not build does not.
pub(super) fn table(rows: &[Row<'_>]) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut text = table::render(&HEADER, &cells);
    for row in rows {
        for (leaf, problem) in &row.facts.failures {
            let name = &row.environment.name;
            text.push_str(&format!("\n{name}, {leaf} does not build:\n  {problem}\n"));
        }
    }
    text
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let Row { environment, facts } = row;
    let dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let cluster = match environment.kind {
        Kind::Cluster => environment.path.clone(),
        Kind::Folder => String::new(),
        Kind::Unreached => "(unreached)".to_owned(),
    };
    let builds = match (facts.failures.len(), facts.external.len()) {
        (0, 0) => "yes".to_owned(),
        (0, external) => format!("yes, {external} external"),
        (failed, _) => format!("{failed} of {} do not", facts.kustomizations),
    };
    vec![
        environment.name.clone(),
        dash(facts.stages.join(", ")),
        dash(cluster),
        builds,
        facts.objects.to_string(),
        dash(chain(&facts.bases)),
        facts.components.len().to_string(),
        facts.encrypted.len().to_string(),
    ]
}

/// The folders that the environment extends, without those that lie in one another.
fn chain(bases: &[String]) -> String {
    let is_inside = |base: &&String| {
        let inside = |above: &String| {
            base.strip_prefix(above.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        bases.iter().any(inside)
    };
    let outer: Vec<&str> = bases
        .iter()
        .filter(|base| !is_inside(base))
        .map(String::as_str)
        .collect();
    outer.join(" → ")
}

impl Row<'_> {
    /// The same for programs.
    pub(super) fn value(&self) -> Value {
        let Row { environment, facts } = self;
        let kind = match environment.kind {
            Kind::Cluster => "cluster",
            Kind::Folder => "folder",
            Kind::Unreached => "unreached",
        };
        let pairs = |pairs: &[(String, String)], what: &str| -> Vec<Value> {
            let pair = |(name, text): &(String, String)| json!({"kustomization": name, what: text});
            pairs.iter().map(pair).collect()
        };
        json!({
            "name": environment.name,
            "kind": kind,
            "path": environment.path,
            "stages": facts.stages,
            "bases": facts.bases,
            "components": facts.components,
            "encryptedFiles": facts.encrypted,
            "kustomizations": facts.kustomizations,
            "objects": facts.objects,
            "builds": facts.failures.is_empty(),
            "external": pairs(&facts.external, "repository"),
            "failures": pairs(&facts.failures, "message"),
        })
    }
}
