//! Who a Kustomization is to key services besides what its Secret says: the service account that its spec names, and the
//! servers of Vault that the operator's ConfigMap lists. Both are looked at only when a file needs a key service.

use overlay::yaml::{Dialect, Node, read_documents};

use super::inputs::{self, CONFIG_MAP};
use crate::api::kustomization::{Decryption, reason};
use crate::report::failure::{Again, Failure};
use crate::unwrap::account::Account;
use crate::unwrap::credentials::Credentials;
use crate::unwrap::vault::Server;

/// The entry of the ConfigMap, as in Flux.
const CONFIG: &str = "config.yaml";

/// What is allowed besides credentials in Secrets.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether a spec may name a service account (Flux's gate `ObjectLevelWorkloadIdentity`).
    pub accounts: bool,
    /// The account of Kustomizations with `spec.decryption` that name none.
    pub default_account: Option<String>,
    /// Namespace and name of the ConfigMap with the servers of Vault.
    pub vault_config_map: Option<(String, String)>,
}

/// Where to look when a key service is to be asked.
pub struct Lookup {
    client: kube::Client,
    namespace: String,
    account: Option<String>,
    vault_config_map: Option<(String, String)>,
}

impl Lookup {
    /// What a spec asks for, if that is allowed.
    pub fn new(
        client: &kube::Client,
        namespace: &str,
        decryption: &Decryption,
        rules: &Rules,
    ) -> Result<Self, Failure> {
        let own = decryption.service_account_name.clone();
        if own.is_some() && !rules.accounts {
            let message = "spec.decryption.serviceAccountName needs \
                           --feature-gates=ObjectLevelWorkloadIdentity=true";
            return Err(Failure::new(reason::FEATURE_GATE_DISABLED, message).again(Again::Never));
        }
        Ok(Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            account: own.or_else(|| rules.default_account.clone()),
            vault_config_map: rules.vault_config_map.clone(),
        })
    }

    /// Adds to the credentials of the Secret what is missing there.
    pub async fn complete(&self, given: &Credentials) -> Result<Credentials, Failure> {
        let named = self.account.as_ref();
        let named = named.map(|name| Account::new(self.client.clone(), &self.namespace, name));
        let of_account = match &named {
            Some(account) => account.credentials().await.map_err(failed)?,
            None => Credentials::default(),
        };
        let vault_servers = self.vault_servers().await?;
        let vault_account = match named {
            Some(account) => Some(account),
            None if vault_servers.is_empty() || given.vault.is_some() => None,
            None => Account::own(&self.client)
                .await
                .map_err(|error| failed(format!("asking for our own account: {error}")))?,
        };
        let given = given.clone();
        Ok(Credentials {
            vault: given.vault,
            aws: given.aws.or(of_account.aws),
            gcp: given.gcp.or(of_account.gcp),
            azure: given.azure.or(of_account.azure),
            vault_servers,
            vault_account,
            alone: of_account.alone,
        })
    }

    async fn vault_servers(&self) -> Result<Vec<Server>, Failure> {
        let Some((namespace, name)) = &self.vault_config_map else {
            return Ok(Vec::new());
        };
        let place = format!("Vault ConfigMap '{namespace}/{name}'");
        let data = inputs::data(&self.client, CONFIG_MAP, namespace, name).await;
        let data = data
            .map_err(|error| failed(format!("{place}: {error}")))?
            .ok_or_else(|| failed(format!("{place}: not found")))?;
        let text = data.get(CONFIG);
        let text = text.ok_or_else(|| failed(format!("{place}: it has no key '{CONFIG}'")))?;
        servers(text).ok_or_else(|| {
            let wanted = "instances, each with an address and a loginPath";
            failed(format!("{place}: key {CONFIG}: it is not {wanted}"))
        })
    }
}

fn failed(message: String) -> Failure {
    Failure::new(reason::BUILD_FAILED, message).again(Again::RetryInterval)
}

/// Reads `instances: [{address: …, loginPath: …}]`.
fn servers(text: &[u8]) -> Option<Vec<Server>> {
    let documents = read_documents(text, 0, Dialect::Kubernetes).ok()?;
    let instances = documents.first()?.find(&["instances"])?;
    let server = |instance: &Node| {
        Some(Server {
            address: instance.find_str(&["address"])?.to_owned(),
            login_path: instance.find_str(&["loginPath"])?.to_owned(),
        })
    };
    instances.as_sequence()?.iter().map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_flux_s_config_map() {
        let text = b"instances:\n  - address: https://a.test:8200\n    loginPath: auth/kubernetes/login\n  \
                     - address: https://b.test\n    loginPath: team/auth/jwt/login\n";
        let found = servers(text).expect("servers");
        let shown = found
            .iter()
            .map(|server| (server.address.as_str(), server.login_path.as_str()));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                ("https://a.test:8200", "auth/kubernetes/login"),
                ("https://b.test", "team/auth/jwt/login"),
            ]
        );
        for text in ["", "instances: x", "instances: [{address: a}]", "a: ["] {
            assert!(servers(text.as_bytes()).is_none(), "{text}");
        }
    }
}
