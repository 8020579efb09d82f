//! GitHub Apps: a signed claim of who the app is gives a token of one installation, which is the password for Git.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::access::{Access, Credentials, SecretData};
use super::client::innermost;
use super::error::SourceError;
use super::refresh::Repositories;
use crate::claim;

/// Where GitHub answers, unless the Secret names another server.
const GITHUB: &str = "https://api.github.com";

/// The user of all installation tokens.
const USER: &str = "x-access-token";

/// A token is used up to this much before its end.
const MARGIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(120);

/// No answer has more bytes.
const LIMIT: usize = 256 * 1024;

/// An app, and which of its installations is meant.
#[derive(Clone)]
pub struct App {
    id: String,
    key: Zeroizing<String>,
    installation: Installation,
    base: String,
}

#[derive(Clone)]
enum Installation {
    Id(String),
    /// That of an organisation or a person.
    Owner(String),
}

/// A token, and until when it is good.
#[derive(Clone)]
pub(super) struct Issued {
    token: Zeroizing<String>,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Timestamp,
}

fn failed(problem: impl std::fmt::Display) -> SourceError {
    SourceError::Authentication(format!(
        "failed to configure authentication options: {problem}"
    ))
}

impl App {
    /// Reads the keys `githubApp…` of a Secret; `None` when it has no app.
    pub fn from_secret(data: &SecretData) -> Result<Option<Self>, SourceError> {
        let text = |key: &str| {
            let bytes = data.get(key).filter(|bytes| !bytes.is_empty())?;
            Some(String::from_utf8_lossy(bytes).trim().to_owned())
        };
        let Some(id) = text("githubAppID") else {
            return Ok(None);
        };
        let installation = match (
            text("githubAppInstallationID"),
            text("githubAppInstallationOwner"),
        ) {
            (Some(id), None) => Installation::Id(id),
            (None, Some(owner)) => Installation::Owner(owner),
            (None, None) => {
                return Err(failed(
                    "app installation owner or ID must be provided to use github app authentication",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(failed(
                    "only one of app installation owner or ID must be provided to use github app authentication",
                ));
            }
        };
        let (Installation::Id(name) | Installation::Owner(name)) = &installation;
        // They become part of an address.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.bytes().all(plain) || !id.bytes().all(plain) {
            return Err(failed(
                "the github app's ID, or that of its installation, is not one",
            ));
        }
        let key = text("githubAppPrivateKey").ok_or_else(|| {
            failed("private key must be provided to use github app authentication")
        })?;
        let base = text("githubAppBaseURL").unwrap_or_else(|| GITHUB.to_owned());
        Ok(Some(Self {
            id,
            key: Zeroizing::new(key),
            installation,
            base: base.trim_end_matches('/').to_owned(),
        }))
    }

    fn digest(&self) -> [u8; 32] {
        let (kind, name) = match &self.installation {
            Installation::Id(id) => ("id", id),
            Installation::Owner(owner) => ("owner", owner),
        };
        let mut digest = Sha256::new();
        for part in [&self.id, &*self.key, kind, name, &self.base] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// GitHub wants short claims, from a moment ago, as clocks differ.
    fn claim(&self, now: Timestamp) -> Result<Zeroizing<String>, SourceError> {
        let from = now.as_second() - 30;
        let claims = json!({ "iat": from, "exp": from + 120, "iss": self.id });
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        claim::signed(&header, &claims, &self.key)
            .map_err(|problem| failed(format!("could not parse private key: {problem}")))
    }
}

/// The credentials of an app's installation. A token is asked for again shortly before it ends.
pub async fn credentials(
    repositories: &Repositories,
    app: &App,
    access: &Access,
    timeout: Duration,
) -> Result<Credentials, SourceError> {
    let (now, digest) = (Timestamp::now(), app.digest());
    let known = repositories.tokens().get(&digest).cloned();
    let issued = match known.filter(|issued| now + MARGIN < issued.until) {
        Some(issued) => issued,
        None => {
            let client = repositories.client(access)?;
            let asked = tokio::time::timeout(timeout, issue(&client, app, now));
            let issued = asked
                .await
                .map_err(|_| failed("context deadline exceeded"))??;
            let mut tokens = repositories.tokens();
            tokens.retain(|_, issued| now < issued.until);
            tokens.insert(digest, issued.clone());
            issued
        }
    };
    Ok(Credentials::Basic {
        username: USER.to_owned(),
        password: issued.token.to_string(),
    })
}

async fn issue(client: &reqwest::Client, app: &App, now: Timestamp) -> Result<Issued, SourceError> {
    let claim = app.claim(now)?;
    let id = match &app.installation {
        Installation::Id(id) => id.clone(),
        Installation::Owner(owner) => installation(client, app, owner, &claim).await?,
    };
    let path = format!("/app/installations/{id}/access_tokens");
    let bytes = ask(client, Method::POST, app, &path, &claim).await?;
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| failed("the answer holds no token"))?;
    Ok(Issued {
        token: Zeroizing::new(answer.token),
        until: answer.expires_at,
    })
}

async fn installation(
    client: &reqwest::Client,
    app: &App,
    owner: &str,
    claim: &str,
) -> Result<String, SourceError> {
    let mut problem = failed("no installation");
    for kind in ["orgs", "users"] {
        let path = format!("/{kind}/{owner}/installation");
        match ask(client, Method::GET, app, &path, claim).await {
            Ok(bytes) => {
                let found: Found = serde_json::from_slice(&bytes)
                    .map_err(|_| failed("the answer holds no installation"))?;
                return Ok(found.id.to_string());
            }
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

async fn ask(
    client: &reqwest::Client,
    method: Method,
    app: &App,
    path: &str,
    claim: &str,
) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let url = format!("{}{path}", app.base);
    let network = |error: reqwest::Error| failed(format!("{method} {url}: {}", innermost(&error)));
    let mut response = client
        .request(method.clone(), &url)
        .bearer_auth(claim)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .send()
        .await
        .map_err(network)?;
    if !matches!(response.status(), StatusCode::OK | StatusCode::CREATED) {
        let status = response.status().as_u16();
        return Err(failed(format!(
            "{method} {url}: unexpected status {status}"
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if bytes.len() + chunk.len() > LIMIT {
            return Err(failed("the answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
