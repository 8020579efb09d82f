//! One visit to a Git server: its address, the way there, and the time that is left.

use std::sync::Arc;
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::advertisement::Advertisements;
use super::error::SourceError;
use super::failure::{Failure, Noted};
use super::http::{Exchange, GitHttp};
use super::listing::Listing;
use super::ssh::{Patience, SshServer};

/// What Git's protocol is told of this program: a fetch asks for refs in the same words as the look-up before it.
pub(super) const AGENT: &str = concat!("git/weir/", env!("CARGO_PKG_VERSION"));

/// What a look-up and the fetch after it share.
pub(super) struct Server<'a> {
    pub(super) url: &'a str,
    pub(super) way: Way,
    pub(super) runtime: Handle,
    pub(super) timeout: Duration,
}

/// How the server is reached.
pub(super) enum Way {
    Http(Http),
    Ssh(SshServer),
}

/// What requests over HTTP need.
pub(super) struct Http {
    pub(super) client: reqwest::Client,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) advertisements: Arc<Advertisements>,
    /// What was said of refs in this visit.
    pub(super) listing: Listing,
}

/// A line to the server, and the first thing that goes wrong on it.
pub(super) struct Line {
    pub(super) transport: Box<dyn Transport>,
    pub(super) failure: Noted,
}

impl Server<'_> {
    /// A fresh line, with the whole time before it.
    pub(super) fn line(&self) -> Result<Line, SourceError> {
        let failure = Noted::default();
        let deadline = Instant::now() + self.timeout;
        let transport: Box<dyn Transport> = match &self.way {
            Way::Http(http) => Box::new(self.http(http, deadline, failure.clone())?),
            Way::Ssh(ssh) => {
                let patience = Patience {
                    runtime: self.runtime.clone(),
                    deadline,
                };
                let opened = ssh.open(&patience, failure.clone());
                Box::new(opened.map_err(|failure| self.failed(&failure))?)
            }
        };
        Ok(Line { transport, failure })
    }

    fn http(
        &self,
        http: &Http,
        deadline: Instant,
        failure: Noted,
    ) -> Result<HttpTransport<GitHttp>, SourceError> {
        let exchange = Exchange {
            client: http.client.clone(),
            runtime: self.runtime.clone(),
            authorization: http.authorization.clone(),
            deadline,
            advertisements: http.advertisements.clone(),
            listing: http.listing.clone(),
            failure,
        };
        let url = gix::url::parse(self.url).map_err(|error| self.error(None, &said(&error)))?;
        let client = GitHttp::new(exchange);
        Ok(HttpTransport::new_http(client, url, Protocol::V2, false))
    }

    /// The error of an exchange: what the network said first, else what the protocol made of it.
    pub(super) fn error(&self, first: Option<Failure>, otherwise: &str) -> SourceError {
        match first {
            Some(failure) => self.failed(&failure),
            None => SourceError::Git(format!("unable to clone '{}': {otherwise}", self.url)),
        }
    }

    fn failed(&self, failure: &Failure) -> SourceError {
        let url = self.url;
        SourceError::Git(match failure {
            Failure::NotFound => {
                format!("unable to clone: repository not found: git repository: '{url}'")
            }
            failure => format!("unable to clone '{url}': {failure}"),
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
