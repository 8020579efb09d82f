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
use super::{signed, told_source};
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
    /// The default branch, where what is planned upon does not stand on it.
    pub trunk: Option<String>,
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
            Self::Prepare(PrepareError::Literals { file, generator }) => Some(format!(
                "write `{generator}` with the target's own literals into {file} first, or give it a file of each stage"
            )),
            Self::Prepare(PrepareError::InPlace { generator, .. }) => Some(format!(
                "write `{generator}` into a file of its own in each stage, and name that file in the list"
            )),
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
    let Beside { policy, trunk } = beside(history, &head, request.trunk.as_deref())?;
    let graph = graph(&head.tree, settings)?;
    let request = Request {
        heard: hear(history, &policy, now),
        ..request.clone()
    };
    let site = Site {
        history,
        head: &head,
        trunk: &trunk,
        graph: &graph,
        policy: &policy,
    };
    plan_upon(&site, &request, settings, now)
}

/// What the default branch says of a commit.
pub(super) struct Beside {
    /// Its `weir.yaml`.
    pub(super) policy: Policy,
    /// Its newest commit in the past of the one at hand.
    pub(super) trunk: Point,
}

/// Looks at the default branch beside a commit, which stands on it where no revision is named.
pub(super) fn beside(
    history: &History,
    head: &Point,
    trunk: Option<&str>,
) -> Result<Beside, PlanError> {
    let Some(trunk) = trunk else {
        return Ok(Beside {
            policy: policy::read(&head.tree)?,
            trunk: head.clone(),
        });
    };
    let tip = history.point(trunk)?;
    let common = history.common(head, &tip)?;
    Ok(Beside {
        policy: policy::read(&tip.tree)?,
        // Branches that share nothing have their own past only.
        trunk: common.unwrap_or_else(|| head.clone()),
    })
}

/// Plans a promotion upon a commit whose `weir.yaml` and environments are known.
pub fn plan_upon(
    site: &Site<'_>,
    request: &Request,
    settings: &Settings,
    now: Timestamp,
) -> Result<Promotion, PlanError> {
    let names = [request.from.as_str(), request.to.as_str()];
    let (tree, folders) = (&site.head.tree, &site.graph.folders);
    let scope = scope(tree, folders, site.policy, names, &request.apps)?;
    let mut apps = prepare(site, &scope, &request.wishes)?;
    let written = changes(&apps);
    let effect = match written.is_empty() {
        true => None,
        false => Some(effect(tree, site.graph, &written, settings)?),
    };
    let mut refusals = refusal::open(&apps);
    let mut unsigned = Vec::new();
    if let Some(effect) = &effect {
        refusals.extend(against(site, (&scope, &apps), effect, request, now)?);
        unsigned = signed::unsigned(site, &scope)?;
    }
    let (refusals, overridden) = refusal::standing(refusals, &request.overrides);
    for app in &mut apps {
        app.record.overrides.clone_from(&overridden);
    }
    Ok(Promotion {
        executables: executables(site.head, &apps),
        changes: changes(&apps),
        head: site.head.clone(),
        unsigned,
        refusals,
        scope,
        apps,
        effect,
    })
}

/// What stands against a promotion that would write something.
fn against(
    site: &Site<'_>,
    (scope, apps): (&Scope, &[AppChange]),
    effect: &Effect,
    request: &Request,
    now: Timestamp,
) -> Result<Vec<Refusal>, PlanError> {
    let mut refusals = of_effect(site.head, site.graph, scope, effect)?;
    refusals.extend(of_time(site.policy, scope, now));
    let targets = reached(site.graph, &folders(scope, false));
    refusals.extend(refusal::drifted(&request.heard, &targets));
    refusals.extend(of_source(site, scope, apps, request, now)?);
    Ok(refusals)
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
