//! The three-way merge of a file: base, source and target become the target with what the source changed.
//!
//! A pure function of texts. YAML and JSON are merged leaf by leaf, and what is written is only what changed: the target
//! keeps its comments, its order and its formatting. What was written is read again; where it does not hold what was
//! meant, the merge gives up instead of writing something else.

mod documents;
mod embedded;
mod finding;
mod lines;
mod lists;
mod pen;
mod place;
mod plain;
mod rules;
mod strip;
mod tree;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use overlay::yaml::{LaidDocument, LayoutError};

pub use finding::{Finding, What};
pub use place::covers;
pub use rules::{Choice, Rules, Side};

use place::Place;

/// The file as it was when both sides were last the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base<'a> {
    /// Nobody knows.
    Unknown,
    /// It was not there.
    Absent,
    /// It was this.
    Was(&'a str),
}

/// The target's file after the merge, and what was found on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub text: String,
    /// All leaves that are not the same on all sides.
    pub findings: Vec<Finding>,
}

/// Why a file cannot be merged leaf by leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmergeable {
    /// One of its versions cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What would be written does not read back as what was meant.
    #[error("the change cannot be written in place")]
    Unwritable,
}

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// YAML and JSON.
    Yaml,
    /// One name and value a line.
    Lines,
}

impl Format {
    fn lay_out(self, text: &str) -> Result<Vec<LaidDocument>, LayoutError> {
        match self {
            Self::Yaml => overlay::yaml::lay_out(text),
            Self::Lines => lines::lay_out(text),
        }
    }
}

/// Merges the source's version of a YAML or JSON file into the target's.
pub fn merge(
    base: Base<'_>,
    source: &str,
    target: &str,
    rules: &Rules,
) -> Result<Merged, Unmergeable> {
    merge_text(
        Format::Yaml,
        &Place::default(),
        base,
        [source, target],
        rules,
    )
}

/// What of a file may travel: the text without the fields that never do.
pub fn travelling(text: &str, rules: &Rules) -> Result<String, Unmergeable> {
    strip::strip(Format::Yaml, &Place::default(), text, rules)
}

fn merge_text(
    format: Format,
    root: &Place,
    base: Base<'_>,
    [source, target]: [&str; 2],
    rules: &Rules,
) -> Result<Merged, Unmergeable> {
    let source = strip::strip(format, root, source, rules)?;
    let base_text = match base {
        Base::Was(text) => Some(strip::strip(format, root, text, rules)?),
        _ => None,
    };
    let base = base_text.as_deref().map_or(base, Base::Was);
    documents::merge(format, root, base, [&source, target], rules)
}
