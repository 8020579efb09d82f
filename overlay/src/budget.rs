//! How much one build may ask for, and how much it has asked for so far.

use crate::error::Error;
use crate::yaml::{Node, Value};

/// Budgets of one build. The defaults let the largest public repositories pass many times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of all files read, each as often as it is read.
    pub bytes: usize,
    /// Bytes of one file.
    pub file_bytes: usize,
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
    /// Small steps of all transformers together: objects and list elements looked at, nodes and text copied into
    /// objects. What grows with the square of its input, or doubles, ends here.
    pub steps: usize,
    /// Nodes of one file after the expansion of aliases.
    pub nodes: usize,
    /// Levels of collections in one document.
    pub nesting: usize,
    /// Documents of one file, empty ones too.
    pub documents: usize,
    /// Anchors in one file.
    pub anchors: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            file_bytes: 32 << 20,
            files: 20_000,
            kustomizations: 10_000,
            depth: 64,
            objects: 100_000,
            patched: 1_000_000,
            steps: 10_000_000,
            nodes: 1_000_000,
            nesting: 250,
            documents: 100_000,
            anchors: 50_000,
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

/// The steps that a build has taken, and how many it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    taken: usize,
    limit: usize,
}

impl Steps {
    /// So much of a transformer's work on one object counts as a step.
    pub(crate) const PER_OBJECT: usize = 10;

    /// So many nodes or keys of a mapping are passed in the time of a step.
    const SMALL: usize = 16;

    /// So many bytes of text are copied for a step: here memory is what counts.
    const BYTES: usize = 4;

    /// None taken yet.
    pub(crate) fn new(limit: usize) -> Self {
        Self { taken: 0, limit }
    }

    /// How many were taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// More were wanted than there are: whatever else is wrong need not be found out.
    pub(crate) fn are_spent(&self) -> bool {
        self.taken > self.limit
    }

    /// Takes steps, or refuses them.
    pub(crate) fn take(&mut self, steps: usize) -> Result<(), Error> {
        spend(&mut self.taken, steps, self.limit, "steps")
    }

    /// The same for things so small that many of them are one step.
    pub(crate) fn take_small(&mut self, things: usize) -> Result<(), Error> {
        self.take(things.div_ceil(Self::SMALL))
    }

    /// Takes a step for each node that is copied. What a copy shares is counted as often as it will be printed.
    pub(crate) fn copy(&mut self, node: &Node) -> Result<(), Error> {
        self.take(1)?;
        match &node.value {
            Value::Scalar(_) | Value::Secret(_) => {
                self.take(node.exposed().unwrap_or_default().len() / Self::BYTES)
            }
            Value::Sequence(items) => items.iter().try_for_each(|item| self.copy(item)),
            Value::Mapping(mapping) => {
                let mut values = mapping.iter();
                values.try_for_each(|(_, value)| self.copy(value))
            }
        }
    }
}

impl Spent {
    /// What was spent since an earlier time.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            files: self.files - before.files,
            kustomizations: self.kustomizations - before.kustomizations,
            patched: self.patched - before.patched,
        }
    }

    /// Adds what was spent elsewhere, if the budget allows.
    pub(crate) fn add(&mut self, more: Self, budget: &Budget) -> Result<(), Error> {
        spend(&mut self.bytes, more.bytes, budget.bytes, "bytes")?;
        spend(&mut self.files, more.files, budget.files, "files")?;
        let kustomizations = more.kustomizations;
        let limit = budget.kustomizations;
        spend(
            &mut self.kustomizations,
            kustomizations,
            limit,
            "kustomizations",
        )?;
        spend(
            &mut self.patched,
            more.patched,
            budget.patched,
            "applications of patches",
        )
    }
}

/// Adds to what was spent of one budget.
pub(crate) fn spend(spent: &mut usize, more: usize, limit: usize, what: &str) -> Result<(), Error> {
    *spent = spent.saturating_add(more);
    within(*spent, limit, what)
}

/// Refuses what is more than a budget allows.
pub(crate) fn within(have: usize, limit: usize, what: &str) -> Result<(), Error> {
    match have <= limit {
        true => Ok(()),
        false => Err(too_much(limit, what)),
    }
}

/// The refusal of what is more than a budget allows.
pub(crate) fn too_much(limit: usize, what: &str) -> Error {
    Error::new(format!("the build asks for more than {limit} {what}"))
        .hint("the budget of a build is an option")
}
