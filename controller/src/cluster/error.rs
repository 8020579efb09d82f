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

/// How API servers say that a field cannot change. There is no reason or code for it: every kind has words of its
/// own, and rules of custom resources have their author's. What is only wrong must not be among them: such an object
/// would be deleted, and could not be made again.
const HELD: [&str; 18] = [
    // Most kinds (`field is immutable`), claims and volumes (`is immutable after creation`), rules in definitions.
    "is immutable",
    "are immutable",
    "immutable field",
    // Kinds whose rules are declared: `field cannot be modified once set`.
    "cannot be modified once set",
    "cannot be cleared once set",
    "cannot be set once created",
    // Services.
    "may not change once set",
    "can not be unset",
    // Priority classes, and rules in definitions.
    "may not be changed",
    "cannot be changed",
    // Role bindings.
    "cannot change roleref",
    // Stateful sets.
    "updates to statefulset spec for fields other than",
    // Storage classes, and classes of volume attributes.
    "updates to parameters are forbidden",
    "updates to drivername are forbidden",
    // Pods.
    "pod updates may not change fields other than",
    "pod updates may not add or remove containers",
    "existing toleration can not be modified",
    // Jobs with indexes.
    "can only be modified in tandem with",
];

/// Whether a text says that a field cannot change.
fn is_held(text: &str) -> bool {
    let text = text.to_lowercase();
    HELD.iter().any(|words| text.contains(words))
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

    /// Fields that cannot change were to change, and nothing else is wrong: the one refusal that `force` answers by
    /// replacing the object. What would be refused as a new object too is left as it is.
    pub fn is_immutable(&self) -> bool {
        let is_held_alone = match self.causes.is_empty() {
            true => is_held(&self.message),
            false => self.causes.iter().all(|cause| is_held(&cause.message)),
        };
        self.code == 422 && is_held_alone
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(messages: &[&str]) -> Refusal {
        let cause = |message: &&str| Cause {
            message: (*message).to_owned(),
            ..Cause::default()
        };
        Refusal {
            code: 422,
            causes: messages.iter().map(cause).collect(),
            ..Refusal::default()
        }
    }

    #[test]
    fn what_says_that_a_field_cannot_change() {
        let texts = [
            r#"Invalid value: {"matchLabels":{"app":"web"}}: field is immutable"#,
            "Forbidden: field is immutable when `immutable` is set",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
            "Forbidden: spec.persistentvolumesource is immutable after creation",
            "Forbidden: resources for non-sidecar init containers are immutable",
            r#"Invalid value: "object": Value is immutable"#,
            "Invalid value: \"object\": Immutable field: spec.size",
            "Invalid value: 3: field cannot be modified once set",
            "Required value: field cannot be cleared once set",
            "Forbidden: field cannot be set once created",
            r#"Invalid value: ["None"]: may not change once set"#,
            r#"Invalid value: []: primary clusterIP can not be unset"#,
            r#"Invalid value: []: primary ipFamily can not be unset"#,
            "Forbidden: may not be changed in an update.",
            r#"Invalid value: "string": the class cannot be changed"#,
            r#"Invalid value: {"kind":"Role","name":"b"}: cannot change roleRef"#,
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden",
            "Forbidden: updates to parameters are forbidden.",
            "Forbidden: updates to driverName are forbidden.",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.tolerations`\n  core.PodSpec{",
            "Forbidden: pod updates may not add or remove containers",
            "Forbidden: existing toleration can not be modified except its tolerationSeconds",
            "Invalid value: 5: can only be modified in tandem with spec.parallelism",
        ];
        for text in texts {
            assert!(refusal(&[text]).is_immutable(), "{text}");
        }
    }

    #[test]
    fn what_is_only_wrong_is_not_to_be_replaced() {
        let texts = [
            "Invalid value: 70000: must be between 1 and 65535, inclusive",
            "Required value",
            r#"Unsupported value: "Sometimes": supported values: "Always", "Never""#,
            "Forbidden: may not be set when `type` is 'ExternalName'",
            "Forbidden: field can not be less than status.capacity",
            r#"Invalid value: {"app":"web"}: `selector` does not match template `labels`"#,
            "Invalid value: 0: must be greater than or equal to 1",
            "Forbidden: cannot be set for a windows pod",
        ];
        for text in texts {
            assert!(!refusal(&[text]).is_immutable(), "{text}");
        }
        let mixed = refusal(&[
            r#"Invalid value: ["None"]: may not change once set"#,
            texts[0],
        ]);
        assert!(!mixed.is_immutable());
        let elsewhere = Refusal {
            code: 403,
            message: "field is immutable".to_owned(),
            ..Refusal::default()
        };
        assert!(!elsewhere.is_immutable());
    }

    #[test]
    fn a_refusal_without_causes_says_it_in_its_message() {
        let bare = Refusal {
            code: 422,
            message: "Secret \"sealed\" is invalid: data: Forbidden: field is immutable".to_owned(),
            ..Refusal::default()
        };
        assert!(bare.is_immutable() && bare.immutable_fields().is_empty());
    }
}
