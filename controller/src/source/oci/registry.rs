//! One repository of a registry over HTTP: who asks is made known when it wants to know, and what comes is checked.

use reqwest::header::{
    ACCEPT, AUTHORIZATION, HeaderValue, LINK, LOCATION, USER_AGENT, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::challenge::Challenge;
use super::{Address, Descriptor, Logins, Manifest};
use crate::source::SourceError;
use crate::source::access::{Access, Credentials};
use crate::source::client::{authorization, innermost};
use crate::source::refresh::Repositories;

/// The kinds of manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// The kind of a list of referrers.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Who asks.
const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// As many bytes as a manifest, or a list of tags, may have.
const MANIFEST_LIMIT: usize = 4 << 20;

/// As many pages as a list of tags may have.
const PAGES: usize = 100;

/// As many hops as a registry may send us on.
const REDIRECTS: usize = 5;

/// The header with the digest of a manifest.
const DIGEST: &str = "docker-content-digest";

/// One repository of a registry.
pub struct Registry {
    address: Address,
    client: reqwest::Client,
    logins: Logins,
    /// What the registry was told last.
    known_as: Mutex<Option<HeaderValue>>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

impl Registry {
    /// The way to a repository: `access` says how TLS and proxies go, `logins` who we are.
    pub fn new(
        repositories: &Repositories,
        address: Address,
        access: &Access,
        logins: Logins,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            client: repositories.client(access)?,
            address,
            logins,
            known_as: Mutex::new(None),
        })
    }

    /// The address as the spec has it.
    pub fn url(&self) -> String {
        format!("oci://{}/{}", self.address.host, self.address.repository)
    }

    /// All tags.
    pub(super) async fn tags(&self) -> Result<Vec<String>, String> {
        let mut tags = Vec::new();
        let mut next = Some(self.at("tags/list?n=1000")?);
        for _ in 0..PAGES {
            let Some(url) = next.take() else { break };
            let response = self.ask(Method::GET, &url, "application/json").await?;
            let link = response
                .headers()
                .get(LINK)
                .and_then(|link| link.to_str().ok());
            next = link.and_then(|link| following(&url, link));
            let bytes = body(response, MANIFEST_LIMIT).await?;
            let page: Tags = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            tags.extend(page.tags.unwrap_or_default());
        }
        Ok(tags)
    }

    /// The digest of the manifest that a tag leads to.
    pub(super) async fn digest(&self, tag: &str) -> Result<String, String> {
        let url = self.at(&format!("manifests/{tag}"))?;
        let response = self.ask(Method::HEAD, &url, MANIFESTS).await?;
        let digest = response
            .headers()
            .get(DIGEST)
            .and_then(|digest| digest.to_str().ok());
        if let Some(digest) = digest.filter(|digest| super::is_digest(digest)) {
            return Ok(digest.to_owned());
        }
        let response = self.ask(Method::GET, &url, MANIFESTS).await?;
        Ok(digest_of(&body(response, MANIFEST_LIMIT).await?))
    }

    /// A manifest by its digest, or by a tag that may be anybody's word.
    pub(super) async fn manifest(&self, reference: &str) -> Result<Manifest, String> {
        let url = self.at(&format!("manifests/{reference}"))?;
        let response = self.ask(Method::GET, &url, MANIFESTS).await?;
        let bytes = body(response, MANIFEST_LIMIT).await?;
        if reference.contains(':') {
            check(&bytes, reference)?;
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("parsing the manifest: {error}"))
    }

    /// What refers to the manifest of a digest: as the registry knows it, else as those who referred to it have noted it
    /// under a tag.
    pub(super) async fn referrers(&self, digest: &str) -> Result<Vec<Descriptor>, String> {
        let url = self.at(&format!("referrers/{digest}"))?;
        match self.ask(Method::GET, &url, INDEX).await {
            Ok(response) => {
                let bytes = body(response, MANIFEST_LIMIT).await?;
                let index: Manifest = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("parsing the referrers: {error}"))?;
                Ok(index.manifests)
            }
            Err(problem) if problem == "not found" => {
                match self.manifest(&digest.replace(':', "-")).await {
                    Ok(index) => Ok(index.manifests),
                    Err(problem) if problem == "not found" => Ok(Vec::new()),
                    Err(problem) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
    }

    /// The bytes of a digest, if there are no more than so many.
    pub(super) async fn blob(&self, digest: &str, limit: usize) -> Result<Vec<u8>, String> {
        if !super::is_digest(digest) {
            return Err(format!("{digest:?} is not sha256:<hex>"));
        }
        let url = self.at(&format!("blobs/{digest}"))?;
        let response = self.ask(Method::GET, &url, "*/*").await?;
        let bytes = body(response, limit).await?;
        check(&bytes, digest)?;
        Ok(bytes)
    }

    fn at(&self, path: &str) -> Result<Url, String> {
        Url::parse(&self.address.at(path)).map_err(|error| error.to_string())
    }

    /// Asks, and once more when the registry wants to know who does.
    async fn ask(
        &self,
        method: Method,
        url: &Url,
        accept: &'static str,
    ) -> Result<Response, String> {
        let known_as = self.known_as.lock().await.clone();
        let response = self.send(&method, url, accept, known_as).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return answered(response);
        }
        let header = response.headers().get(WWW_AUTHENTICATE);
        let challenge = header.and_then(|header| Challenge::parse(header.to_str().ok()?));
        let known_as = self.introduce(challenge).await?;
        *self.known_as.lock().await = Some(known_as.clone());
        answered(self.send(&method, url, accept, Some(known_as)).await?)
    }

    /// One request, followed to where the registry sends it: whoever keeps the bytes does not learn who asks.
    async fn send(
        &self,
        method: &Method,
        url: &Url,
        accept: &'static str,
        known_as: Option<HeaderValue>,
    ) -> Result<Response, String> {
        let mut at = url.clone();
        for _ in 0..REDIRECTS {
            let mut request = self.client.request(method.clone(), at.clone());
            request = request.header(ACCEPT, accept).header(USER_AGENT, AGENT);
            if let Some(known_as) = known_as.as_ref().filter(|_| at.origin() == url.origin()) {
                request = request.header(AUTHORIZATION, known_as.clone());
            }
            let response = request.send().await.map_err(|error| innermost(&error))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION);
            let next = location.and_then(|location| at.join(location.to_str().ok()?).ok());
            let next = next.ok_or("redirect without an address")?;
            let downgraded = at.scheme() == "https" && next.scheme() != "https";
            if downgraded || !matches!(next.scheme(), "http" | "https") {
                return Err("refused a redirect to an address without TLS".to_owned());
            }
            at = next;
        }
        Err("too many redirects".to_owned())
    }

    /// Answers a challenge.
    async fn introduce(&self, challenge: Option<Challenge>) -> Result<HeaderValue, String> {
        let credentials = match challenge {
            Some(Challenge::Basic) => self.password().ok_or("authentication required")?,
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => self.token(&realm, service, scope).await?,
            None => return Err("authentication required".to_owned()),
        };
        let header = authorization(&credentials).map_err(|error| error.to_string())?;
        header.ok_or_else(|| "authentication required".to_owned())
    }

    fn password(&self) -> Option<Credentials> {
        let login = self.logins.find(&self.address)?;
        Some(Credentials::Basic {
            username: login.user.clone(),
            password: login.password.to_string(),
        })
    }

    /// A token of whom the registry trusts. The password goes there, so it does not go without TLS unless the registry
    /// itself is spoken to so.
    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<Credentials, String> {
        let mut url = Url::parse(realm).map_err(|error| format!("the token's realm: {error}"))?;
        if url.scheme() != "https" && !(self.address.insecure && url.scheme() == "http") {
            return Err("refused to ask for a token without TLS".to_owned());
        }
        let default = || format!("repository:{}:pull", self.address.repository);
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope.unwrap_or_else(default));
        let known_as = match self.password() {
            Some(credentials) => authorization(&credentials).map_err(|error| error.to_string())?,
            None => None,
        };
        let response = self
            .send(&Method::GET, &url, "application/json", known_as)
            .await?;
        let bytes = body(answered(response)?, MANIFEST_LIMIT).await?;
        let token: Token =
            serde_json::from_slice(&bytes).map_err(|_| "the token's answer is none".to_owned())?;
        Ok(Credentials::Bearer(token.token))
    }
}

/// A success, or what its status means.
fn answered(response: Response) -> Result<Response, String> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::UNAUTHORIZED => Err("authentication required".to_owned()),
        StatusCode::FORBIDDEN => Err("authorization failed".to_owned()),
        StatusCode::NOT_FOUND => Err("not found".to_owned()),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err("proxy: authentication required".to_owned())
        }
        StatusCode::TOO_MANY_REQUESTS => Err("too many requests".to_owned()),
        status => Err(format!("unexpected status {}", status.as_u16())),
    }
}

async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(format!("the answer has more than {limit} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn check(bytes: &[u8], digest: &str) -> Result<(), String> {
    let found = digest_of(bytes);
    match found == digest {
        true => Ok(()),
        false => Err(format!(
            "the bytes have the digest {found} and not {digest}"
        )),
    }
}

/// The next page of a list: `</v2/…>; rel="next"`, on the same server only.
fn following(url: &Url, link: &str) -> Option<Url> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = url.join(target).ok()?;
    (rest.contains("next") && next.origin() == url.origin()).then_some(next)
}
