//! What can be wrong with a YAML file, with the place in it.

use crate::error::{Error, Place};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The bytes are no UTF-8 text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// The text has a character that YAML does not allow.
    #[error("control characters are not allowed (U+{0:04X})")]
    Control(u32),
    /// The text breaks YAML's grammar.
    #[error("YAML: {0}")]
    Syntax(String),
    /// A document separator has something behind it.
    #[error("a document separator has text behind it: `{0}`")]
    Separator(String),
    /// A mapping has a key twice.
    #[error("key `{key}` is already set in line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of its first appearance.
        first: u32,
    },
    /// A mapping's key is a number, a truth value, null or a collection.
    #[error("key `{0}` is not a string")]
    KeyType(String),
    /// A collection stands where a key belongs.
    #[error("a list or mapping cannot be a key")]
    KeyCollection,
    /// `<<` has something other than mappings.
    #[error("`<<` needs a mapping or a list of mappings")]
    Merge,
    /// An explicit tag does not fit the text.
    #[error("`{text}` is no {tag}")]
    TagMismatch {
        /// The scalar's text.
        text: String,
        /// The tag as written.
        tag: String,
    },
    /// An alias stands inside its own anchor, or names none.
    #[error("the alias names no finished anchor")]
    Alias,
    /// `.inf` and `.nan` have no place in JSON.
    #[error("`{0}` cannot be stored: JSON has no such number")]
    NotFinite(String),
    /// Something follows the end mark `...` without a `---`.
    #[error("text after the end of a document; begin the next one with `---`")]
    AfterEnd,
    /// A budget is used up.
    #[error("the file has more than {limit} {what}")]
    Budget {
        /// What is counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// What is wrong, and where in the file; line and column count from 1, 0 is the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {kind}")]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl Problem {
    /// As an error of the build, with the name of the file.
    pub fn into_error(self, path: &str) -> Error {
        let place = Place {
            file: path.into(),
            line: self.line,
            column: self.column,
        };
        let error = Error::new(self.kind.to_string()).at(place);
        match self.kind.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl ProblemKind {
    /// The same, somewhere.
    pub(super) fn at(self, line: u32, column: u32) -> Problem {
        Problem {
            kind: self,
            line,
            column,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ProblemKind::KeyType(key) => Some(format!("quote it: `\"{key}\"`")),
            ProblemKind::Separator(_) => Some("put the text on a line of its own".to_owned()),
            _ => None,
        }
    }
}
