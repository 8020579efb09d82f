//! The way into the repository: the Secret that the GitRepository names. A deploy key is made in this process, goes into
//! the cluster alone, and only its public half is shown.

use std::path::{Path, PathBuf};

use anstream::{eprintln, println};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::sync::Sync;
use crate::cli::Failure;
use crate::source::known_lines;

/// What the way in is made of, where it is not in the cluster yet.
#[derive(clap::Args)]
pub(super) struct KeyFlags {
    /// An SSH private key without a passphrase that the repository lets in; default a new one, to be let in by you.
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// The file that says which keys the SSH server may show; default ~/.ssh/known_hosts.
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// The user for HTTPS.
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// The file with the password or token for HTTPS.
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
}

impl KeyFlags {
    /// Whether the user says what the way in is made of.
    pub(super) fn is_given(&self) -> bool {
        self.named().next().is_some()
    }

    /// The flags that were given, and whether they are for SSH.
    fn named(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let given = [
            ("--private-key-file", true, self.private_key_file.is_some()),
            ("--known-hosts", true, self.known_hosts.is_some()),
            ("--username", false, self.username.is_some()),
        ];
        let given = given.into_iter().filter(|(_, _, is_given)| *is_given);
        given.map(|(flag, is_for_ssh, _)| (flag, is_for_ssh))
    }

    /// Refuses what could not be used.
    pub(super) fn check(&self, sync: &Sync) -> Result<(), Failure> {
        let is_ssh = sync.is_ssh();
        if let Some((flag, _)) = self.named().find(|(_, is_for_ssh)| *is_for_ssh != is_ssh) {
            return Err(Failure::new(format!(
                "{flag} opens no repository at {}",
                sync.url()
            )));
        }
        match self.named().next() {
            Some((flag, _)) if sync.secret().is_none() => Err(Failure::with_hint(
                format!("{flag} is given, and the repository's GitRepository names no Secret"),
                "set its `spec.secretRef`, and commit that",
            )),
            _ => Ok(()),
        }
    }
}

/// Makes sure that the Secret is there.
pub(super) async fn ensure(client: &Client, sync: &Sync, flags: &KeyFlags) -> Result<(), Failure> {
    let Some(name) = sync.secret() else {
        return Ok(());
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), sync.namespace());
    let failed =
        |error: kube::Error| Failure::new(format!("Secret {}/{name}: {error}", sync.namespace()));
    if secrets.get_opt(name).await.map_err(failed)?.is_some() {
        println!(
            "✔ Secret {}/{name}, the way into the repository, is there",
            sync.namespace()
        );
        if let Some((flag, _)) = flags.named().next() {
            eprintln!(
                "warning: it stays as it is, and {flag} is not used; delete it to have another made"
            );
        }
        return Ok(());
    }
    let entries = match sync.is_ssh() {
        true => ssh(sync.url(), flags)?,
        false => https(name, flags)?,
    };
    let secret = json!({
        "metadata": { "name": name, "namespace": sync.namespace() },
        "stringData": entries,
    });
    let secret = serde_json::from_value(secret).map_err(|error| Failure::new(error.to_string()))?;
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .map_err(failed)?;
    println!(
        "✔ created Secret {}/{name}, the way into the repository",
        sync.namespace()
    );
    Ok(())
}

fn read(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::io("reading", file, &error))?;
    Ok(Zeroizing::new(text))
}

fn https(name: &str, flags: &KeyFlags) -> Result<Value, Failure> {
    let (Some(username), Some(file)) = (&flags.username, &flags.password_file) else {
        return Err(Failure::with_hint(
            format!("the repository's Secret {name} is not in the cluster"),
            "--username and --password-file say what it holds",
        ));
    };
    Ok(json!({ "username": username, "password": read(file)?.trim_end() }))
}

fn ssh(url: &str, flags: &KeyFlags) -> Result<Value, Failure> {
    let known = known_hosts(url, flags)?;
    let unusable = |error: &dyn std::fmt::Display| Failure::new(format!("the deploy key: {error}"));
    let key = match &flags.private_key_file {
        Some(file) => {
            PrivateKey::from_openssh(read(file)?.as_bytes()).map_err(|error| unusable(&error))?
        }
        None => PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)
            .map_err(|error| unusable(&error))?,
    };
    if key.is_encrypted() {
        return Err(Failure::new(
            "the deploy key has a passphrase, which nobody in the cluster could type",
        ));
    }
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|error| unusable(&error))?;
    let private = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| unusable(&error))?;
    if flags.private_key_file.is_none() {
        println!(
            "► let this deploy key in where the repository is hosted (reading is enough):\n  {public}"
        );
    }
    Ok(json!({ "identity": *private, "identity.pub": public, "known_hosts": known }))
}

/// The lines about the repository's server: those that the user has come to trust.
fn known_hosts(url: &str, flags: &KeyFlags) -> Result<String, Failure> {
    let file = match &flags.known_hosts {
        Some(file) => file.clone(),
        None => {
            let home = std::env::var_os("HOME")
                .map(PathBuf::from)
                .unwrap_or_default();
            home.join(".ssh/known_hosts")
        }
    };
    let text = read(&file)?;
    let lines = known_lines(&text, url).map_err(|error| Failure::new(error.to_string()))?;
    match lines.is_empty() {
        false => Ok(lines),
        true => Err(Failure::with_hint(
            format!("{} knows no key of the server of {url}", file.display()),
            "`ssh-keyscan` prints its keys; compare them with what the host publishes before you trust them",
        )),
    }
}
