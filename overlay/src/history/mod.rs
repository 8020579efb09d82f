//! Where every field of an object got its value: the file and line that set it, and the entry of the kustomization that
//! asked for it. Recorded when [`Options::record_history`](crate::Options::record_history) asks; it costs nothing else.

mod path;
mod query;
mod trace;

use std::fmt;

pub use path::{FieldPath, PathPart};
pub use query::{Answer, Unanswered};
pub(crate) use trace::{Gone, Trace, collect, note};

use crate::error::{Errors, Place};
use crate::object::ObjectId;
use crate::yaml::{Mark, Node};

/// An entry of a kustomization file that asks for a change, or a step that every build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The field, or the step's name.
    pub field: &'static str,
    /// Which entry of the field's list.
    pub index: Option<usize>,
    /// Where it stands.
    pub mark: Mark,
}

impl Asker {
    /// A field that holds one value.
    pub(crate) fn field(field: &'static str, mark: Mark) -> Self {
        Self {
            field,
            index: None,
            mark,
        }
    }

    /// An entry of a field that is a list.
    pub(crate) fn entry(field: &'static str, index: usize, mark: Mark) -> Self {
        Self {
            field,
            index: Some(index),
            mark,
        }
    }

    /// Says in errors which entry asked for what failed. A field of one value says nothing that its place does not.
    pub(crate) fn blame(&self, errors: Errors) -> Errors {
        match self.index {
            Some(index) => errors.map(|error| error.during(format!("{}[{index}]", self.field))),
            None => errors,
        }
    }

    /// A step that no kustomization asks for.
    pub(crate) fn step(name: &'static str) -> Self {
        Self::field(name, Mark::default())
    }
}

/// What made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A field of a kustomization file, with the number of its entry (`patches[2]`), or a step of every build
    /// (`name hash`, `name references`).
    pub entry: String,
    /// Where that entry stands.
    pub place: Option<Place>,
}

impl fmt::Display for Cause {
    /// `patches[2] of envs/prod/kustomization.yaml:7`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entry)?;
        match &self.place {
            Some(Place { file, line: 0, .. }) => write!(f, " of {file}"),
            Some(Place { file, line, .. }) => write!(f, " of {file}:{line}"),
            None => Ok(()),
        }
    }
}

/// One change of a field.
#[derive(Clone, Debug)]
pub struct Change {
    /// What made it.
    pub cause: Cause,
    /// Where the value was written: in the file that holds it, else where the kustomization says what it became.
    pub place: Option<Place>,
    /// The value since then; none when the field was removed. A secret keeps its mark.
    pub value: Option<Node>,
}

/// A field that holds a single value (or an empty list or mapping), and its changes, the first one first.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where it is in the object.
    pub path: FieldPath,
    /// Never empty.
    pub changes: Vec<Change>,
}

impl Field {
    /// The value in the output; none when the field was removed.
    pub fn value(&self) -> Option<&Node> {
        self.changes.last()?.value.as_ref()
    }
}

/// The history of one object.
#[derive(Clone, Debug, Default)]
pub struct ObjectHistory {
    /// What it was called before prefixes, suffixes, hashes and patches, oldest first.
    pub earlier_names: Vec<String>,
    /// Everything that changed it, in order; the first brought it in.
    pub causes: Vec<Cause>,
    /// Its fields in the order of the output, those that were removed too.
    pub fields: Vec<Field>,
}

/// An object that is not in the output.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Who it was.
    pub id: ObjectId,
    /// What removed it.
    pub cause: Cause,
}

/// The history of a build's objects.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of the build's objects.
    pub objects: Vec<ObjectHistory>,
    /// The objects that were removed on the way.
    pub removed: Vec<Removed>,
}
