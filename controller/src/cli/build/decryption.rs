//! Encrypted files of a build: opened with the keys that are given, and with no others; masked unless that is asked for.

use std::path::PathBuf;

use overlay::{Build, Warning};
use sops::{Answers, Keyring, MacPolicy, Opener};
use zeroize::Zeroizing;

use super::super::secrets::Keys as KeyFiles;
use super::super::{Failure, sops_flags::Mac};
use crate::reconcile::encrypted;

/// How encrypted files are treated.
#[derive(clap::Args)]
pub(super) struct Decryption {
    /// Open encrypted files with the keys of this file: age identities, an SSH private key or armored OpenPGP keys; may
    /// be repeated. Without it they print as they are stored.
    #[arg(long = "key", value_name = "FILE")]
    key_files: Vec<PathBuf>,
    /// Print opened values in the clear, not as ***.
    #[arg(long, requires = "key_files", conflicts_with_all = ["output", "reads", "why"])]
    pub(super) reveal: bool,
    /// What a wrong or missing MAC of an encrypted file leads to.
    #[arg(long, value_enum, default_value_t = Mac::Error)]
    sops_mac: Mac,
}

/// The keys that were given.
pub(super) struct Keys {
    keyring: Keyring,
    answers: Answers,
    policy: MacPolicy,
}

impl Decryption {
    /// The keys, when there are any.
    pub(super) fn keys(&self) -> Result<Option<Keys>, Failure> {
        if self.key_files.is_empty() {
            return Ok(None);
        }
        Ok(Some(Keys {
            keyring: KeyFiles::given(&self.key_files)?,
            answers: Answers::new(),
            policy: self.sops_mac.into(),
        }))
    }
}

impl Keys {
    pub(super) fn opener(&self) -> Opener<'_> {
        Opener::new(&self.keyring, &self.answers, self.policy)
    }
}

/// Opens the values of Secrets that are encrypted files, and takes over what the user should know.
pub(super) fn open_values(opener: &Opener<'_>, build: &mut Build) -> Result<(), Failure> {
    encrypted::open_values(opener, &mut build.objects)
        .map_err(|failure| Failure::new(failure.message))?;
    let warnings = opener.warnings().into_iter().map(|message| Warning {
        place: None,
        message,
    });
    build.warnings.extend(warnings);
    Ok(())
}

/// The manifests with opened values in the clear.
pub(super) fn revealed(build: &Build) -> Zeroizing<String> {
    let nodes: Vec<_> = build.objects.iter().map(|object| &object.node).collect();
    overlay::yaml::write_documents_revealed(&nodes)
}
