//! One request to a key service: bounded in time and size, followed nowhere, and nothing of the answer shown but a word.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Refusal;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// No answer that we ask for has more bytes.
const LIMIT: usize = 64 * 1024;

/// Where services put the name of an error.
const CODES: [&str; 4] = ["/__type", "/error/status", "/error/code", "/error"];

/// A request.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// A request with a body.
    pub(super) fn post(url: Url, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: vec![("content-type", kind.to_owned().into())],
            body: Zeroizing::new(body.into()),
        }
    }

    /// A request with a JSON body.
    pub(super) fn json(url: Url, body: &Value) -> Self {
        Self::post(url, "application/json", body.to_string())
    }

    /// A request with the fields of a form.
    pub(super) fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        Self::post(url, "application/x-www-form-urlencoded", form(fields))
    }

    /// The same with one header more.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, Zeroizing::new(value.into())));
        self
    }

    /// The same with a token that says who we are.
    pub(super) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
}

/// The fields of a form as they go over the wire.
fn form(fields: &[(&str, &str)]) -> String {
    let mut encoded = Url::parse("form:").ok();
    if let Some(url) = &mut encoded {
        url.query_pairs_mut().extend_pairs(fields);
    }
    encoded
        .as_ref()
        .and_then(Url::query)
        .unwrap_or_default()
        .to_owned()
}

/// The client of all key services.
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new(authorities: Option<&[u8]>, patience: Duration) -> Result<Self, Refusal> {
        // Without this the first handshake panics; an earlier call, of main for instance, wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |error: reqwest::Error| Refusal::Client(innermost(&error));
        let mut builder = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(patience);
        if let Some(bundle) = authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(bundle).map_err(failed)?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(Self).map_err(failed)
    }

    /// The body of a good answer.
    pub(super) async fn send(&self, request: Request) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let response = self
            .0
            .request(request.method, request.url)
            .headers(headers(&request.headers)?)
            .body(request.body.to_vec())
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Refusal::Redirect);
        }
        let body = body(response).await;
        match status.is_success() {
            true => body,
            false => Err(Refusal::Status {
                status: status.as_u16(),
                code: body.ok().and_then(|body| code(&body)),
            }),
        }
    }
}

fn headers(headers: &[(&'static str, Zeroizing<String>)]) -> Result<HeaderMap, Refusal> {
    headers
        .iter()
        .map(|(name, value)| {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Refusal::BadCredentials("they hold a line break"))?;
            value.set_sensitive(true);
            Ok((HeaderName::from_static(name), value))
        })
        .collect()
}

async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // Its final size from the start: a buffer that grows leaves copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(LIMIT));
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > LIMIT {
            return Err(Refusal::Answer("it is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failure(error: &reqwest::Error) -> Refusal {
    match error.is_timeout() {
        true => Refusal::TooSlow,
        false => Refusal::Network(innermost(error)),
    }
}

/// The last cause says what happened; the first only that a request failed, with the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The name of an error, if it is a plain word: anything else that a server says is not ours to repeat.
fn code(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let code = CODES
        .iter()
        .find_map(|pointer| answer.pointer(pointer).and_then(Value::as_str))?;
    let word = code.rsplit('#').next().unwrap_or_default();
    let is_plain = word.len() <= 60
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    is_plain.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_word_of_an_answer_is_repeated() {
        for (body, expected) in [
            (
                r#"{"__type":"com.amazonaws#AccessDeniedException"}"#,
                Some("AccessDeniedException"),
            ),
            (
                r#"{"error":{"status":"PERMISSION_DENIED","code":403}}"#,
                Some("PERMISSION_DENIED"),
            ),
            (r#"{"error":{"code":"Forbidden"}}"#, Some("Forbidden")),
            (r#"{"error":"invalid_client"}"#, Some("invalid_client")),
            (r#"{"error":"the password hunter2 is wrong"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(code(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a", "b c"), ("d", "e&f=g")]), "a=b+c&d=e%26f%3Dg");
    }
}
