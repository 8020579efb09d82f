//! Who we are to key services: what the decryption Secret of an owner says, under Flux's names, and what a service
//! account stands for.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::path::PathBuf;

use overlay::yaml::{Dialect, Node, read_documents};
use reqwest::Url;
use sops::Recipient;
use zeroize::Zeroizing;

use super::account::Account;
use super::{Refusal, Services, aws, azure, gcp, vault};

/// The longest token file that is read.
const TOKEN_LIMIT: usize = 64 * 1024;

/// Who we are, to each kind of service that there are credentials for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// To Vault and OpenBao.
    pub vault: Option<vault::Login>,
    /// To AWS.
    pub aws: Option<aws::Identity>,
    /// To Google Cloud.
    pub gcp: Option<gcp::Identity>,
    /// To Azure.
    pub azure: Option<azure::Identity>,
    /// Servers of Vault that may be asked for any key, and that take tokens of accounts.
    pub vault_servers: Vec<vault::Server>,
    /// The account whose tokens those servers take.
    pub vault_account: Option<Account>,
    /// What is missing here is not borrowed from the process.
    pub alone: bool,
}

/// A text that nobody is shown, overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl Deref for Sensitive {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Hash for Sensitive {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A token that others make for us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// The token.
    Given(Sensitive),
    /// Where it is put, and replaced before it ends.
    File(PathBuf),
    /// Made when it is needed.
    Issued {
        /// Whose token it is.
        account: Account,
        /// Whom it shall convince.
        audience: String,
    },
}

impl Token {
    /// The token as it is now.
    pub(super) async fn read(&self) -> Result<Sensitive, Refusal> {
        let file = match self {
            Self::Given(token) => return Ok(token.clone()),
            Self::File(file) => file,
            Self::Issued { account, audience } => return account.token(audience).await,
        };
        let unreadable = Refusal::BadCredentials("the file of the token cannot be read");
        let text = tokio::fs::read_to_string(file)
            .await
            .map(Zeroizing::new)
            .map_err(|_| unreadable)?;
        match text.trim() {
            "" => Err(Refusal::BadCredentials("the file of the token is empty")),
            token if token.len() > TOKEN_LIMIT => {
                Err(Refusal::BadCredentials("the file of the token is too long"))
            }
            token => Ok(Sensitive::new(token)),
        }
    }
}

/// Reads one entry of the Secret into the credentials.
type Read = fn(&[u8], &mut Credentials) -> Result<(), &'static str>;

/// The entries that are credentials: Flux's names, and one for AppRole, which Flux has not.
const ENTRIES: [(&str, Read); 5] = [
    ("sops.vault-token", |bytes, credentials| {
        let token = text(bytes)?.trim().to_owned();
        credentials.vault = Some(vault::Login::Token(Sensitive::new(token)));
        Ok(())
    }),
    ("sops.vault-approle", |bytes, credentials| {
        // The token wins, as the plainer word.
        if credentials.vault.is_none() {
            credentials.vault = Some(vault::Login::app_role(&document(bytes)?)?);
        }
        Ok(())
    }),
    ("sops.aws-kms", |bytes, credentials| {
        credentials.aws = Some(aws::Identity::fixed(&document(bytes)?)?);
        Ok(())
    }),
    ("sops.gcp-kms", |bytes, credentials| {
        credentials.gcp = Some(gcp::Identity::of_owner(text(bytes)?.trim())?);
        Ok(())
    }),
    ("sops.azure-kv", |bytes, credentials| {
        credentials.azure = Some(azure::Identity::fixed(&document(bytes)?)?);
        Ok(())
    }),
];

impl Credentials {
    /// Reads the decryption Secret of an owner; an error names the entry and never its text.
    pub fn of_secret(data: &BTreeMap<String, Zeroizing<Vec<u8>>>) -> Result<Self, String> {
        let mut credentials = Self::default();
        for (name, read) in ENTRIES {
            if let Some(bytes) = data.get(name) {
                read(bytes, &mut credentials)
                    .map_err(|problem| format!("key {name}: {problem}"))?;
            }
        }
        Ok(credentials)
    }

    /// One of the identities, else that of the process where a flag lends it out.
    pub(super) fn or_lent<'a, T>(
        &'a self,
        services: &'a Services,
        of: fn(&'a Self) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let lent = || of(&services.settings.ambient).filter(|_| !self.alone);
        of(self).or_else(lent)
    }

    /// Whether a key's server is one that may be asked for any key.
    pub(super) fn trusts(&self, recipient: &Recipient) -> bool {
        match recipient {
            Recipient::VaultTransit { address, .. } => Url::parse(address).is_ok_and(|address| {
                let mut servers = self.vault_servers.iter();
                servers.any(|server| server.is_at(&address))
            }),
            _ => false,
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "it is not text")
}

/// A YAML or JSON mapping; also in UTF-16 with a mark, as `az` writes it on Windows.
fn document(bytes: &[u8]) -> Result<Node, &'static str> {
    let bytes = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => Zeroizing::new(bytes.to_vec()),
    };
    let documents = read_documents(&bytes, 0, Dialect::Kubernetes);
    // The parser's error may quote the text.
    let documents = documents.map_err(|_| "it is not YAML")?;
    documents.into_iter().next().ok_or("it is empty")
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    let text = text.map_err(|_| "it is not UTF-16")?;
    Ok(Zeroizing::new(text.into_bytes()))
}

/// A field that is there and not empty.
pub(super) fn field(document: &Node, name: &str) -> Option<String> {
    document
        .find_str(&[name])
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, &[u8])]) -> Result<Credentials, String> {
        let entries = entries.iter();
        let data = entries.map(|(name, value)| ((*name).to_owned(), value.to_vec().into()));
        Credentials::of_secret(&data.collect())
    }

    #[test]
    fn the_entries_of_the_secret() {
        let credentials = of(&[
            ("sops.vault-token", b" s.token\n"),
            ("sops.vault-approle", b"roleId: r\nsecretId: s\n"),
            (
                "sops.aws-kms",
                b"aws_access_key_id: AK\naws_secret_access_key: quiet\naws_session_token: hush\n",
            ),
            (
                "sops.azure-kv",
                br#"{"tenantId":"t","clientId":"c","clientSecret":"s"}"#,
            ),
            ("identity.agekey", b"not ours"),
        ]);
        let credentials = credentials.expect("credentials");
        let token = vault::Login::Token(Sensitive::new("s.token"));
        assert_eq!(credentials.vault, Some(token));
        assert!(matches!(credentials.aws, Some(aws::Identity::Fixed { .. })));
        assert!(matches!(
            credentials.azure,
            Some(azure::Identity::Secret { .. })
        ));
        let shown = format!("{credentials:?}");
        for secret in ["s.token", "quiet", "hush", "\"s\""] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn azure_files_of_windows_and_of_az_are_read() {
        let text = "appId: a\ntenant: t\npassword: p\n";
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        let credentials = of(&[("sops.azure-kv", &bytes)]).expect("credentials");
        assert_eq!(
            credentials,
            of(&[("sops.azure-kv", text.as_bytes())]).expect("credentials")
        );
    }

    #[test]
    fn broken_entries_are_named_and_not_quoted() {
        for (name, value) in [
            ("sops.aws-kms", &b"aws_access_key_id: hunter2\n"[..]),
            ("sops.aws-kms", b"hunter2: [\n"),
            ("sops.gcp-kms", br#"{"type":"external_account","audience":"hunter2"}"#),
            ("sops.gcp-kms", b"hunter2"),
            ("sops.azure-kv", b"clientId: hunter2\n"),
            (
                "sops.azure-kv",
                b"tenantId: t\nclientId: c\nclientSecret: hunter2\nauthorityHost: https://evil.test\n",
            ),
            ("sops.vault-approle", b"roleId: hunter2\n"),
        ] {
            let problem = of(&[(name, value)]).expect_err(name);
            assert!(problem.starts_with(&format!("key {name}: ")), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
