//! What an environment publishes of itself: one file in one signed commit, and nothing of other environments.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The file's name.
pub const FILE: &str = "state.json";

/// Where environments publish; some servers take branches only.
pub const REFS: [&str; 2] = ["refs/weir/state", "refs/heads/weir/state"];

/// Where clones keep what was published on branches, beside the user's own.
pub const KEPT: [&str; 2] = ["refs/weir/state", "refs/weir/branch-state"];

/// The refspecs that bring what was published.
pub fn refspecs() -> Vec<String> {
    let both = REFS.iter().zip(KEPT);
    both.map(|(there, here)| format!("+{there}/*:{here}/*"))
        .collect()
}

/// How many decisions are remembered.
const TOLD: usize = 50;

/// How many trees of a folder are remembered as having run well.
const PROVEN: usize = 10;

/// What an environment says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The form of this file.
    pub version: u32,
    /// The environment.
    pub environment: String,
    /// When it said so.
    pub at: Timestamp,
    /// It will say so again within this many seconds.
    pub interval_seconds: u64,
    /// What it runs, by folder of the repository.
    pub folders: BTreeMap<String, Running>,
    /// The trees that it has run well for their soak and that have not failed after, the newest first, by folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proven: BTreeMap<String, Vec<String>>,
    /// The trees that were released to it, by folder of a stage with waves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub released: BTreeMap<String, String>,
    /// What its controller decided last, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Told>,
}

/// What an environment runs of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The folder's tree; none while its Kustomizations have not all applied the same.
    pub tree: Option<String>,
    /// Since when all of it is healthy; none while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
    /// What of its objects is not as it was applied, and left so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<String>,
    /// What failed last of this tree; while it is not healthy, what failed since it last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Running {
    /// Whether it has been healthy for so long.
    fn has_soaked(&self, soak: Duration, now: Timestamp) -> bool {
        let soak = SignedDuration::try_from(soak).unwrap_or(SignedDuration::MAX);
        self.healthy_since
            .is_some_and(|since| now.duration_since(since) >= soak)
    }
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// A decision, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// About what: `staging → prod: shop`, or a stage.
    pub about: String,
    /// The sentence.
    pub sentence: String,
}

/// The form that is written.
const VERSION: u32 = 1;

impl Published {
    /// Nothing said yet.
    pub fn new(environment: &str) -> Self {
        Self {
            version: VERSION,
            environment: environment.to_owned(),
            ..Self::default()
        }
    }

    /// Reads the file of an environment.
    pub fn read(environment: &str, bytes: &[u8]) -> Result<Self, String> {
        let said: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match said {
            said if said.version != VERSION => Err(format!(
                "it has version {}, which only a later Weir reads",
                said.version
            )),
            said if said.environment != environment => {
                Err(format!("it is that of {}", said.environment))
            }
            said => Ok(said),
        }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        // It holds texts, numbers and times only, which JSON can always say.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }

    /// Whether it says the same, whenever it was said.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let now = Self {
            at: other.at,
            ..self.clone()
        };
        now == *other
    }

    /// Notes the trees that have been healthy for the soak of their folder, and takes back those that failed after.
    pub fn prove(&mut self, soak: impl Fn(&str) -> Duration) {
        for (folder, running) in &self.folders {
            let Some(tree) = &running.tree else {
                continue;
            };
            let has_soaked = running.has_soaked(soak(folder), self.at);
            let has_failed = running.healthy_since.is_none() && running.failure.is_some();
            let proven = self.proven.entry(folder.clone()).or_default();
            let is_newest = has_soaked && proven.first() != Some(tree);
            if has_failed || is_newest {
                proven.retain(|earlier| earlier != tree);
            }
            if is_newest {
                proven.insert(0, tree.clone());
                proven.truncate(PROVEN);
            }
        }
        self.proven.retain(|_, trees| !trees.is_empty());
    }

    /// Notes a decision, unless it is the last one about this.
    pub fn tell(&mut self, at: Timestamp, about: &str, sentence: &str) -> bool {
        let last = self.decisions.iter().find(|told| told.about == about);
        if last.is_some_and(|told| told.sentence == sentence) {
            return false;
        }
        self.decisions.insert(
            0,
            Told {
                at,
                about: about.to_owned(),
                sentence: sentence.to_owned(),
            },
        );
        self.decisions.truncate(TOLD);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "stages/prod";

    fn at(minute: u32) -> Timestamp {
        format!("2026-11-23T12:{minute:02}:00Z")
            .parse()
            .expect("a time")
    }

    #[test]
    fn a_version_is_proven_once_it_has_soaked_and_while_it_does_not_fail() {
        let mut said = Published::new("prod-eu");
        let failure = |minute| Failure {
            at: at(minute),
            message: "apps: not ready".to_owned(),
        };
        for (minute, tree, healthy, failed, want) in [
            (0, "a", Some(0), None, &[][..]),
            (9, "a", Some(0), None, &[]),
            (10, "a", Some(0), None, &["a"]),
            (11, "b", None, None, &["a"]),
            (12, "b", Some(12), None, &["a"]),
            (13, "b", None, Some(13), &["a"]), // it was well for a moment
            (14, "b", Some(14), Some(13), &["a"]),
            (24, "b", Some(14), Some(13), &["b", "a"]),
            (25, "b", None, None, &["b", "a"]), // applied anew, not failed
            (26, "b", None, Some(26), &["a"]),
            (27, "a", Some(27), None, &["a"]),
            (28, "a", None, Some(28), &[]),
        ] {
            said.at = at(minute);
            let running = Running {
                tree: Some(tree.to_owned()),
                healthy_since: healthy.map(at),
                drifted: None,
                failure: failed.map(failure),
            };
            said.folders.insert(FOLDER.to_owned(), running);
            said.prove(|_| Duration::from_secs(600));
            let proven = said.proven.get(FOLDER).map_or(&[][..], Vec::as_slice);
            assert_eq!(proven, want, "{minute}");
        }
    }
}
