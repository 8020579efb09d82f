//! What happened to a stage or environment, commit by commit: promotions, rollbacks, edits by hand.

use overlay::{Tree, TreeError};

use super::record::{self, FOLDER, Record, RecordError};
use crate::source::SourceError;
use crate::source::history::{Before, History, Point};

/// A promotion of an app: the commit that wrote its record.
#[derive(Clone)]
pub struct Event {
    /// The commit.
    pub point: Point,
    /// The record that it wrote.
    pub record: Record,
}

/// What a commit was for a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Apps were promoted into it.
    Promotion(Vec<String>),
    /// Promotions of apps were undone.
    Rollback(Vec<String>),
    /// Somebody edited its files.
    Edit,
}

/// A commit that touched a stage.
pub struct Entry {
    /// The commit.
    pub point: Point,
    /// What it was.
    pub deed: Deed,
}

/// Where a look into the past ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the first commit, or where enough was seen.
    Reached,
    /// Where the clone is cut.
    Cut,
}

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The commits that wrote the record of an app, the newest first, at most so many.
pub fn promotions(
    history: &History,
    head: &Point,
    path: &str,
    most: usize,
) -> Result<(Vec<Event>, End), TimelineError> {
    let mut events = Vec::new();
    let end = walk(history, head, |point, before| {
        let old = before
            .map(|before| before.tree.id(path))
            .transpose()?
            .flatten();
        if point.tree.id(path)? != old
            && let Some(record) = record::read(&point.tree, path)?
        {
            events.push(Event {
                point: point.clone(),
                record,
            });
        }
        Ok(events.len() < most)
    })?;
    Ok((events, end))
}

/// The commits that touched these folders of a stage, the newest first.
pub fn entries(
    history: &History,
    head: &Point,
    stage: &str,
    folders: &[String],
    most: usize,
) -> Result<(Vec<Entry>, End), TimelineError> {
    let records = format!("{FOLDER}/{stage}");
    let mut entries = Vec::new();
    let end = walk(history, head, |point, before| {
        if let Some(deed) = deed(point, before, &records, folders)? {
            entries.push(Entry {
                point: point.clone(),
                deed,
            });
        }
        Ok(entries.len() < most)
    })?;
    Ok((entries, end))
}

/// Looks at each commit beside the one before it, as long as more is wanted.
fn walk(
    history: &History,
    head: &Point,
    mut look: impl FnMut(&Point, Option<&Point>) -> Result<bool, TimelineError>,
) -> Result<End, TimelineError> {
    let mut point = head.clone();
    loop {
        let before = history.before(&point)?;
        let (earlier, end) = match before {
            Before::Commit(earlier) => (Some(*earlier), End::Reached),
            Before::Beginning => (None, End::Reached),
            Before::Cut => return Ok(End::Cut),
        };
        let wants_more = look(&point, earlier.as_ref())?;
        match earlier.filter(|_| wants_more) {
            Some(earlier) => point = earlier,
            None => return Ok(end),
        }
    }
}

fn deed(
    point: &Point,
    before: Option<&Point>,
    records: &str,
    folders: &[String],
) -> Result<Option<Deed>, TimelineError> {
    let differs = |path: &str| -> Result<bool, TreeError> {
        let old = before
            .map(|before| before.tree.id(path))
            .transpose()?
            .flatten();
        Ok(point.tree.id(path)? != old)
    };
    if differs(records)? && point.tree.kind(records)?.is_some() {
        let (mut promoted, mut undone) = (Vec::new(), Vec::new());
        for entry in point.tree.list(records)? {
            let path = format!("{records}/{}", entry.name);
            let Some(app) = entry
                .name
                .strip_suffix(".json")
                .filter(|_| matches!(differs(&path), Ok(true)))
            else {
                continue;
            };
            match record::read(&point.tree, &path)?.is_some_and(|record| record.hold.is_some()) {
                true => undone.push(app.to_owned()),
                false => promoted.push(app.to_owned()),
            }
        }
        if !undone.is_empty() {
            return Ok(Some(Deed::Rollback(undone)));
        }
        if !promoted.is_empty() {
            return Ok(Some(Deed::Promotion(promoted)));
        }
    }
    for folder in folders {
        if differs(folder)? {
            return Ok(Some(Deed::Edit));
        }
    }
    Ok(None)
}
