//! Why a server could not be asked, in the words that Git users know.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::known_hosts::Verdict;

/// The first thing that went wrong between us and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It wants other credentials, or some.
    Unauthorized,
    /// It knows us and says no.
    Forbidden,
    /// It has no such repository, or does not say so to us.
    NotFound,
    /// It answered with this status.
    Status(u16),
    /// It could not be reached, or fell silent.
    Network(String),
    /// It took longer than it may.
    Timeout,
    /// It shows a key that is not known to be its own.
    HostKey(Verdict),
    /// It lets nobody in with our key.
    KeyNotLetIn,
    /// Its program ended with these words in place of an answer.
    Complaint(String),
    /// It does not speak Git, or wants what we do not do.
    Protocol(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("authentication required"),
            Self::Forbidden => f.write_str("authorization failed"),
            Self::NotFound => f.write_str("repository not found"),
            Self::Status(407) => f.write_str("proxy: authentication required"),
            Self::Status(status) => write!(f, "unexpected status {status}"),
            Self::HostKey(verdict) => write!(f, "ssh: handshake failed: {verdict}"),
            Self::KeyNotLetIn => f.write_str(
                "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain",
            ),
            Self::Network(problem) | Self::Protocol(problem) | Self::Complaint(problem) => {
                f.write_str(problem)
            }
            Self::Timeout => f.write_str("context deadline exceeded"),
        }
    }
}

/// The first failure of an exchange, for a message better than what the protocol makes of it.
#[derive(Clone, Default)]
pub(super) struct Noted(Arc<Mutex<Option<Failure>>>);

impl Noted {
    /// Remembers the first failure, and makes an error of it for gix.
    pub(super) fn note(&self, failure: Failure) -> io::Error {
        let error = io::Error::other(failure.to_string());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
        error
    }

    pub(super) fn first(&self) -> Option<Failure> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone()
    }
}
