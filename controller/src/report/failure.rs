//! A run that did not succeed: Flux's reason for it, what to tell, and when to try again.

use std::fmt::Display;

/// When trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After `spec.retryInterval`.
    RetryInterval,
    /// Soon, later with each failure in a row: the cluster or the network was at fault.
    Backoff,
    /// When what it waits for has happened.
    OnEvent,
    /// Never before the spec changes.
    Never,
}

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Reason of the conditions and the event.
    pub reason: &'static str,
    /// What to tell.
    pub message: String,
    /// When to try again.
    pub again: Again,
}

impl Failure {
    /// A failure that is tried again after `spec.retryInterval`.
    pub fn new(reason: &'static str, message: impl Display) -> Self {
        Self {
            reason,
            message: message.to_string(),
            again: Again::RetryInterval,
        }
    }

    /// For `map_err`: the error's text under this reason.
    pub fn of<E: Display>(reason: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::new(reason, error)
    }

    /// The same failure, which tells of another one too.
    #[must_use]
    pub fn and(mut self, other: Option<&Self>) -> Self {
        if let Some(other) = other {
            self.message.push('\n');
            self.message.push_str(&other.message);
        }
        self
    }

    /// The same failure, tried again at another time.
    #[must_use]
    pub fn again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }
}
