//! Pushing: a ref of a server is set to a new commit if it still is what it was, in this process and with no program.
//!
//! ```text
//! over_http ┐
//!           ├─ Receiver ──▶ protocol (refs, command with the old id, pack, report) ──▶ Pushed
//! over_ssh  ┘
//! ```

mod error;
mod over_http;
mod over_ssh;
mod pack;
mod protocol;

use std::sync::Arc;

use gix::objs::Kind;
use overlay::ObjectHash;
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::over_http::HttpReceiver;
use self::over_ssh::SshReceiver;
use self::protocol::converse;
use super::failure::Noted;
use super::http::Exchange;
use super::listing::Listing;
use super::refresh::Repositories;
use super::remote::{Remote, RemoteUrl};
use super::server::{Http, Way};
use super::ssh::Patience;

pub use error::PushError;

/// A ref, what it must be, and what it becomes.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// Its full name.
    pub name: &'a str,
    /// What it is now; none when it is to be created.
    pub old: Option<ObjectHash>,
    /// What it becomes.
    pub new: ObjectHash,
}

/// An object that the server may not have.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// What it is.
    pub kind: Kind,
    /// Its content, without Git's header.
    pub bytes: Vec<u8>,
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The server has it.
    Done,
    /// Somebody else was faster, and nothing was changed: fetch, and make anew what is to be pushed.
    Outrun,
    /// The server does not want it, in its own words.
    Refused(String),
}

/// Sets a ref of the server, if it still is what it was. To be called where blocking is allowed.
pub fn push(
    repositories: &Repositories,
    remote: &Remote,
    update: &Update<'_>,
    objects: &[NewObject],
) -> Result<Pushed, PushError> {
    let (RemoteUrl::Http(url) | RemoteUrl::Ssh(url)) = &remote.url;
    let failure = Noted::default();
    let patience = Patience {
        runtime: Handle::current(),
        deadline: Instant::now() + remote.timeout,
    };
    let pushed = match repositories.way(remote)? {
        Way::Http(http) => HttpReceiver::open(exchange(http, patience, failure.clone()), url)
            .and_then(|mut receiver| converse(&mut receiver, update, objects)),
        Way::Ssh(server) => SshReceiver::open(&server, &patience, failure.clone())
            .and_then(|mut receiver| converse(&mut receiver, update, objects)),
    };
    pushed.map_err(|last| PushError::of(url, &failure.first().unwrap_or(last)))
}

fn exchange(http: Http, patience: Patience, failure: Noted) -> Exchange {
    Exchange {
        client: http.client,
        runtime: patience.runtime,
        authorization: http.authorization,
        deadline: patience.deadline,
        // What is said of receiving is asked for each time: it holds the refs.
        advertisements: Arc::default(),
        listing: Listing::default(),
        failure,
    }
}
