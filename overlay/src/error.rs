//! What can go wrong in a build, as values: where, while doing what, why, and what to do about it.

use std::fmt;
use std::sync::Arc;

use crate::yaml::Mark;

/// A position in a file of the tree. Lines and columns count from 1; 0 means "the file as a whole".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path from the root of the tree, with `/`.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// Column in characters, from 1; 0 when the whole line is meant.
    pub column: u32,
}

impl Place {
    /// The file as a whole.
    pub fn file(path: &str) -> Self {
        Self {
            file: path.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// One thing that went wrong. `Display` prints it on one line, as conditions want it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// Where; boxed because most results are `Ok`.
    pub place: Option<Box<Place>>,
    /// What was being done, from the outside in: `["envs/prod-eu", "patches[2]"]`.
    pub during: Vec<String>,
    /// What is wrong, without place and without the text of secret files.
    pub message: String,
    /// What to do about it, when that can be said.
    pub hint: Option<String>,
    /// Where, as the nodes have it; the build turns it into a place before it returns.
    pub(crate) mark: Mark,
}

impl Error {
    /// An error without a place yet; callers that know more add it with [`Error::at`] and [`Error::during`].
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            during: Vec::new(),
            message: message.into(),
            hint: None,
            mark: Mark::default(),
        }
    }

    /// Sets the mark unless an inner caller, who knows better, already gave mark or place.
    #[must_use]
    pub(crate) fn at_mark(mut self, mark: Mark) -> Self {
        if self.mark == Mark::default() && self.place.is_none() {
            self.mark = mark;
        }
        self
    }

    /// Sets the place unless an inner caller, who knows better, already did.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert_with(|| Box::new(place));
        self
    }

    /// Adds what was being done, outermost last called.
    #[must_use]
    pub fn during(mut self, act: impl Into<String>) -> Self {
        self.during.insert(0, act.into());
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        for act in &self.during {
            write!(f, "{act}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All independent errors of one build, never empty, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Errors {
    /// The same with something said of each.
    #[must_use]
    pub(crate) fn map(self, tell: impl FnMut(Error) -> Error) -> Self {
        Self(self.0.into_iter().map(tell).collect())
    }
}

/// So many mistakes are told at once; whoever has more will build again.
const MOST_MISTAKES: usize = 100;

/// The mistakes of steps that do not depend on one another, as they are met.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(pub Vec<Error>);

impl Mistakes {
    /// What a step gives; its mistakes are kept.
    pub(crate) fn of<T>(&mut self, result: Result<T, impl Into<Errors>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                let room = MOST_MISTAKES.saturating_sub(self.0.len());
                self.0.extend(errors.into().0.into_iter().take(room));
                None
            }
        }
    }

    /// Keeps one.
    pub(crate) fn push(&mut self, error: Error) {
        self.of::<()>(Err(error));
    }

    /// True when there is none so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, unless there was a mistake.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Errors> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Errors(self.0))
        }
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// Something the user should know that does not stop the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Option<Place>,
    /// What.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
