//! What can go wrong with a source, with the condition reason that Flux gives each case.

/// Why a source could not be brought up to date. No text here ever holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The address cannot be used; only another spec can help.
    #[error("failed to parse url '{url}': {problem}")]
    UrlInvalid {
        /// The address, without user and password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The Secret with the credentials is missing, incomplete or contradicts itself.
    #[error("{0}")]
    Authentication(String),
    /// The spec asks for a provider that its Secret does not fit, or that is not there.
    #[error("{0}")]
    Provider(String),
    /// The spec asks for a provider and names no Secret for it; only another spec can help.
    #[error("secretRef with github app data must be specified when provider is set to github")]
    NoProviderSecret,
    /// The spec asks to act as a ServiceAccount, which this version does not do; only another spec can help.
    #[error(
        "to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller"
    )]
    ServiceAccount,
    /// The spec uses a field that this version does not carry out; only another spec can help.
    #[error("spec.{field} is not supported")]
    Unsupported {
        /// The field, from the spec on.
        field: &'static str,
    },
    /// The server, the network or the repository said no.
    #[error("failed to checkout and determine revision: {0}")]
    Git(String),
    /// Folders of `spec.sparseCheckout` that the repository does not have.
    #[error(
        "failed to sparse checkout directories : sparse checkout dir '{0}' does not exist in repository"
    )]
    SparseCheckout(String),
    /// The repository has no commit yet, or none any more.
    #[error("git repository is empty")]
    Empty,
    /// The local cache could not be read or written.
    #[error("{act}: {problem}")]
    Cache {
        /// What was being done.
        act: &'static str,
        /// What the file system or the object database said.
        problem: String,
    },
}

impl SourceError {
    /// The reason that the conditions FetchFailed and Ready carry.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UrlInvalid { .. } => "URLInvalid",
            Self::Authentication(_) => "AuthenticationFailed",
            Self::Provider(_) | Self::NoProviderSecret => "InvalidProviderConfiguration",
            Self::Unsupported { .. } | Self::ServiceAccount => "FeatureGateDisabled",
            Self::Git(_) | Self::SparseCheckout(_) | Self::Cache { .. } => "GitOperationFailed",
            Self::Empty => "EmptyGitRepository",
        }
    }

    /// True when trying again is of no use before the spec changes.
    pub fn stalls(&self) -> bool {
        matches!(
            self,
            Self::UrlInvalid { .. }
                | Self::Unsupported { .. }
                | Self::NoProviderSecret
                | Self::ServiceAccount
        )
    }

    /// An error of the local cache.
    pub(crate) fn cache(act: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Cache {
            act,
            problem: problem.to_string(),
        }
    }
}
