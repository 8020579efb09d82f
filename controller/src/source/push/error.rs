//! Why nothing could be pushed, and what helps.

use crate::source::error::SourceError;
use crate::source::failure::Failure;
use crate::source::known_hosts::Verdict;

/// What forges and shells say to keys and accounts that may read only.
const READ_ONLY: [&str; 9] = [
    "read only",
    "read-only",
    "write access",
    "permission",
    "not allowed",
    "not authorized",
    "unauthorized",
    "denied",
    "does not run",
];

/// Why a push did not come to an answer. No text here ever holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The address or the credential cannot be used, or what is to be pushed cannot be made.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The server shows a key that is not known to be its own: nothing was said to it.
    #[error("unable to push to '{url}': {problem}; {advice}")]
    UntrustedHost {
        /// The server.
        url: String,
        /// What the key is.
        problem: String,
        /// What helps.
        advice: &'static str,
    },
    /// The server lets nobody in with this key.
    #[error(
        "unable to push to '{url}': {problem}; let the public half of `identity` in on the server, and let it write"
    )]
    KeyNotLetIn {
        /// The server.
        url: String,
        /// What it said.
        problem: String,
    },
    /// The server knows the credential, which may not write there.
    #[error(
        "unable to push to '{url}': the server does not let this credential write ({said}); give it write access: a deploy key has none unless that is allowed where it was added"
    )]
    MayNotWrite {
        /// The server.
        url: String,
        /// What it said.
        said: String,
    },
    /// The server, the network or the repository said no.
    #[error("unable to push to '{url}': {problem}")]
    Failed {
        /// The server.
        url: String,
        /// In words.
        problem: String,
    },
}

impl PushError {
    /// What a failure means for a push.
    pub(super) fn of(url: &str, failure: &Failure) -> Self {
        let (url, problem) = (url.to_owned(), failure.to_string());
        match failure {
            Failure::HostKey(verdict) => Self::UntrustedHost {
                url,
                problem,
                advice: advice(*verdict),
            },
            Failure::KeyNotLetIn => Self::KeyNotLetIn { url, problem },
            // Forges hide what may not be seen.
            Failure::Forbidden | Failure::NotFound => Self::MayNotWrite { url, said: problem },
            Failure::Complaint(said) if is_read_only(said) => {
                Self::MayNotWrite { url, said: problem }
            }
            _ => Self::Failed { url, problem },
        }
    }
}

fn is_read_only(said: &str) -> bool {
    let said = said.to_lowercase();
    READ_ONLY.iter().any(|words| said.contains(words))
}

fn advice(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Changed => {
            "`known_hosts` of the Secret to push with has another key for it: find out why it changed before you replace the line"
        }
        Verdict::Revoked => {
            "`known_hosts` of the Secret to push with says that this key is in wrong hands"
        }
        Verdict::Known | Verdict::Unknown => {
            "add its line to `known_hosts` of the Secret to push with: `ssh-keyscan` prints it; compare it with what the host publishes"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forges_say_to_keys_that_may_not_write() {
        for said in [
            "ERROR: The key you are authenticating with has been marked as read only.",
            "ERROR: Permission to acme/fleet.git denied to deploy key",
            "ERROR: This deploy key does not have write access to this project.",
            "Forgejo: Deploy Key: 1:fleet is not authorized to write to acme/fleet.",
            "conq: repository access denied. access via a deployment key is read-only.",
            "the server does not run git-receive-pack for us",
        ] {
            let error = PushError::of("ssh://h/r", &Failure::Complaint(said.to_owned()));
            let text = error.to_string();
            assert!(matches!(error, PushError::MayNotWrite { .. }), "{text}");
            assert!(
                text.contains(said) && text.contains("give it write access"),
                "{text}"
            );
        }
        let busy = Failure::Complaint("ERROR: the server is busy".to_owned());
        let error = PushError::of("ssh://h/r", &busy).to_string();
        assert_eq!(
            error,
            "unable to push to 'ssh://h/r': ERROR: the server is busy"
        );
    }
}
