//! The key of a new environment: made here, kept in a file or in the environment's cluster, and printed nowhere.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, PostParams};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::cli::connection::Connection;
use crate::environments::Environment;
use crate::source::work_tree;

/// The entry of the Secret that holds the key: its ending says what it is.
const ENTRY: &str = "age.agekey";

/// Where the private half goes.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(super) struct KeyFlags {
    /// Make an age key, and write its private half into this file, which must not be there and not in a repository.
    #[arg(long, value_name = "FILE")]
    key_out: Option<PathBuf>,
    /// Make an age key, and put its private half into the Secret that the environment's Kustomizations name, in the
    /// cluster of this kubeconfig context.
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Take this age recipient instead of making a key.
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,
}

/// A recipient, and the private half where it was made here.
pub(super) struct Key {
    pub(super) recipient: String,
    identity: Option<Zeroizing<String>>,
}

impl KeyFlags {
    /// Whether a place for the private half, or a recipient, was named.
    pub(super) fn is_given(&self) -> bool {
        self.key_out.is_some() || self.context.is_some() || self.recipient.is_some()
    }

    /// The key to encrypt for. Nothing is kept yet; what would refuse it later does so now.
    pub(super) fn key(&self) -> Result<Key, Failure> {
        if let Some(recipient) = &self.recipient {
            super::check(recipient)?;
            return Ok(Key {
                recipient: recipient.clone(),
                identity: None,
            });
        }
        if let Some(file) = &self.key_out {
            refuse_repository(file)?;
        }
        let key = sops::generate(false).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Key {
            recipient: key.recipient,
            identity: Some(key.identity),
        })
    }

    /// Keeps the private half where it belongs.
    pub(super) async fn keep(
        &self,
        key: &Key,
        model: &Environment,
        kubeconfig: Option<&Path>,
    ) -> Result<Option<String>, Failure> {
        let Some(identity) = &key.identity else {
            return Ok(None);
        };
        if let Some(file) = &self.key_out {
            write(file, &key.recipient, identity)?;
            return Ok(Some(format!(
                "{} holds the new private key, for you alone",
                file.display()
            )));
        }
        let connection = Connection {
            kubeconfig: kubeconfig.map(Path::to_owned),
            context: self.context.clone(),
            ..Connection::default()
        };
        let (namespace, name) = secret_of(model)?;
        create(connection.client().await?, &namespace, &name, identity).await?;
        Ok(Some(format!(
            "Secret {namespace}/{name} of that cluster holds the new private key"
        )))
    }
}

/// A private key in a work tree is one `git add .` away from everybody.
fn refuse_repository(file: &Path) -> Result<(), Failure> {
    let absolute =
        std::path::absolute(file).map_err(|error| Failure::io("finding", file, &error))?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let root = work_tree::root_of(folder).map_err(|error| Failure::new(error.to_string()))?;
    match root {
        Some(root) => Err(Failure::with_hint(
            format!(
                "{} lies in the Git work tree {}",
                file.display(),
                root.display()
            ),
            "name a file outside of any repository",
        )),
        None if absolute.symlink_metadata().is_ok() => {
            Err(Failure::new(format!("{} is there already", file.display())))
        }
        None => Ok(()),
    }
}

fn write(file: &Path, recipient: &str, identity: &str) -> Result<(), Failure> {
    let text = Zeroizing::new(format!("# public key: {recipient}\n{identity}\n"));
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::io("writing", file, &error))
}

/// The Secret that the model's Kustomizations take their keys from.
fn secret_of(model: &Environment) -> Result<(String, String), Failure> {
    let mut named = model.leaves.iter().filter_map(|leaf| {
        let reference = leaf.spec.decryption.as_ref()?.secret_ref.as_ref()?;
        Some((leaf.name.namespace.clone(), reference.name.clone()))
    });
    named.next().ok_or_else(|| {
        Failure::with_hint(
            format!(
                "no Kustomization of {} names a Secret with its keys",
                model.name
            ),
            "write the key to a file with --key-out, and put it where the cluster looks for it",
        )
    })
}

async fn create(
    client: kube::Client,
    namespace: &str,
    name: &str,
    identity: &str,
) -> Result<(), Failure> {
    let failed =
        |error: kube::Error| Failure::new(format!("creating Secret {namespace}/{name}: {error}"));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces
        .get_opt(namespace)
        .await
        .map_err(failed)?
        .is_none()
    {
        let new = json!({ "metadata": { "name": namespace } });
        namespaces
            .create(&PostParams::default(), &object(new)?)
            .await
            .map_err(failed)?;
    }
    let secret = json!({
        "metadata": { "name": name, "namespace": namespace },
        "stringData": { ENTRY: identity },
    });
    let secrets: Api<Secret> = Api::namespaced(client, namespace);
    match secrets
        .create(&PostParams::default(), &object(secret)?)
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Failure::with_hint(
            format!("Secret {namespace}/{name} is in that cluster already"),
            "is it the right cluster? `--recipient` takes the key that is there",
        )),
        Err(error) => Err(failed(error)),
    }
}

fn object<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::new(error.to_string()))
}
