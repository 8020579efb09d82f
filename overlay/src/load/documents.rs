//! What files hold: documents, read once a build and opened where they are encrypted, and bytes for generators.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Folder, Session};
use crate::build::{Opened, Purpose, Sealed};
use crate::decode::Text;
use crate::error::Error;
use crate::refold::refold_documents;
use crate::tree::EntryKind;
use crate::yaml::{self, Dialect, Limits, Mark, Node, ProblemKind, Source, read_source};

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

impl Session<'_> {
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

    /// Whether a patch stands for one that could not be read.
    pub(crate) fn is_unread(&self, patch: &Node) -> bool {
        self.unread.contains(&patch.mark.file)
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
            Some(Opened::UnreadPatch(mut patch)) => {
                let number = self.files.number(real);
                number_marks(&mut patch, number);
                self.unread.insert(number);
                Ok(Arc::new(vec![patch]))
            }
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
