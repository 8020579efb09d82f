//! How much work a substitution may be.

use std::cell::Cell;

/// The work of one substitution unless its variables say otherwise: the bytes that all expressions of all objects bring
/// in, and the comparisons that their operators make.
pub(super) const STEPS: usize = 32 << 20;

/// Nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

/// The steps that are left.
pub(super) struct Steps(Cell<usize>);

impl Steps {
    pub(super) fn new(left: usize) -> Self {
        Self(Cell::new(left))
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.0.get()
    }

    /// Takes steps, or refuses them.
    pub(super) fn take(&self, steps: usize) -> Result<(), Spent> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or(Spent)
    }
}
