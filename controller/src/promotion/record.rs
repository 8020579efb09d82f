//! What a promotion writes down beside its files, `.weir/promotions/<to>/<app>.json`: the base of the next one.

use std::collections::BTreeMap;

use overlay::{Tree, TreeError};
use serde::{Deserialize, Serialize};

/// Where records lie. JSON, so that no build of a bare folder takes them for manifests.
pub const FOLDER: &str = ".weir/promotions";

/// The record of an app in a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The form of this file.
    pub version: u32,
    /// The folder that was promoted.
    pub from: String,
    /// The folder that it was promoted into.
    pub to: String,
    /// The commit that the source was read from.
    pub commit: String,
    /// The files, by their paths in the target.
    pub files: BTreeMap<String, Blobs>,
    /// What the target keeps as its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Refusals that were overridden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// What a rollback refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// A file on both sides, by Git's ids; nothing where it was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blobs {
    /// In the source.
    pub source: Option<String>,
    /// In the target, after the promotion.
    pub target: Option<String>,
}

/// A place that the target keeps as its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The file, by its path in the target.
    pub file: String,
    /// The place in it; empty for the whole file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A refusal that somebody overrode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The refusal's name.
    pub refusal: String,
    /// Why.
    pub reason: String,
}

/// A version that was rolled back: nothing promotes it by itself until somebody promotes or lifts the hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The commit whose promotion was undone.
    pub refused: String,
    /// Who did it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The tree does not give it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It is no record, or one of a later version of Weir.
    #[error("{path}: {problem}")]
    Content {
        /// The record's path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The form that is written.
const VERSION: u32 = 1;

/// Where the record of an app lies.
pub fn path(stage: &str, app: &str) -> String {
    format!("{FOLDER}/{stage}/{app}.json")
}

/// Reads the record of an app.
pub fn read(tree: &dyn Tree, path: &str) -> Result<Option<Record>, RecordError> {
    if tree.kind(path)?.is_none() {
        return Ok(None);
    }
    let content = |problem: String| RecordError::Content {
        path: path.to_owned(),
        problem,
    };
    let bytes = tree.read(path)?;
    let record: Record =
        serde_json::from_slice(&bytes).map_err(|error| content(error.to_string()))?;
    match record.version {
        VERSION => Ok(Some(record)),
        other => Err(content(format!(
            "it has version {other}, which only a later Weir reads"
        ))),
    }
}

impl Record {
    /// A record of nothing yet.
    pub fn new(from: &str, to: &str, commit: &str) -> Self {
        Self {
            version: VERSION,
            from: from.to_owned(),
            to: to.to_owned(),
            commit: commit.to_owned(),
            ..Self::default()
        }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        // A record holds texts and numbers only, which JSON can always say.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }
}
