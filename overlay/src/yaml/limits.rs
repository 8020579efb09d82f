//! How much one file may ask of the reader.

use super::Mark;
use super::problem::{Problem, ProblemKind};

/// Budgets for one file. The defaults let the largest public repositories pass many times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Nodes after the expansion of aliases.
    pub nodes: usize,
    /// Levels of collections in collections.
    pub depth: usize,
    /// Documents, empty ones too.
    pub documents: usize,
    /// Anchors, which only the slower reader knows.
    pub anchors: usize,
}

impl Limits {
    pub(super) fn too_many_nodes(&self, mark: Mark) -> Problem {
        let budget = ProblemKind::Budget {
            what: "nodes",
            limit: self.nodes,
        };
        budget.at(mark.line, u32::from(mark.column))
    }

    pub(super) fn too_many_anchors(&self, mark: Mark) -> Problem {
        let budget = ProblemKind::Budget {
            what: "anchors",
            limit: self.anchors,
        };
        budget.at(mark.line, u32::from(mark.column))
    }

    pub(super) fn too_deep(&self, line: u32, column: u32) -> Problem {
        ProblemKind::Budget {
            what: "levels of nesting",
            limit: self.depth,
        }
        .at(line, column)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            nodes: 1_000_000,
            depth: 250,
            documents: 100_000,
            anchors: 50_000,
        }
    }
}
