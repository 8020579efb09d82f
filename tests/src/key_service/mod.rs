//! Stand-ins for key services, one server that plays them all: each part checks signatures, tokens and bodies as the
//! service would, and opens what this harness has wrapped.

pub mod aws;
pub mod azure;
pub mod gcp;
mod sealed;
pub mod vault;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

pub use sealed::seal;

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

/// How the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the services do.
    Genuine,
    /// It sends everybody elsewhere.
    Redirect(String),
    /// It thinks for longer than anybody waits.
    Slow,
    /// It says something that is no answer.
    Rubbish,
    /// It does not stop talking.
    Flood,
}

/// What a part makes of a request; `None` when the request is for another part.
type Part = fn(&Parts, &[u8]) -> Option<Result<String, Refused>>;

const PARTS: [Part; 4] = [vault::answer, aws::answer, gcp::answer, azure::answer];

/// Why a part says no: the status, and the body, which the client is not to repeat.
type Refused = (StatusCode, &'static str);

/// A running server.
pub struct KeyService {
    http: Listening,
    state: State,
}

#[derive(Clone)]
struct State {
    manner: Arc<Mutex<Manner>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl KeyService {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        let state = State {
            manner: Arc::new(Mutex::new(Manner::Genuine)),
            requests: Arc::default(),
        };
        let http = http_server::start(None, state.clone());
        Self { http, state }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address)
    }

    /// Changes its manner.
    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Handler for State {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let line = format!("{} {}", parts.method, parts.uri.path());
        self.requests.lock().unwrap().push(line);
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let manner = self.manner.lock().unwrap().clone();
        match manner {
            Manner::Genuine => Ok(genuine(&parts, &body)),
            Manner::Redirect(to) => {
                let mut redirect = answer(StatusCode::TEMPORARY_REDIRECT, "");
                let place = HeaderValue::from_str(&to).map_err(io::Error::other)?;
                redirect.headers_mut().insert(LOCATION, place);
                Ok(redirect)
            }
            Manner::Slow => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                Ok(answer(StatusCode::OK, ""))
            }
            Manner::Rubbish => Ok(answer(StatusCode::OK, "<h1>hush-hush</h1>")),
            Manner::Flood => Ok(answer(StatusCode::OK, "x".repeat(1 << 20))),
        }
    }
}

fn genuine(parts: &Parts, body: &[u8]) -> Response<Body> {
    match PARTS.iter().find_map(|part| part(parts, body)) {
        Some(Ok(text)) => answer(StatusCode::OK, text),
        Some(Err((status, text))) => answer(status, text),
        None => answer(StatusCode::NOT_FOUND, "nobody is asked that"),
    }
}

/// What stands in for the encryption of services whose cipher nobody outside sees.
fn scramble(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().map(|byte| byte ^ 0x5a).collect()
}

/// A header's text; empty without it.
fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The account, as `NAMESPACE_NAME`, whose token this is, if it was made for an audience and its time is not over. Who
/// signed it is the API server's to know.
fn account_of(token: &str, audience: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let lasts = Duration::from_secs(claims["exp"].as_u64()?)
        > SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let account = claims["sub"]
        .as_str()?
        .strip_prefix("system:serviceaccount:")?;
    (claims["aud"] == serde_json::json!([audience]) && lasts).then(|| account.replace(':', "_"))
}

/// A field of a form; empty without it.
fn field(form: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(form);
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decoded(value))
        .unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let pair = [
                    rest.next().unwrap_or_default(),
                    rest.next().unwrap_or_default(),
                ];
                let hex = String::from_utf8_lossy(&pair).into_owned();
                bytes.push(u8::from_str_radix(&hex, 16).expect("two hexadecimal digits"));
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
