//! HashiCorp Vault and OpenBao: the transit engine decrypts, after a login with a token, AppRole or a JWT.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use overlay::yaml::Node;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::credentials::{Credentials, Sensitive, Token, field};
use super::http::Request;
use super::memory::digest;
use super::{Refusal, Services, Unwrap, is_name, parse};

/// Wrapped data keys begin so.
const CIPHERTEXT: &str = "vault:v";

/// A lease is used up to this much before its end.
const MARGIN: Duration = Duration::from_secs(30);

/// How we log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// With a token that needs no login.
    Token(Sensitive),
    /// With a role's two halves.
    AppRole {
        /// Where the method is, usually `auth/approle/login`.
        path: String,
        /// One half.
        role_id: String,
        /// The other.
        secret_id: Sensitive,
    },
    /// With a token of a Kubernetes service account.
    Jwt {
        /// Where the method is, usually `auth/kubernetes/login`.
        path: String,
        /// The role that is asked for.
        role: String,
        /// The account's token, made for Vault alone.
        token: Token,
    },
}

impl Login {
    /// Reads `sops.vault-approle`.
    pub(super) fn app_role(document: &Node) -> Result<Self, &'static str> {
        let needed = "it needs roleId and secretId";
        let path = field(document, "loginPath").unwrap_or_else(|| "auth/approle/login".to_owned());
        Ok(Self::AppRole {
            path,
            role_id: field(document, "roleId").ok_or(needed)?,
            secret_id: Sensitive::new(field(document, "secretId").ok_or(needed)?),
        })
    }
}

/// A server that takes tokens of service accounts: one of the operator's ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it is. It is whom the tokens are made for, too.
    pub address: String,
    /// Where it takes them, such as `auth/kubernetes/login`.
    pub login_path: String,
}

impl Server {
    /// Whether a key's address is this server's.
    pub(super) fn is_at(&self, address: &Url) -> bool {
        Url::parse(&self.address).is_ok_and(|own| own == *address)
    }

    /// A login with a token of the account, under the role that Flux gives it.
    fn login(credentials: &Credentials, address: &Url) -> Option<Login> {
        let account = credentials.vault_account.clone()?;
        let mut servers = credentials.vault_servers.iter();
        let server = servers.find(|server| server.is_at(address))?;
        Some(Login::Jwt {
            path: server.login_path.clone(),
            role: format!("{}_{}", account.namespace, account.name),
            token: Token::Issued {
                account,
                audience: server.address.clone(),
            },
        })
    }
}

/// A key of a transit engine.
pub struct Key {
    address: Url,
    engine: Vec<String>,
    name: String,
}

impl Key {
    /// Checks what a file says.
    pub(super) fn parse(address: &str, engine: &str, name: &str) -> Result<Self, Refusal> {
        let url = Url::parse(address).map_err(|_| Refusal::BadKey("its address is none"))?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() || !bare {
            return Err(Refusal::BadKey(
                "its address is more than a server and a path",
            ));
        }
        let engine = segments(engine).ok_or(Refusal::BadKey("its engine has no path"))?;
        if segments(url.path()).is_none() && url.path() != "/" || !is_name(name) {
            return Err(Refusal::BadKey("its name has letters that none has"));
        }
        Ok(Self {
            address: url,
            engine,
            name: name.to_owned(),
        })
    }

    /// An address of the server's interface.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.address.clone();
        let before = url.path().trim_matches('/').to_owned();
        let parts = [before.as_str(), "v1"]
            .into_iter()
            .chain(path.iter().copied());
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        url.set_path(&parts.join("/"));
        url
    }

    async fn token(&self, services: &Services, login: &Login) -> Result<Sensitive, Refusal> {
        let path = match login {
            Login::Token(token) => return Ok(token.clone()),
            Login::AppRole { path, .. } | Login::Jwt { path, .. } => path,
        };
        let path = segments(path).ok_or(Refusal::BadCredentials("the login has no path"))?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let url = self.at(&path);
        let memory = digest(&("vault login", login, url.as_str()));
        if let Some(token) = services.memory.get(&memory) {
            return Ok(Sensitive::new(String::from_utf8_lossy(&token)));
        }
        let body = match login {
            Login::Token(token) => return Ok(token.clone()),
            Login::AppRole {
                role_id, secret_id, ..
            } => json!({ "role_id": role_id, "secret_id": &**secret_id }),
            Login::Jwt { role, token, .. } => {
                json!({ "role": role, "jwt": &*token.read().await? })
            }
        };
        let answer = services.http.send(vault_request(url, &body)).await?;
        let auth = parse::<LoginAnswer>(&answer)?.auth;
        let token = Sensitive::new(auth.client_token);
        let lifetime = Duration::from_secs(auth.lease_duration).saturating_sub(MARGIN);
        services.memory.put(memory, token.as_bytes(), lifetime);
        Ok(token)
    }

    async fn decrypt(
        &self,
        services: &Services,
        credentials: &Credentials,
        ciphertext: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if !ciphertext.starts_with(CIPHERTEXT) {
            return Err(Refusal::BadCiphertext);
        }
        let login = credentials.or_lent(services, |credentials| credentials.vault.as_ref());
        let of_account = || Server::login(credentials, &self.address);
        let login = login.cloned().or_else(of_account);
        let login = login.ok_or(Refusal::NoCredentials(
            "the decryption Secret has no sops.vault-token, the environment no VAULT_TOKEN",
        ))?;
        let token = self.token(services, &login).await?;
        let mut path: Vec<&str> = self.engine.iter().map(String::as_str).collect();
        path.extend(["decrypt", &self.name]);
        let request = vault_request(self.at(&path), &json!({ "ciphertext": ciphertext }))
            .header("x-vault-token", &*token);
        let answer = services.http.send(request).await?;
        let data = parse::<Decrypted>(&answer)?.data;
        let encoded = Zeroizing::new(data.plaintext);
        STANDARD
            .decode(&*encoded)
            .map(Zeroizing::new)
            .map_err(|_| Refusal::Answer("the data key is not base64"))
    }
}

impl Unwrap for Key {
    fn targets(&self) -> Vec<String> {
        let address = self.address.as_str().trim_end_matches('/');
        vec![format!("{address}/{}/{}", self.engine.join("/"), self.name)]
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

/// Vault wants this header from whoever could be tricked into sending a request for others.
fn vault_request(url: Url, body: &Value) -> Request {
    Request::json(url, body).header("x-vault-request", "true")
}

/// The parts of a path that leads nowhere else.
fn segments(path: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(str::to_owned)
        .collect();
    parts.iter().all(|part| is_name(part)).then_some(parts)
}

#[derive(Deserialize)]
struct Decrypted {
    data: Plaintext,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: String,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_key_and_nothing_else() {
        let key = Key::parse("https://vault.test:8200/", "team/transit", "weir").expect("a key");
        assert_eq!(
            key.targets(),
            ["https://vault.test:8200/team/transit/weir".to_owned()]
        );
        assert_eq!(
            key.at(&["team", "transit"]).as_str(),
            "https://vault.test:8200/v1/team/transit"
        );
        for (address, engine, name) in [
            ("vault.test", "transit", "weir"),
            ("file:///etc/passwd", "transit", "weir"),
            ("https://user@vault.test", "transit", "weir"),
            ("https://vault.test/?a=", "transit", "weir"),
            ("https://vault.test/#", "transit", "weir"),
            ("https://vault.test/a%2fb", "transit", "weir"),
            ("https://vault.test", "", "weir"),
            ("https://vault.test", "transit/../sys", "weir"),
            ("https://vault.test", "transit//x", "weir"),
            ("https://vault.test", "transit?x", "weir"),
            ("https://vault.test", "transit", "weir/../../sys/seal"),
            ("https://vault.test", "transit", ".."),
            ("https://vault.test", "transit", "we\nir"),
        ] {
            let parsed = Key::parse(address, engine, name).map(|key| key.targets());
            assert!(parsed.is_err(), "{address} {engine} {name}: {parsed:?}");
        }
    }
}
