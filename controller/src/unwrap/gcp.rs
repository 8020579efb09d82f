//! Google Cloud Key Management Service: one call of decrypt, with a token that an account's key, a metadata server or
//! another identity is exchanged for.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::account::Account;
use super::credentials::{Credentials, Sensitive, Token};
use super::http::Request;
use super::memory::digest;
use super::{Endpoints, Refusal, Services, Unwrap, address, is_name, parse};
use crate::claim;

const KMS: &str = "https://cloudkms.googleapis.com/";
const TOKENS: &str = "https://oauth2.googleapis.com/";
const EXCHANGE: &str = "https://sts.googleapis.com/";
const ACCOUNTS: &str = "https://iamcredentials.googleapis.com/";
/// By number, so that nobody answers for the name.
const METADATA: &str = "http://169.254.169.254/";
const METADATA_TOKEN: &str = "instance/service-accounts/default/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Whom a signed claim is for; other places are not asked, whatever a key file says.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// How Google calls tokens of Kubernetes.
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A token is used up to this much before its end.
const MARGIN: u64 = 60;

/// Who we are to Google.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A service account with its key.
    Account {
        /// Its address.
        email: String,
        /// The name of its key.
        key_id: String,
        /// The key (PEM).
        key: Sensitive,
    },
    /// A person who has logged in with `gcloud`.
    Person {
        /// The program that the person logged in with.
        client: String,
        /// Its secret.
        client_secret: Sensitive,
        /// What the person's tokens are made from.
        refresh: Sensitive,
    },
    /// A token as it is.
    Token(Sensitive),
    /// Whoever the machine or pod is.
    MetadataServer,
    /// An identity of elsewhere that Google takes a token of.
    Federated {
        /// The pool and provider.
        audience: String,
        /// The kind of token.
        kind: String,
        /// The token.
        token: Token,
        /// The service account that it stands for, if any.
        account: Option<String>,
    },
    /// A service account of the cluster of Google's that we run in.
    OfCluster {
        /// The account.
        of: Account,
        /// Google's service account that it stands for.
        account: String,
    },
}

/// A key file.
#[derive(Deserialize)]
struct KeyFile {
    r#type: String,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    service_account_impersonation_url: Option<String>,
    credential_source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    file: Option<String>,
}

impl Identity {
    /// Reads a key file that an owner gives: accounts and persons. What names files of the machine is refused.
    pub(super) fn of_owner(text: &str) -> Result<Self, &'static str> {
        match Self::of_process(text)? {
            Self::Federated { .. } => {
                Err("it is of type external_account, which names files of the machine")
            }
            identity => Ok(identity),
        }
    }

    /// Reads a key file that whoever starts the process gives.
    pub fn of_process(text: &str) -> Result<Self, &'static str> {
        // The parser's error may quote the text.
        let file: KeyFile = serde_json::from_str(text).map_err(|_| "it is not a JSON key file")?;
        match file.r#type.as_str() {
            "service_account" => account(file),
            "authorized_user" => {
                let needed = "it needs client_id, client_secret and refresh_token";
                Ok(Self::Person {
                    client: file.client_id.ok_or(needed)?,
                    client_secret: file.client_secret.map(Sensitive::new).ok_or(needed)?,
                    refresh: file.refresh_token.map(Sensitive::new).ok_or(needed)?,
                })
            }
            "external_account" => federated(file),
            _ => Err("it is none of service_account, authorized_user and external_account"),
        }
    }
}

fn account(file: KeyFile) -> Result<Identity, &'static str> {
    let needed = "it needs client_email and private_key";
    if file.token_uri.is_some_and(|address| address != AUDIENCE) {
        return Err("its token_uri is not https://oauth2.googleapis.com/token");
    }
    Ok(Identity::Account {
        email: file.client_email.ok_or(needed)?,
        key_id: file.private_key_id.unwrap_or_default(),
        key: file.private_key.map(Sensitive::new).ok_or(needed)?,
    })
}

fn federated(file: KeyFile) -> Result<Identity, &'static str> {
    let token = file.credential_source.and_then(|source| source.file);
    let token = token.ok_or("its credential_source is not a file")?;
    let account = match &file.service_account_impersonation_url {
        None => None,
        Some(url) => {
            let account = url
                .strip_prefix(
                    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/",
                )
                .and_then(|rest| rest.strip_suffix(":generateAccessToken"));
            Some(account.ok_or("its service_account_impersonation_url is not Google's")?)
        }
    };
    Ok(Identity::Federated {
        audience: file.audience.ok_or("it needs an audience")?,
        kind: file
            .subject_token_type
            .ok_or("it needs a subject_token_type")?,
        token: Token::File(token.into()),
        account: account.map(str::to_owned),
    })
}

/// A key of the service.
pub struct Key(String);

impl Key {
    /// Checks what a file says.
    pub(super) fn parse(resource: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = resource.split('/').collect();
        let names = ["projects", "locations", "keyRings", "cryptoKeys"];
        let in_place = parts.len() == 8
            && parts
                .chunks_exact(2)
                .zip(names)
                .all(|(pair, name)| pair[0] == name && is_name(pair[1]));
        match in_place {
            true => Ok(Self(resource.to_owned())),
            false => Err(Refusal::BadKey("its resource is not that of a key")),
        }
    }

    async fn decrypt(
        &self,
        services: &Services,
        credentials: &Credentials,
        ciphertext: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if STANDARD.decode(ciphertext).is_err() {
            return Err(Refusal::BadCiphertext);
        }
        let identity = credentials.or_lent(services, |credentials| credentials.gcp.as_ref());
        let identity = identity.ok_or(Refusal::NoCredentials(
            "there is no sops.gcp-kms in the decryption Secret, no service account that stands for an identity, and none of the process is lent out",
        ))?;
        let token = token(services, identity).await?;
        let path = format!("/v1/{}:decrypt", self.0);
        let url = address(&services.settings.endpoints.gcp_kms, KMS, &path)?;
        let request = Request::json(url, &json!({ "ciphertext": ciphertext })).bearer(&token);
        let answer = services.http.send(request).await?;
        let encoded = Zeroizing::new(parse::<Decrypted>(&answer)?.plaintext);
        STANDARD
            .decode(&*encoded)
            .map(Zeroizing::new)
            .map_err(|_| Refusal::Answer("the data key is not base64"))
    }
}

impl Unwrap for Key {
    fn targets(&self) -> Vec<String> {
        vec![self.0.clone()]
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

async fn token(services: &Services, identity: &Identity) -> Result<Sensitive, Refusal> {
    if let Identity::Token(token) = identity {
        return Ok(token.clone());
    }
    let memory = digest(&("gcp token", identity));
    if let Some(token) = services.memory.get(&memory) {
        return Ok(Sensitive::new(String::from_utf8_lossy(&token)));
    }
    let answer = services
        .http
        .send(token_request(services, identity).await?)
        .await?;
    let answer: Granted = parse(&answer)?;
    let mut granted = Sensitive::new(answer.access_token);
    if let Identity::Federated {
        account: Some(account),
        ..
    }
    | Identity::OfCluster { account, .. } = identity
    {
        granted = impersonated(services, account, &granted).await?;
    }
    let lifetime = Duration::from_secs(answer.expires_in.saturating_sub(MARGIN));
    services.memory.put(memory, granted.as_bytes(), lifetime);
    Ok(granted)
}

async fn token_request(services: &Services, identity: &Identity) -> Result<Request, Refusal> {
    let endpoints = &services.settings.endpoints;
    let tokens = || address(&endpoints.gcp_tokens, TOKENS, "/token");
    Ok(match identity {
        Identity::Account { email, key_id, key } => {
            let claim = signed_claim(email, key_id, key, Timestamp::now())?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            Request::form(tokens()?, &[("grant_type", grant), ("assertion", &claim)])
        }
        Identity::Person {
            client,
            client_secret,
            refresh,
        } => Request::form(
            tokens()?,
            &[
                ("grant_type", "refresh_token"),
                ("client_id", client),
                ("client_secret", client_secret),
                ("refresh_token", refresh),
            ],
        ),
        Identity::Federated {
            audience,
            kind,
            token,
            ..
        } => exchange(endpoints, audience, kind, &token.read().await?)?,
        Identity::OfCluster { of, .. } => {
            let (pool, provider) = pool(services).await?;
            let audience = format!("identitynamespace:{pool}:{provider}");
            exchange(endpoints, &audience, JWT, &of.token(&pool).await?)?
        }
        Identity::MetadataServer | Identity::Token(_) => metadata(endpoints, METADATA_TOKEN)?,
    })
}

/// A question to the metadata server.
fn metadata(endpoints: &Endpoints, path: &str) -> Result<Request, Refusal> {
    let path = format!("/computeMetadata/v1/{path}");
    let request = Request {
        method: Method::GET,
        url: address(&endpoints.gcp_metadata, METADATA, &path)?,
        headers: Vec::new(),
        body: Zeroizing::default(),
    };
    Ok(request.header("metadata-flavor", "Google"))
}

/// The pool that accounts of this cluster are in, and the cluster as its provider.
async fn pool(services: &Services) -> Result<(String, String), Refusal> {
    let endpoints = &services.settings.endpoints;
    let named = async |path| {
        let answer = services.http.send(metadata(endpoints, path)?).await?;
        let name = String::from_utf8_lossy(&answer).into_owned();
        match is_name(&name) {
            true => Ok(name),
            false => Err(Refusal::Answer("it is no name of a cluster")),
        }
    };
    let project = named("project/project-id").await?;
    let location = named("instance/attributes/cluster-location").await?;
    let cluster = named("instance/attributes/cluster-name").await?;
    let provider = format!(
        "https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}"
    );
    Ok((format!("{project}.svc.id.goog"), provider))
}

fn exchange(
    endpoints: &Endpoints,
    audience: &str,
    kind: &str,
    token: &str,
) -> Result<Request, Refusal> {
    let url = address(&endpoints.gcp_tokens, EXCHANGE, "/v1/token")?;
    Ok(Request::form(
        url,
        &[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("audience", audience),
            ("scope", SCOPE),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("subject_token", token),
            ("subject_token_type", kind),
        ],
    ))
}

/// The token of a service account that an identity of elsewhere stands for.
async fn impersonated(
    services: &Services,
    account: &str,
    token: &str,
) -> Result<Sensitive, Refusal> {
    let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
    let url = address(&services.settings.endpoints.gcp_tokens, ACCOUNTS, &path)?;
    let request = Request::json(url, &json!({ "scope": [SCOPE] })).bearer(token);
    let answer = services.http.send(request).await?;
    Ok(Sensitive::new(parse::<Impersonated>(&answer)?.access_token))
}

/// A claim to be an account, signed with its key.
fn signed_claim(
    email: &str,
    key_id: &str,
    key: &str,
    now: Timestamp,
) -> Result<Zeroizing<String>, Refusal> {
    let now = now.as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
    let claims = json!({
        "iss": email, "scope": SCOPE, "aud": AUDIENCE, "iat": now, "exp": now + 3600,
    });
    claim::signed(&header, &claims, key).map_err(Refusal::BadCredentials)
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

#[derive(Deserialize)]
struct Impersonated {
    #[serde(rename = "accessToken")]
    access_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_key_and_nothing_else() {
        let good = "projects/shop/locations/global/keyRings/weir/cryptoKeys/sops";
        assert!(Key::parse(good).is_ok());
        for bad in [
            "",
            "projects/shop",
            "projects/shop/locations/global/keyRings/weir/cryptoKeys/sops/cryptoKeyVersions/1",
            "projects/shop/locations/global/keyRings/../cryptoKeys/sops",
            "projects/shop/locations/global/keyRings/a?b/cryptoKeys/sops",
            "projects/shop/locations/global/keyRings/a%2f/cryptoKeys/sops",
            "projects/shop/regions/global/keyRings/weir/cryptoKeys/sops",
        ] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_files_name_no_other_place() {
        let account = |uri: &str| {
            let file = json!({
                "type": "service_account", "client_email": "a@b", "private_key": "k", "token_uri": uri,
            });
            Identity::of_owner(&file.to_string())
        };
        assert!(account(AUDIENCE).is_ok());
        assert!(account("https://evil.test/token").is_err());
        let mut file = json!({
            "type": "external_account", "audience": "a", "subject_token_type": "t",
            "credential_source": { "file": "/var/run/token" },
            "service_account_impersonation_url":
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken",
        });
        assert!(Identity::of_process(&file.to_string()).is_ok());
        assert!(Identity::of_owner(&file.to_string()).is_err());
        file["service_account_impersonation_url"] = json!("https://evil.test/a");
        assert!(Identity::of_process(&file.to_string()).is_err());
    }
}
