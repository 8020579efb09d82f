//! What SOPS writes about a file into the file: who can open it, what is encrypted, and the MAC.

mod read;
mod write;

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::time::Time;
use crate::tree::{Branch, Item, Value};

pub(crate) use write::write;

/// The key of the metadata in structured formats, the section in INI.
pub(crate) const METADATA_KEY: &str = "sops";

/// The metadata of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Each group holds the whole data key when there is one, else a share of it, wrapped for each of its recipients.
    pub groups: Vec<Vec<Wrapped>>,
    /// How many groups it takes; 0 when the file does not say.
    pub shamir_threshold: usize,
    /// When the file was last encrypted; authenticated by the MAC.
    pub last_modified: Time,
    /// The encrypted MAC.
    pub mac: String,
    /// Which values are encrypted.
    pub rule: Rule,
    /// The MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// The version of SOPS that wrote the file; empty when the file does not say.
    pub version: String,
}

/// Which values of a file are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All but those under a key with the suffix.
    UnencryptedSuffix(String),
    /// Those under a key with the suffix.
    EncryptedSuffix(String),
    /// All but those under a key that the pattern finds.
    UnencryptedRegex(String),
    /// Those under a key that the pattern finds.
    EncryptedRegex(String),
    /// All but those under a comment that the pattern finds.
    UnencryptedCommentRegex(String),
    /// Those under a comment that the pattern finds.
    EncryptedCommentRegex(String),
}

/// A rule by its field in the metadata.
type RuleField = (&'static str, fn(String) -> Rule);

/// The fields that hold a rule.
pub(crate) const RULES: [RuleField; 6] = [
    ("unencrypted_suffix", Rule::UnencryptedSuffix),
    ("encrypted_suffix", Rule::EncryptedSuffix),
    ("unencrypted_regex", Rule::UnencryptedRegex),
    ("encrypted_regex", Rule::EncryptedRegex),
    ("unencrypted_comment_regex", Rule::UnencryptedCommentRegex),
    ("encrypted_comment_regex", Rule::EncryptedCommentRegex),
];

impl Default for Rule {
    /// What SOPS does when a file names no rule.
    fn default() -> Self {
        Self::UnencryptedSuffix("_unencrypted".to_owned())
    }
}

/// The data key, or a share of it, as it lies in the file for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wrapped {
    /// Whose key opens it.
    pub recipient: Recipient,
    /// The ciphertext, in the notation of the recipient's kind.
    pub ciphertext: String,
    /// When it was made (RFC 3339); age entries do not say.
    pub created_at: Option<String>,
}

/// Whose key opens a wrapped data key. Everything here comes from the file: addresses and names are hostile until an
/// operator's list says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recipient {
    /// age: an X25519, hybrid, SSH or plugin recipient.
    Age {
        /// `age1…`, `ssh-ed25519 …`.
        recipient: String,
    },
    /// OpenPGP.
    Pgp {
        /// Fingerprint in hexadecimal.
        fingerprint: String,
    },
    /// AWS Key Management Service.
    AwsKms {
        /// The key.
        arn: String,
        /// A role to assume first; empty for none.
        role: String,
        /// The encryption context.
        context: BTreeMap<String, String>,
        /// A profile of the credentials file; empty for none.
        profile: String,
    },
    /// Google Cloud Key Management Service.
    GcpKms {
        /// The key.
        resource_id: String,
    },
    /// Azure Key Vault.
    AzureKeyVault {
        /// Address of the vault.
        vault_url: String,
        /// The key.
        name: String,
        /// Its version; may be empty.
        version: String,
    },
    /// HashiCorp Vault or OpenBao, transit engine.
    VaultTransit {
        /// Address of the server.
        address: String,
        /// Path of the engine.
        engine_path: String,
        /// The key.
        key_name: String,
    },
    /// Huawei Cloud Key Management Service.
    HuaweiKms {
        /// `region:uuid`.
        key_id: String,
    },
}

impl Recipient {
    /// The text by which people know the recipient.
    pub fn name(&self) -> &str {
        match self {
            Self::Age { recipient } => recipient,
            Self::Pgp { fingerprint } => fingerprint,
            Self::AwsKms { arn, .. } => arn,
            Self::GcpKms { resource_id } => resource_id,
            Self::AzureKeyVault { vault_url, .. } => vault_url,
            Self::VaultTransit { address, .. } => address,
            Self::HuaweiKms { key_id } => key_id,
        }
    }

    /// True when the key lies with a service: the caller unwraps it and hands the answer back.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Age { .. } | Self::Pgp { .. })
    }
}

impl Metadata {
    /// All wrapped keys of all groups.
    pub fn wrapped(&self) -> impl Iterator<Item = &Wrapped> {
        self.groups.iter().flatten()
    }
}

/// Takes the metadata mapping out of the documents: the first document's counts, the others' is dropped unread.
pub(crate) fn take(branches: &mut [Branch]) -> Result<Branch, Error> {
    let mut found = None;
    for (document, branch) in branches.iter_mut().enumerate() {
        let (ours, rest) = branch
            .drain(..)
            .partition(|item| matches!(item, Item::Pair(pair) if pair.key == METADATA_KEY));
        *branch = rest;
        if document == 0 {
            found = Some(only_mapping(ours)?);
        }
    }
    found.ok_or_else(|| ErrorKind::MetadataNotFound.error())
}

fn only_mapping(mut found: Vec<Item>) -> Result<Branch, Error> {
    let Some(Item::Pair(pair)) = found.pop() else {
        return Err(ErrorKind::MetadataNotFound.error());
    };
    let position = pair.node.position;
    let problem = |text: &str| ErrorKind::BadMetadata(text.to_owned()).at(position);
    if !found.is_empty() {
        return Err(problem("it is there twice"));
    }
    match pair.node.value {
        Value::Map(branch) => Ok(branch),
        _ => Err(problem("it is not a mapping")),
    }
}
