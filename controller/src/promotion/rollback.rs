//! Undoing promotions: the change of each is merged in reverse, so that what else was changed in the target stays.

use std::collections::{BTreeMap, BTreeSet};

use overlay::{EntryKind, Tree, TreeError};

use super::auto::Published;
use super::base::Past;
use super::effect::{Effect, effect};
use super::file::{Fate, Versions, outcome};
use super::merge::{Finding, Rules};
use super::overlaid::Changes;
use super::record::{self, FOLDER, Hold, Record};
use super::scope::Stage;
use super::timeline::{End, Event, TimelineError, promotions};
use crate::environments::{Settings, graph};
use crate::source::SourceError;
use crate::source::history::{Before, History, Point};

/// Promotions of an app that are looked at.
const MOST: usize = 1000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The stage.
    pub stage: Stage,
    /// The apps; all that were promoted when none is named.
    pub apps: Vec<String>,
    /// How many promotions back; to the last one that ran well when it is not said.
    pub steps: Option<usize>,
    /// What environments have published.
    pub published: Vec<Published>,
    /// Who does it.
    pub who: String,
    /// Why.
    pub why: String,
    /// Only end the hold of an earlier rollback.
    pub lifts: bool,
}

/// What becomes of an app.
#[derive(Clone)]
pub struct AppRollback {
    /// The app.
    pub name: String,
    /// The promotion that is refused now; none when a hold is lifted.
    pub refused: Option<Event>,
    /// The promotion that counts again.
    pub restored: Event,
    /// Why it is this one.
    pub choice: Choice,
    /// Places that cannot be undone, as somebody changed them since, with their files.
    pub conflicts: Vec<(String, Finding)>,
}

/// Why a promotion is the one that counts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Somebody said so.
    Said,
    /// All environments that publish what they run have run it well.
    Proven,
    /// It is the one before, and no environment says how it ran.
    Unknown,
    /// It is the one before, and of none of the earlier ones all environments say that it ran well.
    Unproven,
}

/// A rollback that is not written yet.
pub struct Rollback {
    /// The commit that it is made upon.
    pub head: Point,
    /// What becomes of each app.
    pub apps: Vec<AppRollback>,
    /// The files that are written.
    pub changes: Changes,
    /// What that does to environments.
    pub effect: Effect,
}

/// Why nothing can be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The past cannot be read.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// Nothing was promoted.
    #[error("nothing was promoted into {0}")]
    NoPromotions(String),
    /// There is no promotion so far back.
    #[error("{app} has no promotion into {stage} that is {steps} before the last one")]
    TooFar {
        /// The app.
        app: String,
        /// The stage.
        stage: String,
        /// How far back.
        steps: usize,
    },
    /// The clone is cut before that promotion.
    #[error(
        "this is a shallow clone, and the earlier promotion of {0} lies before where it is cut"
    )]
    Cut(String),
    /// All that was promoted is rolled back.
    #[error("all that was promoted into {0} is rolled back and held already")]
    AllHeld(String),
    /// No rollback holds the app.
    #[error("{0} is not held")]
    NotHeld(String),
}

impl RollbackError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cut(_) => Some("`git fetch --unshallow` brings the rest".to_owned()),
            Self::TooFar { .. } => Some(
                "`weir history` shows what there is; `git revert` undoes a single commit"
                    .to_owned(),
            ),
            Self::AllHeld(_) => Some("name the app to go further back".to_owned()),
            _ => None,
        }
    }
}

/// Plans a rollback upon a revision.
pub fn plan(
    history: &History,
    revision: &str,
    request: &Request,
    settings: &Settings,
) -> Result<Rollback, RollbackError> {
    let head = history.point(revision)?;
    let mut apps = Vec::new();
    let mut changes = Changes::new();
    for app in wanted(&head, request)? {
        let path = record::path(&request.stage.name, &app);
        let (events, end) = promotions(history, &head, &path, MOST)?;
        if request.lifts {
            apps.push(lift(&path, &app, &events, &mut changes)?);
            continue;
        }
        let (current, restored, choice) = choose(&events, &app, request, end)?;
        let undone = Undone {
            history,
            head: &head,
            events: &events[..restored],
        };
        let conflicts = undone.write(&mut changes)?;
        let newest = &events[0].record;
        let (current, restored) = (&events[current], &events[restored]);
        changes.insert(
            path,
            Some(held(newest, current, restored, request).text().into_bytes()),
        );
        apps.push(AppRollback {
            name: app,
            refused: Some(current.clone()),
            restored: restored.clone(),
            choice,
            conflicts,
        });
    }
    let before = graph(&head.tree, settings)?;
    let effect = effect(&head.tree, &before, &changes, settings)?;
    Ok(Rollback {
        head,
        apps,
        changes,
        effect,
    })
}

/// The apps that are named; else all that have a record, but for those that a rollback holds already. Only they have a
/// hold that can be lifted.
fn wanted(head: &Point, request: &Request) -> Result<Vec<String>, RollbackError> {
    if !request.apps.is_empty() {
        return Ok(request.apps.clone());
    }
    let stage = &request.stage.name;
    let folder = format!("{FOLDER}/{stage}");
    if head.tree.kind(&folder)? != Some(EntryKind::Folder) {
        return Err(RollbackError::NoPromotions(stage.clone()));
    }
    let mut names = Vec::new();
    for entry in head.tree.list(&folder)? {
        let Some(app) = entry.name.strip_suffix(".json") else {
            continue;
        };
        let record = record::read(&head.tree, &record::path(stage, app));
        let is_held = record
            .map_err(TimelineError::from)?
            .is_some_and(|record| record.hold.is_some());
        if is_held == request.lifts {
            names.push(app.to_owned());
        }
    }
    match (names.is_empty(), request.lifts) {
        (false, _) => Ok(names),
        (true, true) => Err(RollbackError::NotHeld(stage.clone())),
        (true, false) => Err(RollbackError::AllHeld(stage.clone())),
    }
}

fn lift(
    path: &str,
    app: &str,
    events: &[Event],
    changes: &mut Changes,
) -> Result<AppRollback, RollbackError> {
    let held = events.first().filter(|event| event.record.hold.is_some());
    let event = held.ok_or_else(|| RollbackError::NotHeld(app.to_owned()))?;
    let record = Record {
        hold: None,
        ..event.record.clone()
    };
    changes.insert(path.to_owned(), Some(record.text().into_bytes()));
    Ok(AppRollback {
        name: app.to_owned(),
        refused: None,
        restored: event.clone(),
        choice: Choice::Said,
        conflicts: Vec::new(),
    })
}

/// Which promotion counts now, and which is to count again, as places in the list.
fn choose(
    events: &[Event],
    app: &str,
    request: &Request,
    end: End,
) -> Result<(usize, usize, Choice), RollbackError> {
    let steps = request.steps.unwrap_or(1);
    let too_far = || match end {
        End::Cut => RollbackError::Cut(app.to_owned()),
        End::Reached => RollbackError::TooFar {
            app: app.to_owned(),
            stage: request.stage.name.clone(),
            steps,
        },
    };
    let newest = events.first().ok_or_else(too_far)?;
    let is_promotion = |event: &Event| event.record.hold.is_none();
    // After a rollback the promotion that it restored counts.
    let is_current =
        |event: &Event| is_promotion(event) && event.record.commit == newest.record.commit;
    let current = events.iter().position(is_current).ok_or_else(too_far)?;
    let earlier: Vec<usize> = (current + 1..events.len())
        .filter(|index| is_promotion(&events[*index]))
        .collect();
    let before = earlier.get(steps.saturating_sub(1));
    let before = *before.ok_or_else(too_far)?;
    if request.steps.is_some() {
        return Ok((current, before, Choice::Said));
    }
    let mut is_known = false;
    for index in earlier {
        match ran_well(&events[index], app, &request.published)? {
            Some(true) => return Ok((current, index, Choice::Proven)),
            known => is_known |= known.is_some(),
        }
    }
    let choice = match is_known {
        true => Choice::Unproven,
        false => Choice::Unknown,
    };
    Ok((current, before, choice))
}

/// Whether all environments that publish what they run of an app have run a promotion of it well; none when no
/// environment publishes it.
fn ran_well(event: &Event, app: &str, published: &[Published]) -> Result<Option<bool>, TreeError> {
    let stage = &event.record.to;
    let mut all = None;
    for folder in [format!("{stage}/{app}"), stage.clone()] {
        let Some(tree) = event.point.tree.id(&folder)? else {
            continue;
        };
        let tree = tree.to_string();
        let speaks = |said: &&Published| {
            said.folders.contains_key(&folder) || said.proven.contains_key(&folder)
        };
        for said in published.iter().filter(speaks) {
            let proven = said.proven.get(&folder);
            let is_proven = proven.is_some_and(|proven| proven.contains(&tree));
            all = Some(all.unwrap_or(true) && is_proven);
        }
        if all.is_some() {
            break;
        }
    }
    Ok(all)
}

/// The record that counts again, with what is refused. What is pinned stays so.
fn held(newest: &Record, current: &Event, restored: &Event, request: &Request) -> Record {
    Record {
        pins: newest.pins.clone(),
        overrides: Vec::new(),
        hold: Some(Hold {
            refused: current.record.commit.clone(),
            who: request.who.clone(),
            why: request.why.clone(),
        }),
        ..restored.record.clone()
    }
}

/// Promotions that are undone, the newest first.
struct Undone<'a> {
    history: &'a History,
    head: &'a Point,
    events: &'a [Event],
}

impl Undone<'_> {
    /// Undoes one after another, each file in what the later ones left of it.
    fn write(&self, changes: &mut Changes) -> Result<Vec<(String, Finding)>, RollbackError> {
        let mut texts: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for event in self.events {
            let Before::Commit(before) = self.history.before(&event.point)? else {
                continue;
            };
            for path in self.paths(event, &before)? {
                let [base, source] =
                    [&event.point, before.as_ref()].map(|point| bytes(point, &path));
                let (base, source) = (base?, source?);
                if base == source {
                    continue;
                }
                let target = match texts.get(&path) {
                    Some(text) => text.clone(),
                    None => bytes(self.head, &path)?,
                };
                let (text, open) = undo(&path, base, source, target);
                conflicts.extend(open.into_iter().map(|finding| (path.clone(), finding)));
                texts.insert(path, text);
            }
        }
        for (path, text) in texts {
            if text != bytes(self.head, &path)? {
                changes.insert(path, text);
            }
        }
        Ok(conflicts)
    }

    /// The files of a promotion, and those that it deleted.
    fn paths(&self, event: &Event, before: &Point) -> Result<BTreeSet<String>, RollbackError> {
        let mut paths: BTreeSet<String> = event.record.files.keys().cloned().collect();
        let gone = super::scope::files_below(&before.tree, &event.record.to)?;
        let is_gone = |path: &String| matches!(event.point.tree.kind(path), Ok(None));
        paths.extend(gone.into_iter().filter(is_gone));
        Ok(paths)
    }
}

/// A file without the change from `source` to `base`, and what cannot be undone.
fn undo(
    path: &str,
    base: Option<Vec<u8>>,
    source: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
) -> (Option<Vec<u8>>, Vec<Finding>) {
    let past = base.map_or(Past::Absent, Past::Was);
    let versions = Versions {
        past: &past,
        source: source.as_deref(),
        target: target.as_deref(),
    };
    let outcome = outcome(path, versions, &Rules::default());
    let open = outcome
        .findings
        .into_iter()
        .filter(Finding::is_open)
        .collect();
    let text = match outcome.fate {
        Fate::Same => target,
        Fate::Written(bytes) => Some(bytes),
        Fate::Deleted => None,
    };
    (text, open)
}

fn bytes(point: &Point, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
    super::prepare::read(&point.tree, path)
}
