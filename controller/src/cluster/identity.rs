//! In whose name a request is sent. A client cannot be built without saying so.

use std::fmt;

/// In whose name a client speaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// Weir's own account: for Weir's own objects (sources, Kustomizations, events, leases), for the shared
    /// metadata watches, and for reading referenced ConfigMaps and Secrets. For nothing else, unless a
    /// Kustomization names no account.
    OwnAccount,
    /// A service account, by impersonation.
    ServiceAccount {
        /// Its namespace: that of the Kustomization.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The person at the command line, as their kubeconfig says.
    Caller,
}

/// Why an identity was refused before any request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A part of a service account's name is empty or cannot be a name.
    #[error(
        "service account {namespace:?}/{name:?} is not a valid name to impersonate: no request was sent"
    )]
    InvalidName {
        /// The namespace as given.
        namespace: String,
        /// The name as given.
        name: String,
    },
}

impl Identity {
    /// The user to impersonate, checked: an empty or odd name would leave the header without effect or with
    /// another meaning, and the request would run with Weir's own rights (Flux Operator CVE-2026-23990).
    pub fn impersonated_user(&self) -> Result<Option<String>, IdentityError> {
        match self {
            Self::OwnAccount | Self::Caller => Ok(None),
            Self::ServiceAccount { namespace, name } => {
                if is_name(namespace, 63, false) && is_name(name, 253, true) {
                    Ok(Some(format!("system:serviceaccount:{namespace}:{name}")))
                } else {
                    Err(IdentityError::InvalidName {
                        namespace: namespace.clone(),
                        name: name.clone(),
                    })
                }
            }
        }
    }
}

/// RFC 1123: lower-case letters, digits and `-`, for names also `.`, with a letter or digit at both ends.
fn is_name(text: &str, longest: usize, dots: bool) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inside = |byte: u8| alphanumeric(byte) || byte == b'-' || (dots && byte == b'.');
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= longest
        && bytes.iter().all(|byte| inside(*byte))
        && alphanumeric(bytes[0])
        && alphanumeric(bytes[bytes.len() - 1])
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnAccount => f.write_str("Weir's own account"),
            Self::ServiceAccount { namespace, name } => {
                write!(f, "service account {namespace}/{name}")
            }
            Self::Caller => f.write_str("the caller"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(namespace: &str, name: &str) -> Identity {
        Identity::ServiceAccount {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_service_account_is_impersonated_by_its_full_name() {
        assert_eq!(
            account("shop", "deployer").impersonated_user(),
            Ok(Some("system:serviceaccount:shop:deployer".into()))
        );
        assert_eq!(Identity::OwnAccount.impersonated_user(), Ok(None));
    }

    #[test]
    fn empty_and_odd_names_are_refused() {
        for (namespace, name) in [
            ("", "deployer"),
            ("shop", ""),
            ("shop", " "),
            ("shop", "a b"),
            ("shop:kube-system", "deployer"),
            ("shop", "deployer:extra"),
            ("shop", "deployer\r\nImpersonate-Group: system:masters"),
            ("shop", "-deployer"),
            ("shop.x", "deployer"),
        ] {
            assert!(
                account(namespace, name).impersonated_user().is_err(),
                "{namespace:?}/{name:?}"
            );
        }
    }
}
