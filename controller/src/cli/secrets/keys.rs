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

/// The text of a key file, and what people call it.
struct Source {
    name: String,
    text: Zeroizing<String>,
    /// It lies in a usual place, and may be of no use.
    may_fail: bool,
}

impl Keys {
    /// All keys that were given, else all that are found.
    pub(in crate::cli) fn keyring(&self) -> Result<Keyring, Failure> {
        gather(&self.sources()?)
    }

    /// The same, each key file by itself.
    pub(super) fn named(&self) -> Result<Vec<(String, Keyring)>, Failure> {
        let mut named = Vec::new();
        for source in self.sources()? {
            named.push((source.name.clone(), gather(&[source])?));
        }
        Ok(named)
    }

    /// The keys of these files and no others.
    pub(in crate::cli) fn given(files: &[PathBuf]) -> Result<Keyring, Failure> {
        let sources: Vec<_> = files
            .iter()
            .map(|file| named_file(file))
            .collect::<Result<_, _>>()?;
        gather(&sources)
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        match self.key_files.is_empty() {
            true => found(),
            false => self.key_files.iter().map(|file| named_file(file)).collect(),
        }
    }
}

fn gather(sources: &[Source]) -> Result<Keyring, Failure> {
    let mut keyring = Keyring::default();
    for source in sources {
        let added = keyring.add(&source.text);
        // In a usual place a key with a passphrase, or of another kind, is no reason to fail.
        if !source.may_fail {
            added.map_err(|error| Failure::new(error.in_file(&source.name).to_string()))?;
        }
    }
    Ok(keyring)
}

/// A file that was named must be there and hold keys.
fn named_file(file: &Path) -> Result<Source, Failure> {
    let text = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::io("reading", file, &error))?;
    Ok(Source {
        name: file.display().to_string(),
        text,
        may_fail: false,
    })
}

/// What the environment names must be right; what lies in the usual places is taken when it can be.
fn found() -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    if let Ok(text) = std::env::var("SOPS_AGE_KEY") {
        sources.push(Source {
            name: "SOPS_AGE_KEY".to_owned(),
            text: Zeroizing::new(text),
            may_fail: false,
        });
    }
    for name in ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"] {
        if let Some(file) = std::env::var_os(name) {
            sources.push(named_file(Path::new(&file))?);
        }
    }
    let usual = usual_files().into_iter();
    let usual = usual.filter_map(|file| named_file(&file).ok());
    sources.extend(usual.map(|source| Source {
        may_fail: true,
        ..source
    }));
    Ok(sources)
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
