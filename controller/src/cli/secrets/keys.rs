//! Where the command line finds keys: `--key`, else where the sops program looks for age keys.

use std::path::{Path, PathBuf};

use sops::Keyring;
use zeroize::Zeroizing;

use super::super::Failure;

/// Keys for encrypted files.
#[derive(clap::Args)]
pub(in crate::cli) struct Keys {
    /// A file of keys: age identities, an SSH private key or armored OpenPGP keys; may be repeated. Without it,
    /// SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_FILE, sops/age/keys.txt in the configuration
    /// folder and ~/.ssh are looked at.
    #[arg(long = "key", value_name = "FILE")]
    key_files: Vec<PathBuf>,
}

impl Keys {
    /// All keys that were given, else all that are found.
    pub(in crate::cli) fn keyring(&self) -> Result<Keyring, Failure> {
        let mut keyring = Self::given(&self.key_files)?;
        if self.key_files.is_empty() {
            add_found(&mut keyring)?;
        }
        Ok(keyring)
    }

    /// The keys of these files and no others.
    pub(in crate::cli) fn given(files: &[PathBuf]) -> Result<Keyring, Failure> {
        let mut keyring = Keyring::default();
        for file in files {
            add_file(&mut keyring, file)?;
        }
        Ok(keyring)
    }
}

/// A file that was named must be there and hold keys.
fn add_file(keyring: &mut Keyring, file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::io("reading", file, &error))?;
    keyring
        .add(&text)
        .map_err(|error| Failure::new(error.in_file(&file.to_string_lossy()).to_string()))
}

/// What the environment names must be right; what lies in the usual places is taken when it can be.
fn add_found(keyring: &mut Keyring) -> Result<(), Failure> {
    if let Ok(text) = std::env::var("SOPS_AGE_KEY") {
        keyring
            .add_age(&Zeroizing::new(text))
            .map_err(|error| Failure::new(error.in_file("SOPS_AGE_KEY").to_string()))?;
    }
    for name in ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"] {
        if let Some(file) = std::env::var_os(name) {
            add_file(keyring, Path::new(&file))?;
        }
    }
    for file in usual_files() {
        if let Ok(text) = std::fs::read_to_string(&file).map(Zeroizing::new) {
            // A key with a passphrase, or of another kind, is no reason to fail.
            let _ = keyring.add(&text);
        }
    }
    Ok(())
}

fn usual_files() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let configuration = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut files = Vec::new();
    files.extend(configuration.map(|folder| folder.join("sops/age/keys.txt")));
    if std::env::var_os("SOPS_AGE_SSH_PRIVATE_KEY_FILE").is_none()
        && let Some(home) = home
    {
        files.push(home.join(".ssh/id_ed25519"));
        files.push(home.join(".ssh/id_rsa"));
    }
    files
}
