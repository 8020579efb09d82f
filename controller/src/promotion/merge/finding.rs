//! What a merge found out about one leaf.

use serde::Serialize;

/// What became of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The source's value goes into the target.
    Taken,
    /// The target's own value stays: a hotfix, or an exception.
    Kept,
    /// The target deleted it, and that stays so.
    StaysDeleted,
    /// The target's own value stays because it is pinned.
    Pinned,
    /// Both sides changed it.
    Conflict,
    /// The sides differ, and nothing is known of the past.
    Unmet,
}

/// A leaf that is not the same on all sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The place in the file; empty for the file as a whole.
    pub path: String,
    /// What became of it.
    pub what: What,
    /// The value at the base.
    pub base: Option<String>,
    /// The source's value.
    pub source: Option<String>,
    /// The target's value before the merge.
    pub target: Option<String>,
}

impl Finding {
    /// True where people must decide first.
    pub fn is_open(&self) -> bool {
        matches!(self.what, What::Conflict | What::Unmet)
    }
}
