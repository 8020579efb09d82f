//! Reading a tree: one build's budget, and the record of all that it read.

mod documents;
mod paths;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::budget::{Spent, Steps, spend, too_much};
use crate::build::{Options, Purpose, Read};
use crate::error::{Error, Warning};
use crate::files::Files;
use crate::merge::schema::Schema;
use crate::openapi::Decision;
use crate::shared::{Ahead, Shared};
use crate::tree::{EntryKind, Tree};
use crate::yaml::{Mark, Node};

pub(crate) use documents::{Bytes, Content};

/// A folder whose kustomization is being built, and those that led to it.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// Its real path from the root of the tree.
    pub path: String,
    /// The folders that led here, nearest last.
    pub parents: Vec<String>,
}

/// One build: the tree, the options, and what was read and noticed so far.
pub(crate) struct Session<'a> {
    pub(crate) tree: &'a dyn Tree,
    /// How to build.
    pub options: &'a Options<'a>,
    /// The files by number.
    pub files: Files,
    /// What was read, when that is asked for.
    pub reads: BTreeMap<String, Read>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// What is known of the kinds' fields.
    pub schema: Schema,
    /// Where the merge keys come from.
    pub openapi: Decision,
    /// The steps of the transformers.
    pub steps: Steps,
    /// What was asked for.
    pub spent: Spent,
    /// The folders of all kustomizations that were entered.
    pub entered: Vec<String>,
    /// How deep the deepest of them is.
    pub deepest: usize,
    /// An opener had a hand in what was read.
    pub opened: bool,
    /// Bases that are built before their turn.
    pub ahead: &'a Ahead,
    /// This session builds one of them.
    is_ahead: bool,
    kinds: HashMap<String, Option<EntryKind>>,
    documents: HashMap<(String, Purpose), Arc<Vec<Node>>>,
    /// The numbers of the files of patches that could not be read.
    unread: HashSet<u16>,
}

impl<'a> Session<'a> {
    /// A build that has read nothing yet.
    pub(crate) fn new(tree: &'a dyn Tree, options: &'a Options<'a>, ahead: &'a Ahead) -> Self {
        Self {
            tree,
            options,
            files: options.shared.map(Shared::files).unwrap_or_default(),
            reads: BTreeMap::new(),
            warnings: Vec::new(),
            schema: Schema::default(),
            openapi: Decision::default(),
            steps: Steps::new(options.budget.steps),
            spent: Spent::default(),
            entered: Vec::new(),
            deepest: 0,
            opened: false,
            ahead,
            is_ahead: false,
            kinds: HashMap::new(),
            documents: HashMap::new(),
            unread: HashSet::new(),
        }
    }

    /// A build of the same tree that has read nothing yet, for another thread.
    pub(crate) fn alone(&self) -> Self {
        Self {
            files: self.files.clone(),
            is_ahead: true,
            ..Self::new(self.tree, self.options, self.ahead)
        }
    }

    /// True when bases may be built before their turn: where nobody can tell. An opener is asked in the order of the
    /// build.
    pub(crate) fn may_build_ahead(&self) -> bool {
        let Options {
            opener,
            record_history,
            ..
        } = self.options;
        !self.is_ahead && opener.is_none() && !record_history && !self.openapi.is_made()
    }

    /// Notes something the user should know.
    pub(crate) fn warn(&mut self, mark: Mark, message: impl Into<String>) {
        let place = self.files.place(mark);
        self.warnings.push(Warning {
            place: (!place.file.is_empty()).then_some(place),
            message: message.into(),
        });
    }

    fn record(
        &mut self,
        path: &str,
        read: impl FnOnce(&dyn Tree) -> Result<Read, Error>,
    ) -> Result<(), Error> {
        if self.options.record_reads && !self.reads.contains_key(path) {
            let found = read(self.tree)?;
            self.reads.insert(path.to_owned(), found);
        }
        Ok(())
    }

    /// Notes that a path was looked up and nothing is there.
    pub(crate) fn record_absent(&mut self, path: &str) {
        if self.options.record_reads {
            self.reads.entry(path.to_owned()).or_insert(Read::Absent);
        }
    }

    fn record_id(&mut self, path: &str, kind: EntryKind) -> Result<(), Error> {
        self.record(path, |tree| {
            let id = tree
                .id(path)
                .map_err(|error| Error::new(error.to_string()))?
                .ok_or_else(|| Error::new(format!("{path} went away while it was read")))?;
            Ok(match kind {
                EntryKind::Link => Read::Link(id),
                EntryKind::Folder => Read::Folder(id),
                EntryKind::File | EntryKind::Submodule => Read::File(id),
            })
        })
    }

    /// The bytes of a file at a real path, as stored.
    pub(crate) fn read_real(&mut self, path: &str) -> Result<Arc<[u8]>, Error> {
        let budget = &self.options.budget;
        spend(&mut self.spent.files, 1, budget.files, "files")?;
        let bytes = self
            .tree
            .read_within(path, budget.file_bytes)
            .map_err(|error| Error::new(error.to_string()))?
            .ok_or_else(|| too_much(budget.file_bytes, "bytes of one file"))?;
        spend(&mut self.spent.bytes, bytes.len(), budget.bytes, "bytes")?;
        self.record_id(path, EntryKind::File)?;
        Ok(bytes)
    }

    /// Counts patches that are applied to objects.
    pub(crate) fn count_patched(&mut self, objects: usize) -> Result<(), Error> {
        let limit = self.options.budget.patched;
        spend(
            &mut self.spent.patched,
            objects,
            limit,
            "applications of patches",
        )
    }

    /// The entries of a folder at a real path.
    pub(crate) fn list_real(&mut self, path: &str) -> Result<Vec<crate::tree::Entry>, Error> {
        self.record_id(path, EntryKind::Folder)?;
        self.tree
            .list(path)
            .map_err(|error| Error::new(error.to_string()))
    }
}
