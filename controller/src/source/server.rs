//! One visit to a Git server: its address, the client, the credentials, and the time that is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::advertisement::Advertisements;
use super::error::SourceError;
use super::failure::Failure;
use super::http::Exchange;

/// What a look-up and the fetch after it share.
pub(super) struct Server<'a> {
    pub(super) url: &'a str,
    pub(super) client: reqwest::Client,
    pub(super) runtime: Handle,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) advertisements: Arc<Advertisements>,
    pub(super) timeout: Duration,
}

impl Server<'_> {
    /// A fresh exchange, with the whole time before it.
    pub(super) fn exchange(&self) -> Exchange {
        Exchange {
            client: self.client.clone(),
            runtime: self.runtime.clone(),
            authorization: self.authorization.clone(),
            deadline: Instant::now() + self.timeout,
            advertisements: self.advertisements.clone(),
            failure: Arc::new(Mutex::new(None)),
        }
    }

    /// The error of an exchange: what the network said first, else what the protocol made of it.
    pub(super) fn error(&self, exchange: &Exchange, otherwise: &str) -> SourceError {
        let url = self.url;
        SourceError::Git(match exchange.failure() {
            Some(Failure::NotFound) => {
                format!("unable to clone: repository not found: git repository: '{url}'")
            }
            Some(failure) => format!("unable to clone '{url}': {failure}"),
            None => format!("unable to clone '{url}': {otherwise}"),
        })
    }
}

/// All that an error of gix says, outermost first, on one line.
pub(super) fn said(error: &gix::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text = error
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}
