//! Whose turn it is in stages with waves, and what the source gives out accordingly.

use std::collections::BTreeMap;

use jiff::Timestamp;
use overlay::Tree;

use super::repository::{Repository, Waved};
use super::tell::Told;
use super::waves::Released;
use crate::promotion::auto::waves::{Offer, Release, release, skips};
use crate::promotion::auto::{Heard, Published};
use crate::promotion::base::parse;
use crate::report::events::Severity;
use crate::source::history::History;

/// Decides what is released to this environment, and notes it in what is said next.
pub(super) fn turns(
    history: &History,
    repository: &Repository,
    heard: &BTreeMap<String, Heard>,
    next: &mut Published,
    now: Timestamp,
) -> Result<Vec<Told>, String> {
    let mut told = Vec::new();
    let before = std::mem::take(&mut next.released);
    for (stage, waved) in &repository.waves {
        let folder = &waved.folder;
        let newest = repository.head.tree.id(folder);
        let Some(newest) = newest.map_err(|error| error.to_string())? else {
            continue;
        };
        let newest = newest.to_string();
        let runs = next.folders.get(folder).and_then(|it| it.tree.clone());
        let released = before.get(folder).cloned().or(runs);
        let offer = Offer {
            stage,
            folder,
            newest: &newest,
            released: released.as_deref(),
            skips: skipped(history, repository, waved, released.as_deref())?,
        };
        let release = release(&repository.policy, &next.environment, &offer, heard, now);
        let (tree, sentence) = match release {
            None => continue,
            Some(Release::Takes(sentence)) => (newest.clone(), sentence),
            Some(Release::Stays(sentence)) => (released.unwrap_or_default(), sentence),
        };
        next.released.insert(folder.clone(), tree);
        told.push(Told {
            about: stage.clone(),
            sentence,
            severity: Severity::Info,
        });
    }
    Ok(told)
}

/// The reason to skip the waves, where the commits since the released version give one.
fn skipped(
    history: &History,
    repository: &Repository,
    waved: &Waved,
    released: Option<&str>,
) -> Result<Option<String>, String> {
    let Some(released) = released.filter(|_| !waved.is_first) else {
        return Ok(None);
    };
    let found = skips(history, &repository.head, &waved.folder, released);
    found.map_err(|error| error.to_string())
}

/// The versions that the source gives out. Nothing is held back from a first wave.
pub(super) fn released(
    history: &History,
    repository: &Repository,
    next: &Published,
) -> Vec<Released> {
    let later = repository.waves.values().filter(|waved| !waved.is_first);
    let released = later.filter_map(|Waved { folder, .. }| {
        let id = next.released.get(folder)?;
        Some(Released {
            folder: folder.clone(),
            id: parse(id)?,
            tree: history.tree(id),
        })
    });
    released.collect()
}
