//! Why a key service gave no data key, in words that are safe to show to anyone: never what a server said.

use super::allow::Service;

/// Why there is no data key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The operator has not allowed the key.
    #[error(
        "{target} is not allowed; whoever runs Weir allows it with --sops-allow={}={target}",
        service.name()
    )]
    NotAllowed {
        /// The service.
        service: Service,
        /// The key.
        target: String,
    },
    /// Nobody gave credentials.
    #[error("no credentials: {0}")]
    NoCredentials(&'static str),
    /// Credentials that cannot be used.
    #[error("the credentials cannot be used: {0}")]
    BadCredentials(&'static str),
    /// No token of a service account.
    #[error("no token of service account '{account}': {problem}")]
    NoToken {
        /// Namespace and name.
        account: String,
        /// What the API server's answer comes to.
        problem: String,
        /// Whether trying again makes sense.
        transient: bool,
    },
    /// What the file says of its key is not of the kind's form.
    #[error("the file does not name a key of this kind: {0}")]
    BadKey(&'static str),
    /// The wrapped data key is not of the kind's form.
    #[error("the wrapped data key is malformed")]
    BadCiphertext,
    /// Kinds that nobody asks.
    #[error("keys of this kind are not supported")]
    Unsupported,
    /// The server sends us elsewhere.
    #[error("the server answers with a redirect, and none is followed")]
    Redirect,
    /// The server says no.
    #[error("the server answers {status}{}", shown(code))]
    Status {
        /// HTTP status.
        status: u16,
        /// The error's name, if it is a plain word.
        code: Option<String>,
    },
    /// The answer does not come in time.
    #[error("the server does not answer in time")]
    TooSlow,
    /// No connection, or one that broke.
    #[error("no connection to the server: {0}")]
    Network(String),
    /// The answer is none.
    #[error("the server's answer cannot be used: {0}")]
    Answer(&'static str),
    /// The client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl Refusal {
    /// Whether trying again soon makes sense.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooSlow | Self::Network(_) => true,
            Self::NoToken { transient, .. } => *transient,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

fn shown(code: &Option<String>) -> String {
    code.as_ref()
        .map(|code| format!(" ({code})"))
        .unwrap_or_default()
}
