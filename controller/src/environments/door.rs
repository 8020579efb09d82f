//! The composer's door where there are no keys: what is encrypted becomes values that are not known.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use overlay::build::{Opened, Opener, Purpose, Sealed};
use overlay::unknown::{Marker, Part, Unknown};
use overlay::yaml::{Dialect, Mapping, Node, Scalar, Style, Tag, Value, read_documents};
use overlay::{Error, Object, ObjectHash, ObjectId};
use sops::Format;
use zeroize::Zeroizing;

use super::values::text_of;
use crate::cluster::difference::join;

/// What an encrypted value starts with.
const CIPHERTEXT: &str = "ENC[";

/// SOPS's own section of a file.
const METADATA: &str = "sops";

/// The field that holds the token of a file.
const CONTENT: &str = "content";

/// What stands for the objects of a file of which nothing can be read: its version and kind.
const STAND_IN: (&str, &str) = ("unknown.weir/v1", "EncryptedFile");

/// The field of an object that names the patches that may be about it and of which nothing can be read.
const UNREAD_PATCHES: &str = "encryptedPatches";

/// Why nothing of an object is certain: the patches that may be about it and cannot be read.
pub fn unread_patches(object: &Node, marker: &Marker) -> Vec<String> {
    let tokens = unread_tokens(object);
    let parts = tokens.iter().flat_map(|token| marker.parts(token));
    let reason = |part: Part<'_>| match part {
        Part::Unknown(unknown) => Some(unknown.reason),
        Part::Text(_) => None,
    };
    parts.filter_map(reason).collect()
}

/// The tokens of these patches.
pub(super) fn unread_tokens(object: &Node) -> Vec<&str> {
    let patches = object.get(UNREAD_PATCHES).and_then(Node::as_mapping);
    let tokens = patches.into_iter().flat_map(Mapping::iter);
    tokens.filter_map(|(_, token)| text_of(token)).collect()
}

/// Takes these patches off an object, as the API server knows of no such field: where they stood, and why each is not
/// known.
pub fn take_unread_patches(object: &mut Node, marker: &Marker) -> Vec<(String, String)> {
    let patches = object.get(UNREAD_PATCHES).and_then(Node::as_mapping);
    let paths = patches.into_iter().flat_map(Mapping::iter);
    let paths = paths.map(|(file, _)| join(UNREAD_PATCHES, &file.text));
    let found: Vec<_> = paths.zip(unread_patches(object, marker)).collect();
    if !found.is_empty()
        && let Some(mapping) = object.as_mapping_mut()
    {
        mapping.remove(UNREAD_PATCHES);
    }
    found
}

/// The token of a file whose objects an object stands for.
pub(super) fn stand_in_token(object: &Object) -> Option<&str> {
    let content = is_stand_in(&object.id).then(|| object.node.get(CONTENT));
    text_of(content.flatten()?)
}

/// Whether an object stands for those of a file of which nothing can be read.
pub fn is_stand_in(id: &ObjectId) -> bool {
    format!("{}/{}", id.group, id.version) == STAND_IN.0 && id.kind == STAND_IN.1
}

/// Opens encrypted files without a key.
pub(super) struct Door<'a> {
    marker: &'a Marker,
    met: Mutex<BTreeSet<String>>,
}

impl<'a> Door<'a> {
    pub(super) fn new(marker: &'a Marker) -> Self {
        Self {
            marker,
            met: Mutex::default(),
        }
    }

    /// The encrypted files that were met, sorted.
    pub(super) fn met(self) -> Vec<String> {
        let met = self
            .met
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        met.into_iter().collect()
    }

    fn token(&self, path: &str, ciphertext: &[u8]) -> String {
        self.marker.token(&Unknown {
            reason: format!("encrypted in {path}"),
            identity: ObjectHash::of_blob(ciphertext).to_string(),
        })
    }

    /// The documents of a file with a token for every encrypted value; keys stand in it as they are.
    fn documents(&self, file: &Sealed<'_>) -> Result<Opened, Error> {
        let mut documents = read_documents(file.bytes, 0, Dialect::Kustomize)?;
        for document in &mut documents {
            if let Some(mapping) = document.as_mapping_mut() {
                mapping.remove(METADATA);
            }
            self.replace(document, file.path);
        }
        let is_patch = file.purpose == Purpose::Patch;
        let is_read = |document| match is_patch {
            true => self.says_what_it_changes(document),
            false => self.is_known(document, "apiVersion") && self.is_known(document, "kind"),
        };
        if documents.iter().all(is_read) {
            return Ok(Opened::Documents(documents));
        }
        Ok(match is_patch {
            false => Opened::Documents(vec![self.stand_in(file)]),
            true => Opened::UnreadPatch(self.unread_patch(file)),
        })
    }

    /// What makes everything of an object unknown that a patch may be about.
    fn unread_patch(&self, file: &Sealed<'_>) -> Node {
        let (mut node, mut patches) = (self.stand_in(file), Node::mapping());
        if let Some(mapping) = patches.as_mapping_mut() {
            let token = Node::string(self.token(file.path, file.bytes));
            mapping.insert(object_name(file.path).as_str(), token);
        }
        if let Some(mapping) = node.as_mapping_mut() {
            mapping.remove(CONTENT);
            mapping.insert(UNREAD_PATCHES, patches);
        }
        node
    }

    /// Whether a patch says which object or which fields it is about.
    fn says_what_it_changes(&self, document: &Node) -> bool {
        match document.as_sequence() {
            Some(steps) => {
                let known = |step: &Node| self.is_known(step, "op") && self.is_known(step, "path");
                steps.iter().all(known)
            }
            None => self.is_known(document, "kind"),
        }
    }

    /// Whether a field is there and can be read.
    fn is_known(&self, document: &Node, field: &str) -> bool {
        let text = document.find_str(&[field]);
        text.is_some_and(|text| !self.marker.is_in(text))
    }

    /// What stands for the objects of a file that only its key tells of: one that is known to be there, and nothing more.
    fn stand_in(&self, file: &Sealed<'_>) -> Node {
        let (mut node, mut metadata) = (Node::mapping(), Node::mapping());
        if let Some(mapping) = metadata.as_mapping_mut() {
            mapping.insert("name", Node::string(object_name(file.path)));
        }
        if let Some(mapping) = node.as_mapping_mut() {
            mapping.insert("apiVersion", Node::string(STAND_IN.0));
            mapping.insert("kind", Node::string(STAND_IN.1));
            mapping.insert("metadata", metadata);
            mapping.insert(CONTENT, Node::string(self.token(file.path, file.bytes)));
        }
        node
    }

    fn replace(&self, node: &mut Node, path: &str) {
        match &node.value {
            Value::Scalar(scalar) if scalar.text.starts_with(CIPHERTEXT) => {
                node.value = Value::Scalar(Scalar {
                    text: self.token(path, scalar.text.as_bytes()).into(),
                    tag: Tag::Str,
                    style: Style::Plain,
                });
            }
            Value::Scalar(_) | Value::Secret(_) => {}
            Value::Sequence(_) => {
                let items = node.as_sequence_mut().into_iter().flatten();
                items.for_each(|item| self.replace(item, path));
            }
            Value::Mapping(_) => {
                let entries = node.as_mapping_mut().into_iter();
                let entries = entries.flat_map(|mapping| mapping.iter_mut());
                entries.for_each(|(_, value)| self.replace(value, path));
            }
        }
    }

    /// `KEY=value` lines with tokens; SOPS's own left out.
    fn lines(&self, file: &Sealed<'_>) -> String {
        let text = String::from_utf8_lossy(file.bytes);
        let entries = text.lines().filter_map(|line| line.split_once('='));
        entries
            .filter(|(key, _)| !key.starts_with("sops_") && !key.starts_with('#'))
            .map(|(key, value)| format!("{key}={}\n", self.token(file.path, value.as_bytes())))
            .collect()
    }
}

/// A path as the name of an object.
fn object_name(path: &str) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '.';
    let part = |char: char| {
        if is_part(char) {
            char.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    path.chars().map(part).collect()
}

impl Opener for Door<'_> {
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, Error> {
        let named = Format::of_name(file.name).or_else(|| Format::of_name(file.path));
        let is_encrypted = match named {
            Some(format) => sops::is_encrypted(file.bytes, format),
            None => Format::of_content(file.bytes).is_some(),
        };
        if !is_encrypted {
            return Ok(None);
        }
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.insert(file.path.to_owned());
        drop(met);
        let text = |text: String| Opened::Text(Zeroizing::new(text.into_bytes()));
        let dotenv = sops::is_encrypted(file.bytes, Format::Dotenv);
        match file.purpose {
            Purpose::Resource | Purpose::Patch => self.documents(file),
            Purpose::GeneratorEnvs if dotenv => Ok(text(self.lines(file))),
            Purpose::GeneratorEnvs | Purpose::GeneratorFile => {
                Ok(text(self.token(file.path, file.bytes)))
            }
        }
        .map(Some)
    }
}
