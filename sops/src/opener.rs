//! The composer's door: encrypted files are opened as it reads them, so that the MAC is checked over the file as stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use overlay::build::{Opened, Purpose, Sealed};
use overlay::{Place, yaml};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cache::{self, Cache};
use crate::data_key::{self, Answer, Answers};
use crate::decrypt::decrypt_with;
use crate::document::{Document, Plain};
use crate::error::{Error, ErrorKind};
use crate::format::{Format, is_encrypted};
use crate::key::Keyring;
use crate::mac::MacPolicy;
use crate::metadata::Wrapped;
use crate::nodes;
use crate::secret_data;
use crate::tree::{Branch, Value, pairs};

/// The annotation that keeps an object as it is stored, for a program in the cluster to decrypt.
const DECRYPT: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// Opens the encrypted files of a build with the keys of its owner.
pub struct Opener<'a> {
    keyring: &'a Keyring,
    answers: &'a Answers,
    policy: MacPolicy,
    asked: Option<&'a Asked>,
    cache: Option<&'a Cache>,
    /// Whose keys these are.
    owner: [u8; 32],
    warnings: Mutex<Vec<String>>,
}

/// What a build needs of key services. A file that waits for them stays closed in that build, whose outcome counts for
/// nothing: ask, add the answers, and build again.
#[derive(Debug, Default)]
pub struct Asked(Mutex<Vec<Vec<Wrapped>>>);

impl Asked {
    /// The wrapped data keys, by file and key group: any one of a group is enough.
    pub fn groups(self) -> Vec<Vec<Wrapped>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, groups: Vec<Vec<Wrapped>>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for group in groups {
            if !noted.contains(&group) {
                noted.push(group);
            }
        }
    }
}

impl overlay::build::Opener for Opener<'_> {
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, overlay::Error> {
        let content = self
            .content(file)
            .map_err(|error| composer_error(error, file.path))?;
        let plain = match content {
            Content::Plain => return Ok(None),
            Content::Closed => return Ok(Some(Opened::Closed)),
            Content::Opened(plain) => plain,
        };
        self.note(&plain, file.path);
        let opened = match file.purpose {
            Purpose::Resource | Purpose::Patch => documents(&plain).map(Opened::Documents),
            Purpose::GeneratorFile | Purpose::GeneratorEnvs => {
                plain.write(plain.format).map(Opened::Text)
            }
        };
        opened
            .map(Some)
            .map_err(|error| composer_error(error, file.path))
    }
}

/// What a file holds.
enum Content {
    /// Nothing that is encrypted.
    Plain,
    /// What stays encrypted in this build.
    Closed,
    /// What was encrypted.
    Opened(Arc<Plain>),
}

impl<'a> Opener<'a> {
    /// Opens with these keys and with what key services answered; `policy` says what a wrong MAC leads to.
    pub fn new(keyring: &'a Keyring, answers: &'a Answers, policy: MacPolicy) -> Self {
        Self {
            keyring,
            answers,
            policy,
            asked: None,
            cache: None,
            owner: owner(keyring, answers),
            warnings: Mutex::default(),
        }
    }

    /// Notes what key services must be asked for; otherwise a file that needs them is an error.
    #[must_use]
    pub fn asking(self, asked: &'a Asked) -> Self {
        Self {
            asked: Some(asked),
            ..self
        }
    }

    /// Looks for files that were opened before with the same keys, and keeps those that are opened now.
    #[must_use]
    pub fn with_cache(self, cache: &'a Cache) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    /// What the user should know about the files that were opened since this was asked last.
    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock_warnings())
    }

    fn lock_warnings(&self) -> MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, plain: &Plain, file: &str) {
        if let Some(problem) = &plain.mac_problem {
            self.lock_warnings().push(format!("{file}: {problem}"));
        }
    }

    fn content(&self, file: &Sealed<'_>) -> Result<Content, Error> {
        let Some(format) = format_of(file) else {
            return Ok(Content::Plain);
        };
        match self.opened(file.bytes, format, file.purpose == Purpose::Resource) {
            // The mark stood in a text, as in a ConfigMap that carries an encrypted file.
            Err(error) if error.kind == ErrorKind::MetadataNotFound => Ok(Content::Plain),
            opened => Ok(opened?.map_or(Content::Closed, Content::Opened)),
        }
    }

    /// Decrypts; `None` while key services are still to be asked.
    fn decrypt(&self, document: Document) -> Result<Option<Plain>, Error> {
        match data_key::recover(&document.metadata, self.keyring, self.answers) {
            Ok(data_key) => decrypt_with(document, &data_key, self.policy).map(Some),
            Err(kind) => {
                let asked = self.asked.ok_or(kind.clone())?;
                let groups = data_key::unasked(&document.metadata, self.keyring, self.answers);
                if groups.is_empty() {
                    return Err(kind.into());
                }
                asked.note(groups);
                Ok(None)
            }
        }
    }

    /// Decrypts, unless that was done before; `None` for a file that stays closed, as it says so or key services are
    /// still to be asked.
    fn opened(
        &self,
        bytes: &[u8],
        format: Format,
        holds_objects: bool,
    ) -> Result<Option<Arc<Plain>>, Error> {
        let key = cache::key(bytes, format, self.policy, &self.owner);
        let document = match self.cache.and_then(|cache| cache.get(&key)) {
            Some(plain) => return Ok(Some(plain)),
            None => Document::read(bytes, format)?,
        };
        if holds_objects && document.branches.iter().any(stays_closed) {
            return Ok(None);
        }
        let Some(plain) = self.decrypt(document)?.map(Arc::new) else {
            return Ok(None);
        };
        if let Some(cache) = self.cache {
            cache.insert(key, &plain, bytes.len());
        }
        Ok(Some(plain))
    }

    /// Opens the values of a Secret's `data` and `stringData` that are encrypted files themselves; true when there was
    /// one. Other objects are left alone, and so are those that are to stay closed.
    pub fn open_secret_values(
        &self,
        object: &mut yaml::Node,
        file: &str,
    ) -> Result<bool, overlay::Error> {
        if is_left_closed(object) {
            return Ok(false);
        }
        secret_data::open(object, |bytes, format, target| {
            self.value(bytes, format, target, file)
        })
        .map_err(|error| composer_error(error, file))
    }

    fn value(
        &self,
        bytes: &[u8],
        format: Format,
        target: Format,
        file: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(plain) = self.opened(bytes, format, false)? else {
            return Ok(None);
        };
        self.note(&plain, file);
        plain.write(target).map(Some)
    }
}

/// What stands for the keys, and for the data keys that key services gave.
fn owner(keyring: &Keyring, answers: &Answers) -> [u8; 32] {
    let mut given: Vec<[u8; 32]> = answers
        .iter()
        .filter_map(|(wrapped, answer)| match answer {
            Answer::Opened(share) => Some((wrapped, share)),
            Answer::Refused(_) => None,
        })
        .map(|(wrapped, share)| {
            let hash = Sha256::new().chain_update(&wrapped.ciphertext);
            hash.chain_update(&**share).finalize().into()
        })
        .collect();
    given.sort_unstable();
    let hash = Sha256::new().chain_update(keyring.fingerprint());
    given
        .iter()
        .fold(hash, Digest::chain_update)
        .finalize()
        .into()
}

/// True for an object that says that it is to stay as it is stored.
pub fn is_left_closed(object: &yaml::Node) -> bool {
    let wish = object.find_str(&["metadata", "annotations", DECRYPT]);
    wish.is_some_and(|wish| wish.eq_ignore_ascii_case("disabled"))
}

/// The same of a document as SOPS read it.
fn stays_closed(branch: &Branch) -> bool {
    let find = |branch: &'_ Branch, key: &str| -> Option<Value> {
        let pair = pairs(branch).find(|pair| pair.key == key)?;
        Some(pair.node.value.clone())
    };
    let annotations = match find(branch, "metadata") {
        Some(Value::Map(metadata)) => find(&metadata, "annotations"),
        _ => None,
    };
    let wish = match annotations {
        Some(Value::Map(annotations)) => find(&annotations, DECRYPT),
        _ => None,
    };
    let wish = wish.as_ref().and_then(Value::as_str);
    wish.is_some_and(|wish| wish.eq_ignore_ascii_case("disabled"))
}

/// The format of an encrypted file on its way through the door; `None` when it is not encrypted. A generator's key
/// decides before the file's name, as in Flux; where no name says anything, the content does.
fn format_of(file: &Sealed<'_>) -> Option<Format> {
    let named = match file.purpose {
        Purpose::Resource | Purpose::Patch => {
            Format::of_name(file.name).or_else(|| Format::of_name(file.path))
        }
        Purpose::GeneratorFile => secret_data::format_of_key(file.name),
        Purpose::GeneratorEnvs => Format::of_name(file.name).or(Some(Format::Dotenv)),
    };
    match named {
        Some(format) => is_encrypted(file.bytes, format).then_some(format),
        None => Format::of_content(file.bytes),
    }
}

fn documents(plain: &Plain) -> Result<Vec<yaml::Node>, Error> {
    plain
        .branches
        .iter()
        .filter_map(|branch| nodes::document(branch).transpose())
        .collect()
}

/// The error as the composer reports it: place, keys and reason, never a text of the file.
fn composer_error(error: Error, file: &str) -> overlay::Error {
    let place = Place {
        file: error.file.as_deref().unwrap_or(file).into(),
        line: error.position.line,
        column: error.position.column,
    };
    let message = match error.path.as_slice() {
        [] => error.kind.to_string(),
        path => format!("{}: {}", path.join("."), error.kind),
    };
    let composed = overlay::Error::new(message).at(place);
    match error.kind {
        // What key services refuse says itself what it takes.
        ErrorKind::NoMatchingKey { refusals, .. } if refusals.is_empty() => {
            composed.hint("give a key of one of its recipients, as spec.decryption does in a cluster and --key here")
        }
        _ => composed,
    }
}
