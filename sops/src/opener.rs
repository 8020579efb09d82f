//! The composer's door: encrypted files are opened as it reads them, so that the MAC is checked over the file as stored.

use overlay::build::{Opened, Purpose, Sealed};
use overlay::{Place, yaml};
use zeroize::Zeroizing;

use crate::data_key::Answers;
use crate::decrypt::decrypt;
use crate::document::{Document, Plain};
use crate::error::{Error, ErrorKind};
use crate::format::{Format, is_encrypted};
use crate::key::Keyring;
use crate::mac::MacPolicy;
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
            Ok(document) => decrypt(document, self.keyring, self.answers, self.policy).map(Some),
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
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let document = Document::read(bytes, format)?;
        decrypt(document, self.keyring, self.answers, self.policy)?.write(target)
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
