//! What the repository says at its newest commit, which is read once a commit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use overlay::path::is_within;

use crate::environments::{Environment, Folders, Settings, facts, graph};
use crate::promotion::auto::Pending;
use crate::promotion::auto::pending::{Site, pending};
use crate::promotion::policy::{self, Policy};
use crate::promotion::scope::{stage, stage_and_apps};
use crate::source::history::{History, Point};
use crate::source::mirror::BRANCH;

/// What the repository says at its newest commit.
pub(super) struct Repository {
    /// The commit.
    pub(super) head: Point,
    /// Its `weir.yaml`.
    pub(super) policy: Policy,
    /// This environment in it; else the names of those that there are. All of them would be large to keep.
    pub(super) own: Result<Environment, Vec<String>>,
    /// The folders of the stages that it is made of, and those of the apps in them.
    stages: Vec<String>,
    /// What would be promoted.
    pub(super) pending: Vec<Pending>,
    /// Stages with waves that name this environment.
    pub(super) waves: BTreeMap<String, Waved>,
}

/// A stage with waves.
pub(super) struct Waved {
    /// Its folder.
    pub(super) folder: String,
    /// This environment is in its first wave, from which nothing is held back.
    pub(super) is_first: bool,
    /// How long its wave must have been healthy before the next one begins.
    soak: Duration,
}

impl Repository {
    /// Something may be held back from this environment.
    pub(super) fn holds_back(&self) -> bool {
        self.waves.values().any(|waved| !waved.is_first)
    }

    /// The folders of which this environment tells what it runs, if it does: those of its own stages, and what edges and
    /// waves name.
    pub(super) fn told(&self) -> BTreeSet<&String> {
        let pending = self.pending.iter();
        pending
            .flat_map(|pending| [Some(&pending.source.0), pending.target.as_ref()])
            .flatten()
            .chain(self.waves.values().map(|waved| &waved.folder))
            .chain(&self.stages)
            .collect()
    }

    /// How long this environment must have run a folder well before that proves anything: the longest soak that edges
    /// and waves ask of it there.
    pub(super) fn soak(&self, environment: &str, folder: &str) -> Duration {
        let of_edges = self.pending.iter().filter(|pending| {
            pending.source.0 == folder && pending.environments.contains(environment)
        });
        let waves = self.waves.values();
        let of_waves = waves.filter(|waved| is_within(folder, &waved.folder));
        let edges = of_edges.map(|pending| pending.soak);
        edges
            .chain(of_waves.map(|waved| waved.soak))
            .max()
            .unwrap_or_default()
    }
}

/// Reads it; what was read of the same commit counts on.
pub(super) fn read(
    history: &History,
    known: Option<Repository>,
    environment: &str,
) -> Result<Repository, String> {
    let head = history.point(BRANCH).map_err(text)?;
    if let Some(known) = known.filter(|known| known.head.commit.id == head.commit.id) {
        return Ok(known);
    }
    let policy = policy::read(&head.tree).map_err(text)?;
    let settings = Settings::default();
    let graph = graph(&head.tree, &settings).map_err(text)?;
    let site = Site {
        history,
        head: &head,
        graph: &graph,
        policy: &policy,
        settings: &settings,
        driver: Some(environment),
    };
    let pending = pending(&site);
    let waves = waves(&head, &policy, environment)?;
    let folders = graph.folders;
    let own = own(graph.environments, environment);
    let stages = own.as_ref().map(|own| stages(&head, own, &folders));
    let stages = stages.unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(Repository {
        head,
        policy,
        own,
        stages,
        pending,
        waves,
    })
}

/// The folders of the stages that an environment is made of, and those of the apps in them.
fn stages(head: &Point, own: &Environment, folders: &Folders) -> Result<Vec<String>, String> {
    let stages = facts(own, folders).stages;
    let found = stages.iter().map(|stage| stage_and_apps(&head.tree, stage));
    let found: Result<Vec<Vec<String>>, _> = found.collect();
    Ok(found.map_err(text)?.concat())
}

fn own(environments: Vec<Environment>, name: &str) -> Result<Environment, Vec<String>> {
    let names = environments.iter().map(|it| it.name.clone()).collect();
    let mut own = environments.into_iter().filter(|it| it.name == name);
    own.next().ok_or(names)
}

/// The stages whose waves name an environment.
fn waves(
    head: &Point,
    policy: &Policy,
    environment: &str,
) -> Result<BTreeMap<String, Waved>, String> {
    let mut folders = BTreeMap::new();
    for (name, rules) in &policy.stages {
        let own = rules.waves.iter().position(|wave| {
            let members = policy.routes().members(&wave.environments);
            members.contains(environment)
        });
        let Some(own) = own else {
            continue;
        };
        let stage = stage(&head.tree, name).map_err(text)?;
        if stage.is_per_app {
            return Err(format!(
                "waves need a folder of the stage, and {name} has none"
            ));
        }
        let waved = Waved {
            folder: stage.folder,
            is_first: own == 0,
            soak: rules.waves[own].soak.unwrap_or_default(),
        };
        folders.insert(name.clone(), waved);
    }
    Ok(folders)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
