//! What environments said of themselves, as far as it can be believed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use overlay::Tree;

use super::published::{FILE, KEPT, Published, Running};
use crate::promotion::policy::Policy;
use crate::source::TrustedKeys;
use crate::source::history::History;

/// An environment that misses so many of its own intervals is taken for ill.
const MISSED: u32 = 3;

/// Clocks may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// What is known of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It said this, signed, and lately.
    Said(Published),
    /// Nothing that can be believed, and why: words that follow the environment's name.
    Nothing(String),
}

/// What all environments that have a key said, as the refs of a clone hold it.
pub fn hear(history: &History, policy: &Policy, now: Timestamp) -> BTreeMap<String, Heard> {
    let environments = policy.environments.iter();
    environments
        .map(|(name, publisher)| {
            let keys = TrustedKeys::of_ssh([publisher.key.clone()]);
            let heard = match said(history, name, &keys) {
                Ok(said) => believe(said, now),
                Err(problem) => Heard::Nothing(problem),
            };
            (name.clone(), heard)
        })
        .collect()
}

/// What all environments that have a key signed last, however old it is.
pub fn remembered(history: &History, policy: &Policy) -> Vec<Published> {
    let environments = policy.environments.iter();
    let said = environments.filter_map(|(name, publisher)| {
        let keys = TrustedKeys::of_ssh([publisher.key.clone()]);
        said(history, name, &keys).ok()
    });
    said.collect()
}

/// The newest that an environment signed, however old.
pub fn said(history: &History, environment: &str, keys: &TrustedKeys) -> Result<Published, String> {
    let mut newest: Option<Published> = None;
    let mut problem = "publishes no state".to_owned();
    for refs in KEPT {
        let Ok(point) = history.point(&format!("{refs}/{environment}")) else {
            continue;
        };
        if history.signer(&point, keys, SystemTime::now()).is_err() {
            problem = "publishes a state that its key has not signed".to_owned();
            continue;
        }
        let bytes = point.tree.read(FILE).map_err(|error| error.to_string());
        match bytes.and_then(|bytes| Published::read(environment, &bytes)) {
            Ok(said) if newest.as_ref().is_none_or(|newest| newest.at < said.at) => {
                newest = Some(said);
            }
            Ok(_) => {}
            Err(why) => problem = format!("publishes a state that cannot be read: {why}"),
        }
    }
    newest.ok_or(problem)
}

/// What is too old, or from the future, counts as nothing.
pub fn believe(said: Published, now: Timestamp) -> Heard {
    let age = now.duration_since(said.at);
    let missed = said.interval_seconds.saturating_mul(u64::from(MISSED));
    let most = SignedDuration::try_from(Duration::from_secs(missed));
    if age < -CLOCKS {
        return Heard::Nothing("publishes a state from the future: its clock is ahead".to_owned());
    }
    match age > most.unwrap_or(SignedDuration::MAX) {
        true => Heard::Nothing(format!("has not been heard of since {}", seconds(said.at))),
        false => Heard::Said(said),
    }
}

impl Heard {
    /// What it runs of a folder.
    pub fn running(&self, folder: &str) -> Option<&Running> {
        match self {
            Self::Said(said) => said.folders.get(folder),
            Self::Nothing(_) => None,
        }
    }
}

/// What stands against saying that an environment has run a tree of a folder well for so long: words that follow its
/// name.
pub fn unproven(
    heard: Option<&Heard>,
    (folder, tree): (&str, &str),
    soak: Duration,
    now: Timestamp,
) -> Option<String> {
    let said = match heard {
        None => return Some("is not among `environments` in weir.yaml".to_owned()),
        Some(Heard::Nothing(problem)) => return Some(problem.clone()),
        Some(said) => said,
    };
    let Some(running) = said.running(folder) else {
        return Some(format!("does not run {folder}"));
    };
    match (&running.tree, running.healthy_since, &running.failure) {
        (None, _, None) => Some(format!("is about to apply {folder}")),
        (Some(other), ..) if other != tree => Some(format!(
            "runs another version of {folder}: {}",
            other.get(..12).unwrap_or(other)
        )),
        (_, None, Some(failure)) => Some(format!("is not healthy: {}", failure.message)),
        (_, None, None) => Some("is not healthy yet".to_owned()),
        (_, Some(since), _) => left(since, soak, now),
    }
}

fn left(since: Timestamp, soak: Duration, now: Timestamp) -> Option<String> {
    let soak = SignedDuration::try_from(soak).unwrap_or(SignedDuration::MAX);
    let until = since.checked_add(soak).unwrap_or(Timestamp::MAX);
    (now < until).then(|| format!("soaks until {}", seconds(until)))
}

/// A time in whole seconds: a sentence that stays the same is told once.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
