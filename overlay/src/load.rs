//! Reading a tree: paths and links, the load restrictor, encrypted files, and the record of all that was read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::budget::{Spent, Steps, spend, too_much, within};
use crate::build::{LoadRestrictor, Opened, Options, Purpose, Read, Sealed};
use crate::decode::Text;
use crate::error::{Error, Warning};
use crate::files::Files;
use crate::merge::schema::Schema;
use crate::openapi::Decision;
use crate::path;
use crate::refold::refold_documents;
use crate::shared::{Ahead, Shared};
use crate::tree::{EntryKind, Tree};
use crate::yaml::{self, Dialect, Limits, Mark, Node, ProblemKind, Source, read_source};

/// A folder whose kustomization is being built, and those that led to it.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// Its real path from the root of the tree.
    pub path: String,
    /// The folders that led here, nearest last.
    pub parents: Vec<String>,
}

/// What a file holds for a generator.
pub(crate) struct Content {
    /// The bytes, opened when the file was encrypted and may be opened.
    pub bytes: Bytes,
    /// True when an opener decrypted it: whatever is made of it is secret.
    pub secret: bool,
}

/// Bytes that are wiped when they were decrypted.
pub(crate) enum Bytes {
    /// As stored.
    Stored(Arc<[u8]>),
    /// As opened.
    Opened(Zeroizing<Vec<u8>>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Stored(bytes) => bytes,
            Self::Opened(bytes) => bytes,
        }
    }
}

/// One build: the tree, the options, and what was read and noticed so far.
pub(crate) struct Session<'a> {
    tree: &'a dyn Tree,
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

    /// The folder of the build.
    pub(crate) fn root(&mut self, path: &str) -> Result<Folder, Error> {
        match self.resolve(path)? {
            Some((real, EntryKind::Folder)) => Ok(Folder {
                path: real,
                parents: Vec::new(),
            }),
            Some(_) => Err(Error::new(format!("{path} is no folder"))),
            None => Err(Error::new(format!("there is no folder {path}"))),
        }
    }

    /// Notes something the user should know.
    pub(crate) fn warn(&mut self, mark: Mark, message: impl Into<String>) {
        let place = self.files.place(mark);
        self.warnings.push(Warning {
            place: (!place.file.is_empty()).then_some(place),
            message: message.into(),
        });
    }

    /// What a real path holds.
    pub(crate) fn kind(&mut self, path: &str) -> Result<Option<EntryKind>, Error> {
        if let Some(kind) = self.kinds.get(path) {
            return Ok(*kind);
        }
        let kind = self
            .tree
            .kind(path)
            .map_err(|error| Error::new(error.to_string()))?;
        self.kinds.insert(path.to_owned(), kind);
        Ok(kind)
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

    /// The real path and kind of what a path means, links followed inside the tree; none when nothing is there.
    pub(crate) fn resolve(&mut self, path: &str) -> Result<Option<(String, EntryKind)>, Error> {
        let mut links = 0;
        let mut real = String::new();
        let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut kind = EntryKind::Folder;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real = path::parent(&real).ok_or_else(|| leaves(path))?.to_owned();
                    kind = EntryKind::Folder;
                    continue;
                }
                _ => {}
            }
            if kind != EntryKind::Folder {
                return Ok(None);
            }
            let next = path::join(&real, &part);
            match self.kind(&next)? {
                None => {
                    self.record_absent(&next);
                    return Ok(None);
                }
                Some(EntryKind::Link) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Error::new(format!("{path} passes more than {LINKS} links")));
                    }
                    let target = self.link_target(&next)?;
                    rest.extend(target.rsplit('/').map(str::to_owned));
                }
                Some(found) => {
                    kind = found;
                    real = next;
                }
            }
        }
        Ok(Some((real, kind)))
    }

    fn link_target(&mut self, path: &str) -> Result<String, Error> {
        self.record_id(path, EntryKind::Link)?;
        let bytes = self
            .tree
            .read(path)
            .map_err(|error| Error::new(error.to_string()))?;
        let target = std::str::from_utf8(&bytes)
            .map_err(|_| Error::new(format!("the link {path} has a target that is not UTF-8")))?;
        if target.starts_with('/') {
            return Err(leaves(path));
        }
        Ok(target.to_owned())
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

    fn limits(&self) -> Limits {
        let budget = &self.options.budget;
        Limits {
            bytes: budget.file_bytes,
            nodes: budget.nodes,
            depth: budget.nesting,
            documents: budget.documents,
            anchors: budget.anchors,
        }
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

    /// The real path and kind of what a kustomization in `folder` names.
    pub(crate) fn find(
        &mut self,
        folder: &Folder,
        name: &str,
    ) -> Result<Option<(String, EntryKind)>, Error> {
        let wanted = path::clean(&folder.path, name).ok_or_else(|| leaves(name))?;
        self.resolve(&wanted)
    }

    /// A folder that a kustomization in `folder` names. It cannot be that folder, one above it, or one that led there.
    pub(crate) fn enter(&mut self, folder: &Folder, name: &str) -> Result<Folder, Error> {
        let Some((real, EntryKind::Folder)) = self.find(folder, name)? else {
            return Err(Error::new(format!("there is no folder {name}")));
        };
        let budget = &self.options.budget;
        let kustomizations = &mut self.spent.kustomizations;
        spend(kustomizations, 1, budget.kustomizations, "kustomizations")?;
        let mut parents = folder.parents.clone();
        parents.push(folder.path.clone());
        within(
            parents.len(),
            budget.depth,
            "kustomizations inside one another",
        )?;
        if parents.iter().any(|parent| path::is_within(parent, &real)) {
            let way: Vec<&str> = parents.iter().map(|parent| path::shown(parent)).collect();
            return Err(Error::new(format!(
                "a cycle: {} leads back to {}",
                way.join(" → "),
                path::shown(&real)
            )));
        }
        self.entered.push(real.clone());
        self.deepest = self.deepest.max(parents.len());
        Ok(Folder {
            path: real,
            parents,
        })
    }

    /// The real path of a file that a kustomization in `folder` names, if it may.
    pub(crate) fn file(&mut self, folder: &Folder, name: &str) -> Result<String, Error> {
        path::check(name)?;
        let wanted = path::clean(&folder.path, name).ok_or_else(|| leaves(name))?;
        match self.resolve(&wanted)? {
            Some((real, EntryKind::File)) => {
                if self.options.load_restrictor == LoadRestrictor::RootOnly
                    && !self.options.flux
                    && !path::is_within(&real, &folder.path)
                {
                    return Err(Error::new(format!("{name} is not at or below {}", path::shown(&folder.path)))
                        .hint("a kustomization names files of its own folder; `--load-restrictor=LoadRestrictionsNone` lifts this"));
                }
                Ok(real)
            }
            Some(_) => Err(Error::new(format!(
                "{name} is a folder, and a file is wanted"
            ))),
            None => Err(Error::new(format!("there is no file {name}"))),
        }
    }

    /// The documents of a file of manifests or patches.
    pub(crate) fn documents(
        &mut self,
        folder: &Folder,
        name: &str,
        purpose: Purpose,
    ) -> Result<Arc<Vec<Node>>, Error> {
        let real = self.file(folder, name)?;
        let key = (real, purpose);
        if let Some(documents) = self.documents.get(&key).cloned() {
            self.record_id(&key.0, EntryKind::File)?;
            return Ok(documents);
        }
        let documents = self.read_documents(&key.0, purpose)?;
        self.documents.insert(key, documents.clone());
        Ok(documents)
    }

    /// The documents of a file that is never encrypted and holds no manifests.
    pub(crate) fn plain_documents(
        &mut self,
        folder: &Folder,
        name: &str,
        dialect: Dialect,
    ) -> Result<Vec<Node>, Error> {
        let real = self.file(folder, name)?;
        let bytes = self.read_real(&real)?;
        self.parse(&real, &bytes, dialect)
    }

    fn read_documents(&mut self, real: &str, purpose: Purpose) -> Result<Arc<Vec<Node>>, Error> {
        let bytes = self.read_real(real)?;
        match self.open(real, real, &bytes, purpose)? {
            Some(Opened::Documents(mut documents)) => {
                let number = self.files.number(real);
                documents
                    .iter_mut()
                    .for_each(|document| number_marks(document, number));
                Ok(documents.into())
            }
            Some(Opened::Text(_)) => Err(Error::new(format!(
                "{real} was opened as text, and documents are wanted"
            ))),
            Some(Opened::Closed) => Ok(self.parse(real, &bytes, Dialect::Kustomize)?.into()),
            None => self.parse_once(real, &bytes),
        }
    }

    /// Reads a file that is not encrypted, or takes what an earlier build of the same tree read.
    fn parse_once(&mut self, real: &str, bytes: &[u8]) -> Result<Arc<Vec<Node>>, Error> {
        let budget = &self.options.budget;
        let shared = self.options.shared;
        if let Some(documents) = shared.and_then(|shared| shared.documents(real, budget)) {
            return Ok(documents);
        }
        let documents = Arc::new(self.parse(real, bytes, Dialect::Kustomize)?);
        if let Some(shared) = shared {
            shared.keep_documents(real, bytes.len(), budget, &documents);
        }
        Ok(documents)
    }

    /// Reads YAML whose errors name the file.
    pub(crate) fn parse(
        &mut self,
        real: &str,
        bytes: &[u8],
        dialect: Dialect,
    ) -> Result<Vec<Node>, Error> {
        let source = self.source(real, dialect);
        let mut documents = read_source(bytes, &source)?;
        if dialect == Dialect::Kustomize {
            refold_documents(&mut documents, bytes);
        }
        Ok(documents)
    }

    /// The same as Go reads it into typed data: of keys that repeat the last one counts, which nobody means.
    pub(crate) fn parse_lenient(&mut self, real: &str, bytes: &[u8]) -> Result<Vec<Node>, Error> {
        let mut source = self.source(real, Dialect::Kubernetes);
        match yaml::read(bytes, &source) {
            Err(problem) if matches!(problem.kind, ProblemKind::DuplicateKey { .. }) => {
                let mark = Mark {
                    line: problem.line,
                    column: problem.column.try_into().unwrap_or_default(),
                    file: source.file,
                };
                self.warn(
                    mark,
                    format!("{}: the last one counts, as in kustomize", problem.kind),
                );
                source.last_key_counts = true;
                read_source(bytes, &source)
            }
            result => result.map_err(|problem| problem.into_error(real)),
        }
    }

    fn source<'p>(&mut self, path: &'p str, dialect: Dialect) -> Source<'p> {
        Source {
            path,
            file: self.files.number(path),
            dialect,
            limits: self.limits(),
            last_key_counts: false,
        }
    }

    /// Reads YAML that stands as text in a field of a file.
    pub(crate) fn parse_inline(
        &mut self,
        path: &str,
        text: &Text,
        dialect: Dialect,
    ) -> Result<Vec<Node>, Error> {
        let source = Source {
            path,
            file: text.mark.file,
            dialect,
            limits: self.limits(),
            last_key_counts: false,
        };
        let mut documents = read_source(text.as_bytes(), &source).map_err(|mut error| {
            error.place = None;
            error.at_mark(text.mark)
        })?;
        if dialect == Dialect::Kustomize {
            refold_documents(&mut documents, text.as_bytes());
        }
        documents
            .iter_mut()
            .for_each(|document| shift(document, text.mark));
        Ok(documents)
    }

    /// The content of a file for a generator, opened when it is encrypted and the generator makes Secrets.
    pub(crate) fn content(
        &mut self,
        folder: &Folder,
        name: &str,
        key: &str,
        purpose: Option<Purpose>,
        mark: Mark,
    ) -> Result<Content, Error> {
        let real = self.file(folder, name)?;
        let bytes = self.read_real(&real)?;
        let opened = match purpose {
            Some(purpose) => self.open(&real, key, &bytes, purpose)?,
            None => {
                self.warn_of_closed(&real, key, &bytes, mark);
                None
            }
        };
        Ok(match opened {
            Some(Opened::Text(text)) => Content {
                bytes: Bytes::Opened(text),
                secret: true,
            },
            _ => Content {
                bytes: Bytes::Stored(bytes),
                secret: false,
            },
        })
    }

    /// Says that an encrypted file goes into a ConfigMap as it is stored.
    fn warn_of_closed(&mut self, real: &str, key: &str, bytes: &[u8], mark: Mark) {
        if !matches!(
            self.open(real, key, bytes, Purpose::GeneratorFile),
            Ok(None)
        ) {
            self.warn(
                mark,
                format!("{real} is encrypted and stays so: a ConfigMap is no place for secrets"),
            );
        }
    }

    fn open(
        &mut self,
        path: &str,
        name: &str,
        bytes: &[u8],
        purpose: Purpose,
    ) -> Result<Option<Opened>, Error> {
        let Some(opener) = self.options.opener else {
            return Ok(None);
        };
        let opened = opener.open(&Sealed {
            path,
            name,
            bytes,
            purpose,
        });
        self.opened |= !matches!(opened, Ok(None));
        opened
    }
}

/// Moves the marks of inline text to where the text begins in its file, as well as that is known: a block's text
/// begins on the line below its mark.
fn shift(node: &mut Node, start: Mark) {
    node.mark = Mark {
        line: start.line.saturating_add(node.mark.line),
        ..start
    };
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(|item| shift(item, start));
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping
            .iter_mut()
            .for_each(|(_, value)| shift(value, start));
    }
}

/// Gives the marks of nodes that were read elsewhere the number of their file.
fn number_marks(node: &mut Node, number: u16) {
    node.mark.file = number;
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(|item| number_marks(item, number));
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping
            .iter_mut()
            .for_each(|(_, value)| number_marks(value, number));
    }
}

/// How many links one path may pass, as Linux has it.
const LINKS: usize = 40;

fn leaves(path: &str) -> Error {
    Error::new(format!("{path} leads out of the tree"))
}
