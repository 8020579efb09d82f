//! The composer's door: encrypted files are opened as it reads them, so that the MAC is checked over the file as stored.

use std::sync::{Mutex, PoisonError};

use overlay::build::{Opened, Purpose, Sealed};
use overlay::{Place, yaml};
use zeroize::Zeroizing;

use crate::data_key::{self, Answers};
use crate::decrypt::decrypt_with;
use crate::document::{Document, Plain};
use crate::error::{Error, ErrorKind};
use crate::format::{Format, is_encrypted};
use crate::key::Keyring;
use crate::mac::MacPolicy;
use crate::metadata::Wrapped;
use crate::nodes;
use crate::secret_data;

/// Opens the encrypted files of a build with the keys of its owner.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// What key services answered.
    pub answers: &'a Answers,
    /// What a wrong MAC leads to.
    pub policy: MacPolicy,
    /// Where it is noted what key services must be asked for; without it, a file that needs them is an error.
    pub asked: Option<&'a Asked>,
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
        let Some(plain) = self
            .plain(file)
            .map_err(|error| composer_error(error, file.path))?
        else {
            return Ok(None);
        };
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

impl Opener<'_> {
    /// The opened file, when it is encrypted.
    fn plain(&self, file: &Sealed<'_>) -> Result<Option<Plain>, Error> {
        let Some(format) = format_of(file) else {
            return Ok(None);
        };
        match Document::read(file.bytes, format) {
            Ok(document) => self.decrypt(document),
            // The mark stood in a text, as in a ConfigMap that carries an encrypted file.
            Err(error) if error.kind == ErrorKind::MetadataNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the values of a Secret's `data` and `stringData` that are encrypted files themselves; true when there was
    /// one. Other objects are left alone.
    pub fn open_secret_values(
        &self,
        object: &mut yaml::Node,
        file: &str,
    ) -> Result<bool, overlay::Error> {
        secret_data::open(object, |bytes, format, target| {
            self.value(bytes, format, target)
        })
        .map_err(|error| composer_error(error, file))
    }

    fn value(
        &self,
        bytes: &[u8],
        format: Format,
        target: Format,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let document = Document::read(bytes, format)?;
        self.decrypt(document)?
            .map(|plain| plain.write(target))
            .transpose()
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
}

/// The format of an encrypted file on its way through the door; `None` when it is not encrypted.
fn format_of(file: &Sealed<'_>) -> Option<Format> {
    let named = Format::of_name(file.name);
    let format = match file.purpose {
        Purpose::Resource | Purpose::Patch => named
            .or_else(|| Format::of_name(file.path))
            .or_else(|| Format::of_content(file.bytes)),
        Purpose::GeneratorFile => Some(Format::of(file.name, file.bytes)),
        Purpose::GeneratorEnvs => named.or(Some(Format::Dotenv)),
    };
    format.filter(|&format| is_encrypted(file.bytes, format))
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
        ErrorKind::NoMatchingKey { .. } => {
            composed.hint("give a key of one of its recipients, as spec.decryption does in a cluster and --key here")
        }
        _ => composed,
    }
}
