//! How to get into a repository: credentials and TLS, read from the Secrets that a GitRepository names.

use std::collections::BTreeMap;
use std::fmt;

use super::error::SourceError;
use super::remote::{RemoteUrl, UserInfo};

/// The way in. `Debug` shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Who we are.
    pub credentials: Credentials,
    /// Certificates (PEM) that are trusted besides the well-known ones.
    pub authorities: Option<Vec<u8>>,
    /// Certificate and key (PEM) that we show to the server.
    pub client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// The way around; without one, the proxies of the process, if it has any.
    pub proxy: Option<Proxy>,
}

/// A server that requests go through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address.
    pub address: String,
    /// Who we are to it: user and password.
    pub account: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(***)")
    }
}

/// Who we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A name and a password (or a token in its place).
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
    /// A key, for SSH.
    Ssh(SshIdentity),
}

/// Who we are to an SSH server, and which servers we trust.
#[derive(Clone, PartialEq, Eq)]
pub struct SshIdentity {
    /// The private key, in any of the usual formats.
    pub private_key: String,
    /// What the key is encrypted with.
    pub passphrase: Option<String>,
    /// Whose keys are known, as OpenSSH writes it down.
    pub known_hosts: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("credentials", &self.credentials)
            .field("authorities", &self.authorities.is_some())
            .field("client_certificate", &self.client_certificate.is_some())
            .field("proxy", &self.proxy)
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
            Self::Ssh(_) => "Ssh(***)",
        })
    }
}

/// The data of a Secret.
pub type SecretData = BTreeMap<String, Vec<u8>>;

impl Access {
    /// Reads the Secret of a repository; what the address said about user and password fills the gaps.
    pub fn from_secret(
        url: &RemoteUrl,
        info: &UserInfo,
        data: Option<&SecretData>,
    ) -> Result<Self, SourceError> {
        let empty = SecretData::new();
        let data = data.unwrap_or(&empty);
        let text = |key: &str| {
            data.get(key)
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .filter(|text| !text.is_empty())
        };
        let file = |key: &str| data.get(key).filter(|bytes| !bytes.is_empty()).cloned();
        let credentials = match (url, text("bearerToken")) {
            (RemoteUrl::Ssh(_), _) => Credentials::Ssh(SshIdentity {
                private_key: text("identity").ok_or_else(|| missing("identity"))?,
                passphrase: text("password"),
                known_hosts: text("known_hosts").ok_or_else(|| missing("known_hosts"))?,
            }),
            (RemoteUrl::Http(_), Some(token)) => Credentials::Bearer(token.trim().to_owned()),
            (RemoteUrl::Http(_), None) => basic(
                url,
                text("username").or_else(|| info.user.clone()),
                text("password").or_else(|| info.password.clone()),
            )?,
        };
        Ok(Self {
            credentials,
            authorities: file("ca.crt").or_else(|| file("caFile")),
            client_certificate: file("tls.crt").zip(file("tls.key")),
            proxy: None,
        })
    }
}

impl Access {
    /// Reads a Secret that says nothing but how TLS goes.
    pub fn tls(data: &SecretData) -> Self {
        let file = |key: &str| data.get(key).filter(|bytes| !bytes.is_empty()).cloned();
        Self {
            authorities: file("ca.crt").or_else(|| file("caFile")),
            client_certificate: file("tls.crt").zip(file("tls.key")),
            ..Self::default()
        }
    }
}

/// A key that SSH cannot do without is not in the Secret.
pub(super) fn missing(key: &str) -> SourceError {
    SourceError::Authentication(format!(
        "failed to configure authentication options: invalid 'ssh' auth option: '{key}' is required"
    ))
}

impl Proxy {
    /// Reads the Secret of a proxy, which goes by this name.
    pub fn from_secret(name: &str, data: &SecretData) -> Result<Self, SourceError> {
        let text = |key: &str| {
            let bytes = data.get(key).filter(|bytes| !bytes.is_empty())?;
            Some(String::from_utf8_lossy(bytes).trim().to_owned())
        };
        let Some(address) = text("address") else {
            return Err(SourceError::Authentication(format!(
                "failed to configure proxy options: secret '{name}': key 'address' not found"
            )));
        };
        let account = text("username").map(|user| (user, text("password").unwrap_or_default()));
        Ok(Self { address, account })
    }
}

fn basic(
    url: &RemoteUrl,
    username: Option<String>,
    password: Option<String>,
) -> Result<Credentials, SourceError> {
    match (username, password) {
        (None, None) => Ok(Credentials::Anonymous),
        (Some(username), password) => Ok(Credentials::Basic {
            username,
            password: password.unwrap_or_default(),
        }),
        (None, Some(_)) => {
            let address = url.to_string();
            let scheme = address.split("://").next().unwrap_or_default();
            Err(SourceError::Authentication(format!(
                "failed to configure authentication options: invalid '{scheme}' auth option: 'password' requires 'username' to be set"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str, data: &[(&str, &str)]) -> Result<Access, SourceError> {
        let (url, info) = RemoteUrl::parse(url).expect("valid");
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Access::from_secret(&url, &info, Some(&data))
    }

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn the_forms_of_the_secret() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str)],
            Credentials,
        );
        let cases: [Case; 6] = [
            ("https://h/r", &[], Credentials::Anonymous),
            (
                "https://h/r",
                &[("username", "me"), ("password", "pw")],
                basic("me", "pw"),
            ),
            ("https://h/r", &[("username", "me")], basic("me", "")),
            ("https://u:v@h/r", &[], basic("u", "v")),
            ("https://u:v@h/r", &[("username", "me")], basic("me", "v")),
            (
                "https://h/r",
                &[
                    ("bearerToken", "t\n"),
                    ("username", "me"),
                    ("password", "pw"),
                ],
                Credentials::Bearer("t".to_owned()),
            ),
        ];
        for (url, data, expected) in cases {
            assert!(
                access(url, data).expect("valid").credentials == expected,
                "{url} {data:?}"
            );
        }
    }

    #[test]
    fn a_password_needs_a_user() {
        let error = access("https://h/r", &[("password", "pw")]).expect_err("refused");
        assert_eq!(error.reason(), "AuthenticationFailed");
        assert!(
            error
                .to_string()
                .ends_with("invalid 'https' auth option: 'password' requires 'username' to be set"),
            "{error}"
        );
    }

    #[test]
    fn ssh_needs_a_key_and_known_hosts() {
        for (data, absent) in [
            (&[][..], "identity"),
            (&[("identity", "key")][..], "known_hosts"),
            (&[("known_hosts", "host key")][..], "identity"),
        ] {
            let error = access("ssh://h/r", data).expect_err("refused");
            assert_eq!(error.reason(), "AuthenticationFailed");
            let end = format!("invalid 'ssh' auth option: '{absent}' is required");
            assert!(error.to_string().ends_with(&end), "{error}");
        }
        let both = [("identity", "key"), ("known_hosts", "host key")];
        assert!(access("ssh://h/r", &both).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!(
            "{:?}",
            access("https://h/r", &[("username", "me"), ("password", "hush")]).expect("valid")
        );
        assert!(!shown.contains("hush"), "{shown}");
    }
}
