//! What can go wrong between Weir and an API server, and about which object.

use std::fmt;

use overlay::ObjectId;

use super::identity::IdentityError;

/// Why a request was not answered as hoped. Texts are the server's own: [`ObjectError`] cleans them of secrets
/// before anyone sees them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The connection's configuration cannot be used.
    #[error("cannot set up a connection to the API server")]
    Connect(#[source] Box<kube::Error>),
    /// The configuration impersonates already; a second identity on top would be silently dropped.
    #[error("the kubeconfig impersonates {user:?} itself and cannot carry {identity}")]
    ImpersonatesAlready {
        /// Whom it impersonates.
        user: String,
        /// Who was to be impersonated.
        identity: String,
    },
    /// What the server serves could not be learned.
    #[error("cannot learn which kinds the API server serves: {0}")]
    Discovery(#[source] std::sync::Arc<Error>),
    /// The server refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach the API server: {0}")]
    Unreachable(String),
    /// This process may not write any more.
    #[error("this process no longer holds its lease: nothing was sent")]
    Fenced,
    /// No answer in time.
    #[error("no answer from the API server within {0:?}")]
    Timeout(std::time::Duration),
    /// The answer could not be read.
    #[error("cannot read the API server's answer to {request}")]
    Unreadable {
        /// Method and path.
        request: String,
        /// What is wrong; never the answer's text.
        #[source]
        source: serde_json::Error,
    },
}

/// A refusal: the `Status` object that the server answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP code.
    pub code: u16,
    /// `Invalid`, `NotFound`, `Conflict`, …
    pub reason: String,
    /// The server's text. May repeat values of the object that was sent.
    pub message: String,
    /// The fields at fault.
    pub causes: Vec<Cause>,
}

/// One cause of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`, …
    pub reason: String,
    /// The field's path.
    pub field: String,
    /// The server's text. May repeat values of the object that was sent.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Whether a text says that a field cannot change: of most kinds, of role bindings, of stateful sets.
fn is_held(text: &str) -> bool {
    const WORDS: [&str; 4] = [
        "is immutable",
        "immutable field",
        "cannot change roleRef",
        "updates to statefulset spec for fields other than",
    ];
    WORDS.iter().any(|words| text.contains(words))
}

impl Refusal {
    /// The object, or its namespace, or its kind, is not there.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Another manager owns a field, or a precondition did not hold.
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// The identity may not do this.
    pub fn is_forbidden(&self) -> bool {
        self.code == 403
    }

    /// A field that cannot change was to change: the one refusal that `force` answers by replacing the object.
    /// API servers say so in words only.
    pub fn is_immutable(&self) -> bool {
        self.code == 422
            && (is_held(&self.message) || self.causes.iter().any(|cause| is_held(&cause.message)))
    }

    /// The fields that cannot change.
    pub fn immutable_fields(&self) -> Vec<String> {
        self.causes
            .iter()
            .filter(|cause| is_held(&cause.message))
            .map(|cause| cause.field.clone())
            .collect()
    }
}

impl Error {
    /// The refusal, when the server answered with one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Discovery(error) => error.refusal(),
            _ => None,
        }
    }

    /// The object, or its namespace, or its kind, is not there.
    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_not_found)
    }

    /// Whether trying the same again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) => true,
            Self::Refused(refusal) => matches!(refusal.code, 409 | 429 | 500..),
            Self::Discovery(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// What was being done with an object when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The dry-run before any write.
    DryRun,
    /// The apply.
    Apply,
    /// The deletion.
    Delete,
    /// Waiting for a definition or a namespace to be in force.
    Await,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DryRun => "dry-run",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Await => "wait",
        })
    }
}

/// A failure with one object, cleaned of secrets: what conditions, events and the command line show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ObjectError {
    /// The object.
    pub id: ObjectId,
    /// What was being done.
    pub act: Act,
    /// `Invalid`, `Forbidden`, … ; empty when the server gave none.
    pub reason: String,
    /// HTTP code; 0 when the server was not asked or did not answer.
    pub code: u16,
    /// What is wrong, without any secret value.
    pub message: String,
    /// Whether trying the same again later can help.
    pub transient: bool,
}

impl fmt::Display for ObjectError {
    /// `Kind/namespace/name dry-run failed (Invalid): …`, as Flux prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} failed", self.id, self.act)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        write!(f, ": {}", self.message)
    }
}
