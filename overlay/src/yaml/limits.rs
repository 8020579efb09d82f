//! How much one file may ask of the reader.

/// Budgets for one file. The defaults let the largest public repositories pass many times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Nodes after the expansion of aliases.
    pub nodes: usize,
    /// Levels of collections in collections.
    pub depth: usize,
    /// Documents.
    pub documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            nodes: 2_000_000,
            depth: 250,
            documents: 100_000,
        }
    }
}
