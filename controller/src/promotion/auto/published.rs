//! What an environment publishes of itself: one file in one signed commit, and nothing of other environments.

use std::collections::BTreeMap;

use jiff::Timestamp;
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
const PROVEN: usize = 20;

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
    /// The trees that it has run well, the newest first, by folder.
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
    /// What failed last of this tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
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

    /// Notes the trees that run well now.
    pub fn prove(&mut self) {
        for (folder, running) in &self.folders {
            let well = running
                .tree
                .as_ref()
                .filter(|_| running.healthy_since.is_some());
            let Some(tree) = well else {
                continue;
            };
            let proven = self.proven.entry(folder.clone()).or_default();
            if proven.first() != Some(tree) {
                proven.retain(|earlier| earlier != tree);
                proven.insert(0, tree.clone());
                proven.truncate(PROVEN);
            }
        }
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
