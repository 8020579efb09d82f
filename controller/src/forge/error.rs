//! What can go wrong between Weir and a forge.

/// Why a forge did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The address of the API is none.
    #[error("{address:?} is no address of a forge's API: {problem}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// The name of the repository is none.
    #[error("{0:?} is no repository: it is OWNER/NAME")]
    Repository(String),
    /// The token cannot be sent.
    #[error("the token holds a line break, or something else that no header carries")]
    Token,
    /// The client could not be made.
    #[error("preparing the connection: {0}")]
    Client(String),
    /// The forge was not reached, or the connection broke.
    #[error("{request}: {problem}")]
    Network {
        /// Method and path.
        request: String,
        /// What happened.
        problem: String,
    },
    /// It refused.
    #[error("{request}: the forge answered {status}{said}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// Its own words, behind a colon; empty when it has none.
        said: String,
    },
    /// The answer is not what its API promises.
    #[error("{request}: the answer {problem}")]
    Answer {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ForgeError {
    /// Whether the forge was reached and says no to this token or this object, now and again.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(status, 401 | 403 | 404))
    }
}
