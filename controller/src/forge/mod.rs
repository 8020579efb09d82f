//! Forges: pull requests and the comments on them, over the APIs of GitHub, GitLab, Gitea and Forgejo.
//!
//! ```text
//! Forge (kind, address, token, repository) ──calls──▶ PullRequest · Comment
//! ```
//! What one forge calls otherwise than another is in a table (`words`); everything else is the same for all.

mod address;
mod comments;
mod error;
mod pull_requests;
mod request;
mod words;

use reqwest::Url;
use zeroize::Zeroizing;

pub use address::{Place, api_of, place_of};
pub use comments::{Comment, Kept, keep_comment};
pub use error::ForgeError;
pub use pull_requests::{
    Made, Proposal, PullRequest, create_pull_request, find_or_create_pull_request,
    find_pull_request, pull_request, update_pull_request,
};

use crate::source::client::EnvironmentProxies;

/// Whose API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GitHub, and GitHub Enterprise Server.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea, and Forgejo, which speaks the same.
    Gitea,
}

/// One repository on a forge, and what it is asked with.
#[derive(Clone)]
pub struct Forge {
    /// Whose API is spoken.
    pub kind: Kind,
    /// Where the API begins: `https://api.github.com`.
    pub api: Url,
    /// The repository: `owner/name`, on GitLab `group/subgroup/name`.
    pub repository: String,
    token: Zeroizing<String>,
    client: reqwest::Client,
}

impl Forge {
    /// Prepares the way to a forge; nothing is sent yet. The token goes nowhere but to this address.
    pub fn new(
        kind: Kind,
        api: &str,
        repository: &str,
        token: Zeroizing<String>,
        proxies: &EnvironmentProxies,
    ) -> Result<Self, ForgeError> {
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() < 2 || parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(ForgeError::Repository(repository.to_owned()));
        }
        Ok(Self {
            kind,
            api: address::parsed(api)?,
            repository: repository.to_owned(),
            token,
            client: request::client(proxies)?,
        })
    }
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {}", self.kind, self.api, self.repository)
    }
}
