//! The HTTP clients: one for each way of TLS and proxy, and the header that says who we are.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use super::access::{Access, Credentials};
use super::error::SourceError;

/// The proxies that the environment of the process names. This room does not read the environment.
#[derive(Clone, Default)]
pub struct EnvironmentProxies {
    /// For `http://` addresses.
    pub http: Option<String>,
    /// For `https://` addresses.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached without one, separated by commas.
    pub none: Option<String>,
}

impl EnvironmentProxies {
    /// The same for an HTTP client.
    pub(crate) fn proxies(&self) -> Result<Vec<reqwest::Proxy>, reqwest::Error> {
        let except = self.none.as_deref().and_then(reqwest::NoProxy::from_string);
        let http = self.http.as_deref().map(far).map(reqwest::Proxy::http);
        let https = self.https.as_deref().map(far).map(reqwest::Proxy::https);
        let proxies = http.into_iter().chain(https);
        proxies
            .map(|proxy| Ok(proxy?.no_proxy(except.clone())))
            .collect()
    }
}

/// The address of a proxy, which looks up the names of servers itself: Go, and so Flux, asks it to under either name.
fn far(address: &str) -> String {
    match address.strip_prefix("socks5://") {
        Some(rest) => format!("socks5h://{rest}"),
        None => address.to_owned(),
    }
}

/// Builds the client for one way of TLS and proxy.
pub(super) fn client(
    access: &Access,
    environment: Option<&EnvironmentProxies>,
) -> Result<reqwest::Client, SourceError> {
    let refuse = |what: &str, problem: &str| {
        SourceError::Authentication(format!(
            "failed to configure authentication options: {what}: {problem}"
        ))
    };
    // Without this the first handshake panics; an earlier call, of main for instance, wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("git/weir-", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The environment is read where the command line is; what it says arrives here as a proxy.
        .no_proxy();
    if let Some(bundle) = &access.authorities {
        let certificates = reqwest::Certificate::from_pem_bundle(bundle)
            .map_err(|error| refuse("ca.crt", &innermost(&error)))?;
        if certificates.is_empty() {
            return Err(refuse("ca.crt", "it holds no certificate"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some((certificate, key)) = &access.client_certificate {
        let both = [certificate.as_slice(), b"\n", key.as_slice()].concat();
        let identity = reqwest::Identity::from_pem(&both)
            .map_err(|error| refuse("tls.crt and tls.key", &innermost(&error)))?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &access.proxy {
        let mut through = reqwest::Proxy::all(far(&proxy.address))
            .map_err(|_| refuse("proxy", "its address is not one"))?;
        if let Some((user, password)) = &proxy.account {
            through = through.basic_auth(user, password);
        }
        builder = builder.proxy(through);
    } else if let Some(environment) = environment {
        let proxies = environment.proxies();
        for proxy in proxies.map_err(|_| refuse("HTTP_PROXY and HTTPS_PROXY", "not an address"))? {
            builder = builder.proxy(proxy);
        }
    }
    builder
        .build()
        .map_err(|error| refuse("TLS", &innermost(&error)))
}

/// The header that says who we are.
pub(super) fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, SourceError> {
    let text = match credentials {
        Credentials::Anonymous | Credentials::Ssh(_) => return Ok(None),
        Credentials::Basic { username, password } => {
            let pair = BASE64.encode(format!("{username}:{password}"));
            format!("Basic {pair}")
        }
        Credentials::Bearer(token) => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        SourceError::Authentication(
            "failed to configure authentication options: the token holds a line break".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The last cause says what happened; the first only that a request failed, with the address.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
