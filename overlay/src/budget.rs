//! How much one build may ask for, and how much it has asked for so far.

use crate::error::Error;

/// Budgets of one build. The defaults let the largest public repositories pass many times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of all files read, each as often as it is read.
    pub bytes: usize,
    /// Files read.
    pub files: usize,
    /// Kustomizations entered, bases and components alike, each as often as it is entered.
    pub kustomizations: usize,
    /// Kustomizations inside one another.
    pub depth: usize,
    /// Objects at any moment.
    pub objects: usize,
    /// Patches times the objects that they are applied to.
    pub patched: usize,
    /// Nodes of one file after the expansion of aliases.
    pub nodes: usize,
    /// Levels of collections in one document.
    pub nesting: usize,
    /// Documents of one file.
    pub documents: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            files: 20_000,
            kustomizations: 10_000,
            depth: 64,
            objects: 100_000,
            patched: 1_000_000,
            nodes: 2_000_000,
            nesting: 250,
            documents: 100_000,
        }
    }
}

/// What a build has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Bytes read.
    pub bytes: usize,
    /// Files read.
    pub files: usize,
    /// Kustomizations entered.
    pub kustomizations: usize,
    /// Patches applied.
    pub patched: usize,
}

/// Adds to what was spent of one budget.
pub(crate) fn spend(spent: &mut usize, more: usize, limit: usize, what: &str) -> Result<(), Error> {
    *spent = spent.saturating_add(more);
    within(*spent, limit, what)
}

/// Refuses what is more than a budget allows.
pub(crate) fn within(have: usize, limit: usize, what: &str) -> Result<(), Error> {
    if have <= limit {
        return Ok(());
    }
    Err(
        Error::new(format!("the build asks for more than {limit} {what}"))
            .hint("the budget of a build is an option"),
    )
}
