//! How a Kustomization gets at another cluster (`spec.kubeConfig`): with a kubeconfig out of a Secret, or with a token
//! that our own cluster issues and the other one trusts.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::context::Context;
use super::inputs::{CONFIG_MAP, Data, SECRET};
use crate::api::kustomization::{KubeConfigReference, SecretKeyReference, reason};
use crate::cluster::issue_token;
use crate::report::failure::{Again, Failure};

/// The keys of a Secret that may hold a kubeconfig when the spec names none.
const KEYS: [&str; 2] = ["value", "value.yaml"];

/// The provider of a ConfigMap that asks no cloud.
const GENERIC: &str = "generic";

/// How long a token is asked for. It is used for four fifths of that.
const TOKEN: Duration = Duration::from_secs(3600);

/// How a cluster is reached.
pub enum Access {
    /// A kubeconfig that somebody has written.
    Kubeconfig(Zeroizing<String>),
    /// A token of one of our accounts.
    Token(Account),
}

/// An account of our own cluster, and the cluster that trusts its tokens.
#[derive(Debug)]
pub struct Account {
    namespace: String,
    name: String,
    address: String,
    authority: Option<String>,
    audiences: Vec<String>,
}

impl Access {
    /// What makes two of them the same.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Kubeconfig(text) => Sha256::digest(text.as_bytes()).into(),
            Self::Token(account) => Sha256::digest(format!("{account:?}")).into(),
        }
    }

    /// The kubeconfig, and how long it may be used when that is not for ever.
    pub async fn kubeconfig(
        &self,
        client: &kube::Client,
    ) -> Result<(Zeroizing<String>, Option<Duration>), Failure> {
        match self {
            Self::Kubeconfig(text) => Ok((text.clone(), None)),
            Self::Token(account) => {
                let text = account.kubeconfig(client).await?;
                Ok((text, Some(TOKEN * 4 / 5)))
            }
        }
    }
}

impl Account {
    async fn kubeconfig(&self, client: &kube::Client) -> Result<Zeroizing<String>, Failure> {
        let account = (self.namespace.as_str(), self.name.as_str());
        let token = issue_token(client, account, &self.audiences, TOKEN).await;
        let token = token.map_err(|error| {
            let place = format!("token of account '{}/{}'", self.namespace, self.name);
            failed(format!("{place}: {error}"), Again::Backoff)
        })?;
        Ok(self.written(&token))
    }

    fn written(&self, token: &str) -> Zeroizing<String> {
        let mut cluster = json!({ "server": self.address });
        if let Some(authority) = &self.authority {
            cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
        }
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "there",
            "contexts": [{ "name": "there", "context": { "cluster": "there", "user": "me" } }],
            "clusters": [{ "name": "there", "cluster": cluster }],
            "users": [{ "name": "me", "user": { "token": token } }],
        });
        Zeroizing::new(text.to_string())
    }
}

/// Reads how a Kustomization gets at its cluster.
pub async fn read(
    context: &Context,
    namespace: &str,
    reference: &KubeConfigReference,
) -> Result<Access, Failure> {
    match (&reference.secret_ref, &reference.config_map_ref) {
        (Some(secret), _) => secret_text(context, namespace, secret).await,
        (None, Some(map)) => {
            let default = context
                .settings
                .default_kubeconfig_service_account
                .as_deref();
            let data = data(context, CONFIG_MAP, namespace, &map.name).await?;
            let place = format!("kubeconfig ConfigMap '{namespace}/{}'", map.name);
            let account = account(namespace, &data, default);
            let account = account
                .map_err(|problem| failed(format!("{place}: {problem}"), Again::RetryInterval))?;
            Ok(Access::Token(account))
        }
        (None, None) => {
            let message = "spec.kubeConfig names neither a Secret nor a ConfigMap";
            Err(failed(message.to_owned(), Again::Never))
        }
    }
}

async fn data(
    context: &Context,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Arc<Data>, Failure> {
    let place = format!("kubeconfig {kind} '{namespace}/{name}'");
    let (watches, client) = (&context.input_watches, &context.client);
    let data = watches.data(client, kind, namespace, name).await;
    let data = data.map_err(|error| failed(format!("{place}: {error}"), Again::Backoff))?;
    data.ok_or_else(|| failed(format!("{place}: not found"), Again::RetryInterval))
}

async fn secret_text(
    context: &Context,
    namespace: &str,
    reference: &SecretKeyReference,
) -> Result<Access, Failure> {
    let data = data(context, SECRET, namespace, &reference.name).await?;
    let missing = |what: &str| {
        let place = format!("kubeconfig Secret '{namespace}/{}'", reference.name);
        failed(format!("{place}: {what}"), Again::RetryInterval)
    };
    let named = reference.key.as_deref().filter(|key| !key.is_empty());
    let value = match named {
        Some(key) => data.get(key),
        None => KEYS.iter().find_map(|key| data.get(*key)),
    };
    let value = value.ok_or_else(|| {
        missing(&format!(
            "it has no key {}",
            named.unwrap_or("'value' or 'value.yaml'")
        ))
    })?;
    let text = std::str::from_utf8(value).map_err(|_| missing("it is no kubeconfig"))?;
    Ok(Access::Kubeconfig(text.to_owned().into()))
}

/// What a ConfigMap says, under Flux's keys.
fn account(namespace: &str, data: &Data, default: Option<&str>) -> Result<Account, String> {
    let text = |key: &str| {
        let value = data
            .get(key)
            .and_then(|value| std::str::from_utf8(value).ok());
        value.map(str::trim).filter(|value| !value.is_empty())
    };
    let provider = text("provider").ok_or("it has no key 'provider'")?;
    if provider != GENERIC {
        return Err(format!(
            "provider '{provider}': this version of Weir asks no cloud for access, write '{GENERIC}'"
        ));
    }
    let address = text("address").ok_or("it has no key 'address'")?.to_owned();
    let name = text("serviceAccountName").or(default);
    let name = name.ok_or(
        "it has no key 'serviceAccountName', and --default-kubeconfig-service-account is not set",
    )?;
    let audiences = text("audiences").map(|text| text.split([',', '\n', ' ']));
    let audiences = audiences.map(|all| all.map(str::trim).filter(|one| !one.is_empty()));
    let audiences = audiences.map(|all| all.map(str::to_owned).collect());
    Ok(Account {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        authority: text("ca.crt").map(str::to_owned),
        audiences: audiences.unwrap_or_else(|| vec![address.clone()]),
        address,
    })
}

fn failed(message: String, again: Again) -> Failure {
    Failure::new(reason::RECONCILIATION_FAILED, message).again(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &str)]) -> Data {
        let entry =
            |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec().into());
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_config_map_names_a_cluster_and_an_account() {
        let plain = [
            ("provider", "generic"),
            ("address", "https://there:6443"),
            ("serviceAccountName", "edge"),
        ];
        let read = account("apps", &data(&plain), None).expect("all is there");
        assert_eq!(
            (read.namespace.as_str(), read.name.as_str()),
            ("apps", "edge")
        );
        assert_eq!(read.audiences, ["https://there:6443"]);
        let listed = [
            plain[0],
            plain[1],
            plain[2],
            ("audiences", "one, two\nthree"),
        ];
        let read = account("apps", &data(&listed), None).expect("all is there");
        assert_eq!(read.audiences, ["one", "two", "three"]);
        let read = account("apps", &data(&plain[..2]), Some("usual")).expect("there is a default");
        assert_eq!(read.name, "usual");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (entries, part) in [
            (&[][..], "'provider'"),
            (&[("provider", "aws")][..], "asks no cloud"),
            (&[("provider", "generic")][..], "'address'"),
            (
                &[("provider", "generic"), ("address", "https://there")][..],
                "'serviceAccountName'",
            ),
        ] {
            let problem = account("apps", &data(entries), None).expect_err(part);
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let account = account(
            "apps",
            &data(&[
                ("provider", "generic"),
                ("address", "https://there"),
                ("serviceAccountName", "edge"),
            ]),
            None,
        )
        .expect("valid");
        let text = account.written("hunter2");
        assert!(kube::config::Kubeconfig::from_yaml(&text).is_ok());
    }
}
