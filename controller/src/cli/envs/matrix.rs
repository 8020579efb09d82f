//! Apps and their versions, one column an environment.

use std::collections::{BTreeMap, BTreeSet};

use overlay::unknown::Marker;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::environments::{Environment, Graph, facts, versions};

/// Which version of which app is where.
pub(super) struct Matrix {
    /// The environments, in the order of the columns.
    environments: Vec<String>,
    /// App → environment → versions.
    apps: BTreeMap<String, BTreeMap<String, String>>,
    /// The environment that the others are held against.
    against: Option<String>,
}

/// Gathers the versions.
pub(super) fn matrix(
    graph: &Graph,
    marker: &Marker,
    against: Option<&str>,
) -> Result<Matrix, Failure> {
    let against = against.map(|wanted| find(graph, wanted)).transpose()?;
    let mut apps: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for environment in &graph.environments {
        for (app, versions) in versions(environment, marker) {
            let cells = apps.entry(app).or_default();
            cells.insert(environment.name.clone(), versions);
        }
    }
    let has_apps = |name: &&String| apps.values().any(|cells| cells.contains_key(*name));
    let names = graph.environments.iter().map(|it| &it.name);
    Ok(Matrix {
        environments: names.filter(has_apps).cloned().collect(),
        apps,
        against: against.map(|environment| environment.name.clone()),
    })
}

/// The environment of a name, else the first of a stage.
fn find<'a>(graph: &'a Graph, wanted: &str) -> Result<&'a Environment, Failure> {
    let environments = || graph.environments.iter();
    let in_stage = |environment: &&Environment| {
        let stages = facts(environment, &graph.folders).stages;
        stages.iter().any(|stage| stage == wanted)
    };
    let found = environments().find(|environment| environment.name == wanted);
    found
        .or_else(|| environments().find(in_stage))
        .ok_or_else(|| {
            let names: Vec<&str> = environments().map(|it| it.name.as_str()).collect();
            let message = format!("there is no environment and no stage `{wanted}`");
            match overlay::suggest::nearest(wanted, &names) {
                Some(near) => Failure::with_hint(message, format!("did you mean `{near}`?")),
                None => Failure::with_hint(message, format!("there are {}", names.join(", "))),
            }
        })
}

impl Matrix {
    /// Whether a cell holds the same as the one that it is held against.
    fn is_same(&self, cells: &BTreeMap<String, String>, environment: &str) -> Option<bool> {
        let against = self.against.as_ref()?;
        (against != environment).then(|| cells.get(against) == cells.get(environment))
    }

    /// Header and rows for people.
    pub(super) fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut header = vec!["APP".to_owned()];
        header.extend(self.environments.iter().map(|name| name.to_uppercase()));
        let row = |(app, cells): (&String, &BTreeMap<String, String>)| {
            let mut row = vec![app.clone()];
            row.extend(self.environments.iter().map(|environment| {
                let text = cells.get(environment).map_or("-", String::as_str);
                match self.is_same(cells, environment) {
                    None => text.to_owned(),
                    Some(true) => format!("{text} ="),
                    Some(false) => format!("{text} ≠"),
                }
            }));
            row
        };
        (header, self.apps.iter().map(row).collect())
    }

    /// The same for programs, one value an app.
    pub(super) fn values(&self) -> Vec<Value> {
        let value = |(app, cells): (&String, &BTreeMap<String, String>)| {
            let names: BTreeSet<&String> = self.environments.iter().collect();
            let cell = |name: &&String| {
                let versions = cells.get(*name);
                let same = self.is_same(cells, name);
                ((*name).clone(), json!({"versions": versions, "same": same}))
            };
            let cells: serde_json::Map<String, Value> = names.iter().map(cell).collect();
            json!({"app": app, "against": self.against, "environments": cells})
        };
        self.apps.iter().map(value).collect()
    }
}
