//! One request to a forge: bounded in time and size, followed nowhere, repeated with a pause where that is safe.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Forge, ForgeError};
use crate::source::client::{EnvironmentProxies, innermost};

/// How long a connection, and a whole request, may take.
const CONNECT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// No answer that we ask for has more bytes.
const LIMIT: usize = 16 << 20;

/// How much of what a forge says about a refusal is repeated.
const SAID: usize = 300;

/// How many entries a page of a list has, and how many pages are read.
const PER_PAGE: usize = 100;
const PAGES: usize = 30;

/// The waits before the further tries of a request.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The client of one forge.
pub(super) fn client(proxies: &EnvironmentProxies) -> Result<reqwest::Client, ForgeError> {
    // Without this the first handshake panics; an earlier call, of main for instance, wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: reqwest::Error| ForgeError::Client(innermost(&error));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The environment is read where the command line is; what it says arrives here as a proxy.
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE);
    for proxy in proxies.proxies().map_err(failed)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(failed)
}

/// What is asked.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The parts of the path, escaped one by one.
    pub(super) path: &'a [String],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a Value>,
}

impl Request<'_> {
    /// Method and path, for messages.
    fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

impl Forge {
    /// The answer, read as JSON.
    pub(super) async fn ask(&self, request: &Request<'_>) -> Result<Value, ForgeError> {
        Ok(self.answer(request).await?.0)
    }

    /// All entries of a list, page by page.
    pub(super) async fn list(
        &self,
        path: &[String],
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, ForgeError> {
        let mut all = Vec::new();
        let per_page = PER_PAGE.to_string();
        for page in 1..=PAGES {
            let page = page.to_string();
            // Gitea says `limit` where the others say `per_page`.
            let paged = [
                ("per_page", &*per_page),
                ("limit", &*per_page),
                ("page", &*page),
            ];
            let query: Vec<(&str, &str)> = query.iter().copied().chain(paged).collect();
            let request = Request {
                method: Method::GET,
                path,
                query: &query,
                body: None,
            };
            let (answer, is_last) = self.answer(&request).await?;
            let Value::Array(entries) = answer else {
                return Err(ForgeError::Answer {
                    request: request.name(),
                    problem: "is no list".to_owned(),
                });
            };
            all.extend(entries);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// The answer, and whether no page follows it. What only reads, or says the same twice, is tried again.
    async fn answer(&self, request: &Request<'_>) -> Result<(Value, bool), ForgeError> {
        let repeats = if request.method == Method::POST {
            0
        } else {
            PAUSES.len()
        };
        for pause in &PAUSES[..repeats] {
            match self.send(request).await {
                Err(error) if passes(&error) => tokio::time::sleep(jittered(*pause)).await,
                other => return other,
            }
        }
        self.send(request).await
    }

    async fn send(&self, request: &Request<'_>) -> Result<(Value, bool), ForgeError> {
        let network = |error: reqwest::Error| ForgeError::Network {
            request: request.name(),
            problem: innermost(&error),
        };
        let mut builder = self
            .client
            .request(request.method.clone(), self.address(request))
            .headers(self.headers()?);
        if let Some(body) = request.body {
            builder = builder
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = builder.send().await.map_err(network)?;
        let (status, is_last) = (response.status(), !has_next(response.headers()));
        let bytes = read(response, request).await?;
        if !status.is_success() {
            return Err(ForgeError::Refused {
                request: request.name(),
                status: status.as_u16(),
                said: said(&bytes),
            });
        }
        let answer = serde_json::from_slice(&bytes).map_err(|_| ForgeError::Answer {
            request: request.name(),
            problem: "is no JSON".to_owned(),
        })?;
        Ok((answer, is_last))
    }

    fn address(&self, request: &Request<'_>) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        url
    }

    /// All of these forges take a token as a bearer's.
    fn headers(&self) -> Result<HeaderMap, ForgeError> {
        let bearer = Zeroizing::new(format!("Bearer {}", &*self.token));
        let mut token = HeaderValue::from_str(&bearer).map_err(|_| ForgeError::Token)?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, token);
        headers.insert("accept", HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

/// Whether a failure may be over in a moment.
fn passes(error: &ForgeError) -> bool {
    match error {
        ForgeError::Network { .. } => true,
        ForgeError::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
        _ => false,
    }
}

/// Half of a wait to all of it.
fn jittered(pause: Duration) -> Duration {
    let share = RandomState::new().hash_one(0) % 1000;
    pause / 2 + pause.mul_f64(share as f64 / 2000.0)
}

fn has_next(headers: &HeaderMap) -> bool {
    let links = headers.get_all(LINK).iter();
    let mut links = links.filter_map(|value| value.to_str().ok());
    links.any(|link| link.contains("rel=\"next\""))
}

async fn read(mut response: Response, request: &Request<'_>) -> Result<Vec<u8>, ForgeError> {
    let mut bytes = Vec::new();
    let network = |error: reqwest::Error| ForgeError::Network {
        request: request.name(),
        problem: innermost(&error),
    };
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(b"null".to_vec());
    }
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if bytes.len() + chunk.len() > LIMIT {
            return Err(ForgeError::Answer {
                request: request.name(),
                problem: "is too long".to_owned(),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What a forge says of a refusal, on one line and not too long.
fn said(bytes: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let found = ["message", "error"]
        .iter()
        .find_map(|key| match &answer[*key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    found.map_or(String::new(), |text| {
        let text: String = text.chars().take(SAID).map(shown).collect();
        format!(": {text}")
    })
}
