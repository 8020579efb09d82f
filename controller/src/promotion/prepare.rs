//! A promotion before anything is written: every file merged, every record made.

use std::collections::BTreeMap;

use overlay::{ObjectHash, Tree, TreeError};

use super::base::{self, BaseError, Past, Recorded, Wanted};
use super::entry::entry;
use super::file::{Fate, Outcome, Versions, outcome};
use super::files::Stays;
use super::merge::{Choice, Rules, Side, covers};
use super::overlaid::Changes;
use super::policy::Policy;
use super::record::{self, Blobs, Pin, Record, RecordError};
use super::references::check_references;
use super::renames::follow_renames;
use super::scope::{App, Scope};
use crate::environments::Graph;
use crate::source::history::{History, Point};

/// A side that was chosen for a file or a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The side.
    pub side: Side,
    /// The file, by its path or the end of it; all when none is named.
    pub file: Option<String>,
    /// The place in it; empty for the whole file.
    pub path: String,
}

/// What people said beforehand.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Sides where nothing is known of the past (`--adopt`).
    pub adopted: Vec<Settlement>,
    /// Sides where both changed (`--take`).
    pub taken: Vec<Settlement>,
    /// Places that the target keeps from now on.
    pub pins: Vec<Pin>,
}

/// What becomes of one file.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// In the source.
    pub source: String,
    /// In the target.
    pub target: String,
    /// What becomes of it, and why.
    pub outcome: Outcome,
    /// The rules that it was merged by.
    pub rules: Rules,
    /// Its past.
    pub past: Past,
}

/// What becomes of an app.
#[derive(Clone, Debug)]
pub struct AppChange {
    /// The app.
    pub name: String,
    /// Its files that travel.
    pub files: Vec<FileChange>,
    /// Its files that never do, and why.
    pub stay: Staying,
    /// Where its record lies.
    pub record_path: String,
    /// The record that is written.
    pub record: Record,
    /// The record differs from the one that is there in more than the version that it names.
    pub is_noted: bool,
}

/// Why a promotion cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The base cannot be told.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file names one that never travels, and that the target has not got.
    #[error("{file} names {missing}, which never travels ({why}) and which the target has not got")]
    Reference {
        /// The file that names it.
        file: String,
        /// The file that it names.
        missing: String,
        /// Why it never travels.
        why: &'static str,
    },
    /// A generator of a Secret is written as a text into the list of generators.
    #[error(
        "{file} would get the SecretGenerator `{generator}` as a text in its list of generators, and what makes Secrets never travels"
    )]
    InPlace {
        /// The file, in the target.
        file: String,
        /// The generator.
        generator: String,
    },
    /// A generator of a Secret is given in place what it is made of, and the target's is given nothing.
    #[error(
        "{file} has the secretGenerator `{generator}` with literals, which never travel, and the target has none of its own"
    )]
    Literals {
        /// The file, in the target.
        file: String,
        /// The generator.
        generator: String,
    },
}

/// What a promotion is made from.
pub struct Site<'a> {
    /// The repository.
    pub history: &'a History,
    /// The commit that is promoted from and written upon.
    pub head: &'a Point,
    /// The newest commit of the default branch in its past.
    pub trunk: &'a Point,
    /// Its environments.
    pub graph: &'a Graph,
    /// The `weir.yaml` of the default branch.
    pub policy: &'a Policy,
}

/// Merges the files of all apps.
pub fn prepare(
    site: &Site<'_>,
    scope: &Scope,
    wishes: &Wishes,
) -> Result<Vec<AppChange>, PrepareError> {
    let stays = Stays::new(site.policy, site.graph, &site.head.tree, scope)?;
    let mut changes = Vec::new();
    for app in &scope.apps {
        let change = prepare_app(site, scope, app, wishes, &stays)?;
        let untouched =
            |file: &FileChange| file.outcome.fate == Fate::Same && file.outcome.findings.is_empty();
        if change.is_noted || !change.files.iter().all(untouched) || !change.stay.is_empty() {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// All files that are written, records included.
pub fn changes(apps: &[AppChange]) -> Changes {
    let mut changes = Changes::new();
    for app in apps {
        for file in &app.files {
            match &file.outcome.fate {
                Fate::Same => {}
                Fate::Written(bytes) => {
                    drop(changes.insert(file.target.clone(), Some(bytes.clone())))
                }
                Fate::Deleted => drop(changes.insert(file.target.clone(), None)),
            }
        }
        if app.is_noted {
            changes.insert(
                app.record_path.clone(),
                Some(app.record.text().into_bytes()),
            );
        }
    }
    changes
}

fn prepare_app(
    site: &Site<'_>,
    scope: &Scope,
    app: &App,
    wishes: &Wishes,
    stays: &Stays<'_>,
) -> Result<AppChange, PrepareError> {
    let tree = &site.head.tree;
    let record_path = record::path(&scope.to.name, &app.name);
    let recorded = record::read(tree, &record_path)?;
    let pins = pins(recorded.as_ref(), wishes, app);
    let (travelling, stay) = split(tree, app, stays)?;
    let (from, to) = folders(scope, app);
    let wanted: Vec<Wanted> = travelling
        .iter()
        .map(|(target, source)| {
            let mut rules = site.policy.rules(target, &stays.home);
            rules.never.extend(stays.closed_places(target));
            Wanted {
                source: source.clone(),
                target: target.clone(),
                rules,
            }
        })
        .collect();
    let about = Recorded {
        path: &record_path,
        record: recorded.as_ref(),
    };
    let pasts = base::bases(site.history, [site.head, site.trunk], &wanted, about)?;
    let mut files = Vec::new();
    for file in wanted {
        let past = pasts.get(&file.target).cloned().unwrap_or(Past::Unknown);
        files.push(merge_file(tree, file, past, wishes, &pins)?);
    }
    follow_renames(tree, &mut files)?;
    let record = note(site, [&from, &to], &files, pins);
    let entry = entry(tree, scope, app, &files)?;
    files.extend(entry);
    let is_noted = is_noted(recorded.as_ref(), &record, &files, wishes);
    check_references(tree, &files, &stay)?;
    Ok(AppChange {
        name: app.name.clone(),
        files,
        stay,
        record_path,
        record,
        is_noted,
    })
}

/// The folders of an app in the source and in the target.
fn folders(scope: &Scope, app: &App) -> (String, String) {
    match &app.folders {
        Some([from, to]) if scope.from.is_per_app => (from.clone(), to.clone()),
        _ => (scope.from.folder.clone(), scope.to.folder.clone()),
    }
}

/// Pins of the record and new ones, without those that a `--take source` ends.
fn pins(recorded: Option<&Record>, wishes: &Wishes, app: &App) -> Vec<Pin> {
    let old = recorded
        .map(|record| record.pins.clone())
        .unwrap_or_default();
    let mut pins: Vec<Pin> = old;
    for wish in &wishes.pins {
        let files = app.files.keys().filter(|path| is_meant(&wish.file, path));
        for file in files {
            pins.retain(|pin| (&pin.file, &pin.path) != (file, &wish.path));
            pins.push(Pin {
                file: file.clone(),
                ..wish.clone()
            });
        }
    }
    let ends = |pin: &Pin| {
        wishes.taken.iter().any(|taken| {
            let file = taken.file.as_deref();
            taken.side == Side::Source
                && file.is_some_and(|file| is_meant(file, &pin.file))
                && covers(&taken.path, &pin.path)
        })
    };
    pins.retain(|pin| !ends(pin));
    pins
}

/// A file is named by its path, or by the end of it.
fn is_meant(file: &str, path: &str) -> bool {
    path.strip_suffix(file)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Files by their paths in the target, with their paths in the source.
type Pairs = BTreeMap<String, String>;

/// Files that never travel, by their paths in the target, and why.
pub type Staying = Vec<(String, &'static str)>;

/// The files that travel, and those that never do.
fn split(tree: &dyn Tree, app: &App, stays: &Stays<'_>) -> Result<(Pairs, Staying), TreeError> {
    let (mut travelling, mut stay) = (Pairs::new(), Vec::new());
    for (target, source) in &app.files {
        let why = match stays.why(tree, source)? {
            Some(why) => Some(why),
            None => stays.why(tree, target)?,
        };
        match why {
            Some(why) => stay.push((target.clone(), why)),
            None => drop(travelling.insert(target.clone(), source.clone())),
        }
    }
    Ok((travelling, stay))
}

fn merge_file(
    tree: &dyn Tree,
    file: Wanted,
    past: Past,
    wishes: &Wishes,
    pins: &[Pin],
) -> Result<FileChange, TreeError> {
    let [source, target] = [&file.source, &file.target].map(|path| read(tree, path));
    let (source, target) = (source?, target?);
    let mut rules = file.rules;
    rules.pins = pins
        .iter()
        .filter(|pin| pin.file == file.target)
        .map(|pin| pin.path.clone())
        .collect();
    let is_first =
        past == Past::Unknown || (past == Past::Absent && source.is_some() && target.is_some());
    let adopted = wishes.adopted.iter().filter(|_| is_first);
    rules.choices = adopted
        .chain(&wishes.taken)
        .filter(|wish| {
            wish.file
                .as_deref()
                .is_none_or(|named| is_meant(named, &file.target))
        })
        .map(|wish| Choice {
            path: wish.path.clone(),
            side: wish.side,
        })
        .collect();
    let versions = Versions {
        past: &past,
        source: source.as_deref(),
        target: target.as_deref(),
    };
    Ok(FileChange {
        outcome: outcome(&file.target, versions, &rules),
        source: file.source,
        target: file.target,
        rules,
        past,
    })
}

/// A file's bytes; nothing where there is none.
pub(super) fn read(tree: &dyn Tree, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
    match tree.kind(path)? {
        Some(overlay::EntryKind::File) => Ok(Some(tree.read(path)?.to_vec())),
        _ => Ok(None),
    }
}

fn note(site: &Site<'_>, [from, to]: [&str; 2], files: &[FileChange], pins: Vec<Pin>) -> Record {
    let tree = &site.head.tree;
    let id = |path: &str| tree.id(path).ok().flatten().map(|id| id.to_string());
    let mut record = Record::new(from, to, &site.head.commit.id.to_string());
    for file in files {
        let target = match &file.outcome.fate {
            Fate::Same => id(&file.target),
            Fate::Written(bytes) => Some(ObjectHash::of_blob(bytes).to_string()),
            Fate::Deleted => None,
        };
        let source = id(&file.source);
        if source.is_some() || target.is_some() {
            record
                .files
                .insert(file.target.clone(), Blobs { source, target });
        }
    }
    record.pins = pins;
    record
}

/// A record is written with a change, and where somebody decided something.
fn is_noted(old: Option<&Record>, new: &Record, files: &[FileChange], wishes: &Wishes) -> bool {
    let is_changed = files.iter().any(|file| file.outcome.fate != Fate::Same);
    let is_pinned = old.map_or(&[][..], |old| &old.pins) != new.pins;
    let differs = files.iter().any(|file| !file.outcome.findings.is_empty());
    let decided = differs && (!wishes.adopted.is_empty() || !wishes.taken.is_empty());
    let is_other = old.is_none_or(|old| old.files != new.files);
    let is_released = old.is_some_and(|old| old.hold.is_some()) && is_changed;
    is_changed || is_pinned || is_released || (decided && is_other)
}
