//! A promotion as one value: what is written, what it does, and why it may not be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use overlay::{Tree, TreeError};

use super::auto::{Heard, hear};
use super::effect::{Effect, effect, folders, reached};
use super::file::Fate;
use super::health::{self, Gate, Reported};
use super::leak::leaks;
use super::overlaid::Changes;
use super::policy::{self, Policy, PolicyError};
use super::prepare::{AppChange, PrepareError, Site, Wishes, changes, prepare};
use super::record::Override;
use super::refusal::{self, Refusal};
use super::scope::{Scope, ScopeError, scope};
use super::signed::unsigned;
use super::told_source;
use crate::environments::{Graph, Settings, graph};
use crate::source::SourceError;
use crate::source::history::{History, Point};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// From here.
    pub from: String,
    /// To there.
    pub to: String,
    /// The apps; all when none is named.
    pub apps: Vec<String>,
    /// What people decided.
    pub wishes: Wishes,
    /// Refusals that are overridden.
    pub overrides: Vec<Override>,
    /// What environments have published, by their names; nothing where others have looked at that.
    pub heard: BTreeMap<String, Heard>,
    /// What the cluster of the source says, where it is asked.
    pub reported: Option<Vec<Reported>>,
}

/// A promotion that is not written yet.
pub struct Promotion {
    /// The commit that it is made upon.
    pub head: Point,
    /// From where to where.
    pub scope: Scope,
    /// What becomes of each app.
    pub apps: Vec<AppChange>,
    /// The files that are written.
    pub changes: Changes,
    /// Those of them that are new and may be run.
    pub executables: BTreeSet<String>,
    /// What that does to environments; nothing when nothing is written.
    pub effect: Option<Effect>,
    /// Why it is not written.
    pub refusals: Vec<Refusal>,
    /// What nobody has signed who may, where `weir.yaml` asks for that: controllers do not promote it.
    pub unsigned: Vec<String>,
}

/// Why a promotion cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// `weir.yaml` cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The names stand for nothing that can be promoted.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The files cannot be merged.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

impl PlanError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Scope(error) => error.hint(),
            Self::Prepare(PrepareError::Base(error)) => error.hint(),
            Self::Prepare(PrepareError::Reference { missing, .. }) => {
                Some(format!("create {missing} in the target first"))
            }
            _ => None,
        }
    }
}

/// Plans a promotion upon a revision.
pub fn plan(
    history: &History,
    revision: &str,
    request: &Request,
    settings: &Settings,
    now: Timestamp,
) -> Result<Promotion, PlanError> {
    let head = history.point(revision)?;
    let policy = policy::read(&head.tree)?;
    let before = graph(&head.tree, settings)?;
    let request = Request {
        heard: hear(history, &policy, now),
        ..request.clone()
    };
    plan_upon(
        (history, &head),
        (&policy, &before),
        &request,
        settings,
        now,
    )
}

/// Plans a promotion upon a commit whose `weir.yaml` and environments are known.
pub fn plan_upon(
    (history, head): (&History, &Point),
    (policy, before): (&Policy, &Graph),
    request: &Request,
    settings: &Settings,
    now: Timestamp,
) -> Result<Promotion, PlanError> {
    let names = [request.from.as_str(), request.to.as_str()];
    let scope = scope(&head.tree, &before.folders, policy, names, &request.apps)?;
    let site = Site {
        history,
        head,
        graph: before,
        policy,
    };
    let mut apps = prepare(&site, &scope, &request.wishes)?;
    for app in &mut apps {
        app.record.overrides = request.overrides.clone();
    }
    let changes = changes(&apps);
    let mut refusals = refusal::open(&apps);
    let effect = match changes.is_empty() {
        true => None,
        false => Some(effect(&head.tree, before, &changes, settings)?),
    };
    if let Some(effect) = &effect {
        refusals.extend(of_effect(head, before, &scope, effect)?);
        refusals.extend(of_time(policy, &scope, now));
        let targets = reached(before, &folders(&scope, false));
        refusals.extend(refusal::drifted(&request.heard, &targets));
        refusals.extend(of_source(&site, &scope, &apps, request, now)?);
    }
    let unsigned = match changes.is_empty() {
        true => Vec::new(),
        false => unsigned(&site, &scope)?,
    };
    Ok(Promotion {
        executables: executables(head, &apps),
        unsigned,
        refusals: refusal::standing(refusals, &request.overrides),
        head: head.clone(),
        scope,
        apps,
        changes,
        effect,
    })
}

/// New files that may be run in the source.
fn executables(head: &Point, apps: &[AppChange]) -> BTreeSet<String> {
    let files = apps.iter().flat_map(|app| &app.files);
    let written = files.filter(|file| matches!(file.outcome.fate, Fate::Written(_)));
    let new = written.filter(|file| matches!(head.tree.kind(&file.target), Ok(None)));
    new.filter(|file| head.tree.is_executable(&file.source))
        .map(|file| file.target.clone())
        .collect()
}

fn of_effect(
    head: &Point,
    before: &Graph,
    scope: &Scope,
    effect: &Effect,
) -> Result<Vec<Refusal>, TreeError> {
    // What does not build says nothing of what it would hold.
    if let Some(broken) = refusal::broken(&effect.comparison) {
        return Ok(vec![broken]);
    }
    let sources = reached(&effect.after, &folders(scope, true));
    let mut targets = reached(&effect.after, &folders(scope, false));
    targets.retain(|name| !sources.contains(name));
    let graphs = [before, &effect.after];
    let leaks = leaks(&head.tree, graphs, &sources, &targets)?;
    let found = [
        refusal::outside(&effect.comparison, &targets),
        refusal::leak(&leaks),
    ];
    Ok(found.into_iter().flatten().collect())
}

fn of_source(
    site: &Site<'_>,
    scope: &Scope,
    apps: &[AppChange],
    request: &Request,
    now: Timestamp,
) -> Result<Vec<Refusal>, PlanError> {
    // A cluster that is asked knows more than what was published of it.
    let Some(reported) = &request.reported else {
        return told_source::refusals(site, scope, apps, (&request.heard, now));
    };
    let folders = folders(scope, true);
    let gate = Gate {
        reported,
        soak: site.policy.soak(),
        now,
    };
    let sources = reached(site.graph, &folders);
    Ok(health::refusals(site, &folders, &sources, &gate)?)
}

fn of_time(policy: &Policy, scope: &Scope, now: Timestamp) -> Option<Refusal> {
    let freeze = policy.freeze(&scope.to.name, now)?;
    Some(Refusal {
        name: refusal::FREEZE,
        message: format!(
            "{} is frozen until {}: {}",
            scope.to.name, freeze.to, freeze.name
        ),
        hint: None,
    })
}
