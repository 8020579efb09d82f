//! Azure Key Vault: one call of decrypt (RSA-OAEP-256), with the token of an application that shows a secret or a
//! token of a service account.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt;
use futures::future::BoxFuture;
use overlay::yaml::Node;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::credentials::{Credentials, Sensitive, Token, field};
use super::http::Request;
use super::memory::digest;
use super::{Refusal, Services, Unwrap, address, is_name, parse};

const API: &str = "api-version=7.4";

/// What SOPS wraps data keys with.
const ALGORITHM: &str = "RSA-OAEP-256";

/// A token is used up to this much before its end.
const MARGIN: u64 = 60;

/// The clouds: how names of vaults end, what a token is asked for, and who gives it. A token goes nowhere else.
const CLOUDS: [(&str, &str, &str); 4] = [
    (
        ".vault.azure.net",
        "https://vault.azure.net/.default",
        "https://login.microsoftonline.com",
    ),
    (
        ".managedhsm.azure.net",
        "https://managedhsm.azure.net/.default",
        "https://login.microsoftonline.com",
    ),
    (
        ".vault.azure.cn",
        "https://vault.azure.cn/.default",
        "https://login.chinacloudapi.cn",
    ),
    (
        ".vault.usgovcloudapi.net",
        "https://vault.usgovcloudapi.net/.default",
        "https://login.microsoftonline.us",
    ),
];

/// Who we are to Azure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// An application with a secret.
    Secret {
        /// Its tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Sensitive,
    },
    /// An application that a token of a service account stands for.
    Federated {
        /// Its tenant.
        tenant: String,
        /// The application.
        client: String,
        /// The token.
        token: Token,
    },
}

impl Identity {
    /// Reads `sops.azure-kv`.
    pub(super) fn fixed(document: &Node) -> Result<Self, &'static str> {
        let read = |name: &str| field(document, name);
        if read("clientCertificate").is_some() && read("clientSecret").is_none() {
            return Err("client certificates are not supported; give a clientSecret");
        }
        let known = |host: &str| {
            let mut authorities = CLOUDS.iter().map(|(_, _, authority)| *authority);
            authorities.any(|authority| authority == host.trim_end_matches('/'))
        };
        if read("authorityHost").is_some_and(|host| !known(&host)) {
            return Err("its authorityHost is none of Azure's");
        }
        let flux = read("tenantId")
            .zip(read("clientId"))
            .zip(read("clientSecret"));
        let written_by_az = read("tenant").zip(read("appId")).zip(read("password"));
        let ((tenant, client), secret) = flux
            .or(written_by_az)
            .ok_or("it needs tenantId, clientId and clientSecret")?;
        Ok(Self::Secret {
            tenant,
            client,
            secret: Sensitive::new(secret),
        })
    }

    fn tenant(&self) -> &str {
        match self {
            Self::Secret { tenant, .. } | Self::Federated { tenant, .. } => tenant,
        }
    }
}

/// A key of a vault.
pub struct Key {
    vault: Url,
    name: String,
    version: String,
    scope: &'static str,
    authority: &'static str,
}

impl Key {
    /// Checks what a file says.
    pub(super) fn parse(vault: &str, name: &str, version: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::BadKey("its address is not that of a vault");
        let url = Url::parse(vault).map_err(|_| wrong())?;
        let host = url.host_str().unwrap_or_default();
        let cloud = CLOUDS.iter().find(|(suffix, _, _)| {
            host.strip_suffix(suffix)
                .is_some_and(|vault| is_name(vault) && !vault.contains('.'))
        });
        let bare = url.as_str() == format!("https://{host}/");
        let Some((_, scope, authority)) = cloud.filter(|_| bare) else {
            return Err(wrong());
        };
        if !is_name(name) || !(version.is_empty() || is_name(version)) {
            return Err(Refusal::BadKey("its name has letters that none has"));
        }
        Ok(Self {
            vault: url,
            name: name.to_owned(),
            version: version.to_owned(),
            scope,
            authority,
        })
    }

    async fn token(&self, services: &Services, identity: &Identity) -> Result<Sensitive, Refusal> {
        let memory = digest(&("azure token", identity, self.scope));
        if let Some(token) = services.memory.get(&memory) {
            return Ok(Sensitive::new(String::from_utf8_lossy(&token)));
        }
        if !is_name(identity.tenant()) {
            return Err(Refusal::BadCredentials("the tenant is not one"));
        }
        let path = format!("/{}/oauth2/v2.0/token", identity.tenant());
        let url = address(
            &services.settings.endpoints.azure_tokens,
            self.authority,
            &path,
        )?;
        let request = token_request(url, self.scope, identity).await?;
        let answer: Granted = parse(&services.http.send(request).await?)?;
        let token = Sensitive::new(answer.access_token);
        let lifetime = Duration::from_secs(answer.expires_in.saturating_sub(MARGIN));
        services.memory.put(memory, token.as_bytes(), lifetime);
        Ok(token)
    }

    async fn decrypt(
        &self,
        services: &Services,
        credentials: &Credentials,
        ciphertext: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if URL_SAFE_NO_PAD.decode(ciphertext).is_err() {
            return Err(Refusal::BadCiphertext);
        }
        let identity = credentials.or_lent(services, |credentials| credentials.azure.as_ref());
        let identity = identity.ok_or(Refusal::NoCredentials(
            "there is no sops.azure-kv in the decryption Secret, no service account that stands for an identity, and none of the process is lent out",
        ))?;
        let token = self.token(services, identity).await?;
        let path = match self.version.as_str() {
            "" => format!("/keys/{}/decrypt", self.name),
            version => format!("/keys/{}/{version}/decrypt", self.name),
        };
        let own = self.vault.as_str();
        let mut url = address(&services.settings.endpoints.azure_key_vault, own, &path)?;
        url.set_query(Some(API));
        let body = json!({ "alg": ALGORITHM, "value": ciphertext });
        let answer = services
            .http
            .send(Request::json(url, &body).bearer(&token))
            .await?;
        let encoded = Zeroizing::new(parse::<Decrypted>(&answer)?.value);
        URL_SAFE_NO_PAD
            .decode(&*encoded)
            .map(Zeroizing::new)
            .map_err(|_| Refusal::Answer("the data key is not base64"))
    }
}

impl Unwrap for Key {
    /// The key in all its versions.
    fn targets(&self) -> Vec<String> {
        vec![format!("{}keys/{}", self.vault, self.name)]
    }

    fn unwrap<'a>(
        &'a self,
        services: &'a Services,
        credentials: &'a Credentials,
        ciphertext: &'a str,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Refusal>> {
        self.decrypt(services, credentials, ciphertext).boxed()
    }
}

async fn token_request(url: Url, scope: &str, identity: &Identity) -> Result<Request, Refusal> {
    let grant = ("grant_type", "client_credentials");
    Ok(match identity {
        Identity::Secret { client, secret, .. } => Request::form(
            url,
            &[
                grant,
                ("client_id", client),
                ("client_secret", secret),
                ("scope", scope),
            ],
        ),
        Identity::Federated { client, token, .. } => Request::form(
            url,
            &[
                grant,
                ("client_id", client),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", &*token.read().await?),
                ("scope", scope),
            ],
        ),
    })
}

#[derive(Deserialize)]
struct Decrypted {
    value: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_vault_of_azure_and_nothing_else() {
        let key = Key::parse("https://shop.vault.azure.net/", "sops", "0a1b").expect("a key");
        assert_eq!(key.targets(), ["https://shop.vault.azure.net/keys/sops"]);
        for (vault, name, version) in [
            ("https://shop.vault.azure.net.evil.test", "sops", ""),
            ("https://evil.test/.vault.azure.net", "sops", ""),
            ("https://vault.azure.net", "sops", ""),
            ("https://a.b.vault.azure.net", "sops", ""),
            ("http://shop.vault.azure.net", "sops", ""),
            ("https://shop.vault.azure.net:8443", "sops", ""),
            ("https://me@shop.vault.azure.net", "sops", ""),
            ("https://shop.vault.azure.net/x", "sops", ""),
            ("https://shop.vault.azure.net", "so/ps", ""),
            ("https://shop.vault.azure.net", "sops", "../x"),
            ("https://shop.vault.azure.net", "", ""),
        ] {
            assert!(Key::parse(vault, name, version).is_err(), "{vault} {name}");
        }
    }
}
