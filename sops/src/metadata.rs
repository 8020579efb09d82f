//! What SOPS writes about a file into the file: who can open it, what is encrypted, and the MAC.

use std::collections::BTreeMap;

use crate::canonical::{self, FloatStyle};
use crate::error::{Error, ErrorKind};
use crate::time::Time;
use crate::tree::{Branch, Element, Item, Node, Value, pairs};

/// The key of the metadata in structured formats, the section in INI.
pub const METADATA_KEY: &str = "sops";

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

/// A key list of the metadata and how one of its entries is read.
pub(crate) struct KeyList {
    /// The list's name.
    pub(crate) name: &'static str,
    /// Entries say when they were made.
    pub(crate) dated: bool,
    read: fn(&Fields<'_>) -> Result<Recipient, Error>,
}

/// The key lists in the order that a group keeps them.
pub(crate) const KEY_LISTS: [KeyList; 7] = [
    KeyList {
        name: "kms",
        dated: true,
        read: |fields| {
            Ok(Recipient::AwsKms {
                arn: fields.text("arn")?,
                role: fields.text("role")?,
                context: fields.texts("context")?,
                profile: fields.text("aws_profile")?,
            })
        },
    },
    KeyList {
        name: "gcp_kms",
        dated: true,
        read: |fields| {
            Ok(Recipient::GcpKms {
                resource_id: fields.text("resource_id")?,
            })
        },
    },
    KeyList {
        name: "hckms",
        dated: true,
        read: |fields| {
            Ok(Recipient::HuaweiKms {
                key_id: fields.text("key_id")?,
            })
        },
    },
    KeyList {
        name: "azure_kv",
        dated: true,
        read: |fields| {
            Ok(Recipient::AzureKeyVault {
                vault_url: fields.text("vault_url")?,
                name: fields.text("name")?,
                version: fields.text("version")?,
            })
        },
    },
    KeyList {
        name: "hc_vault",
        dated: true,
        read: |fields| {
            Ok(Recipient::VaultTransit {
                address: fields.text("vault_address")?,
                engine_path: fields.text("engine_path")?,
                key_name: fields.text("key_name")?,
            })
        },
    },
    KeyList {
        name: "pgp",
        dated: true,
        read: |fields| {
            Ok(Recipient::Pgp {
                fingerprint: fields.text("fp")?,
            })
        },
    },
    KeyList {
        name: "age",
        dated: false,
        read: |fields| {
            Ok(Recipient::Age {
                recipient: fields.text("recipient")?,
            })
        },
    },
];

impl Metadata {
    /// Reads the metadata mapping.
    pub fn read(branch: &Branch) -> Result<Self, Error> {
        let fields = Fields::of(branch);
        let last_modified = fields.text("lastmodified")?;
        let last_modified = Time::parse_rfc3339(&last_modified)
            .or_else(|| Time::parse_yaml(&last_modified))
            .ok_or_else(|| fields.problem("lastmodified", "is not an RFC 3339 time"))?;
        Ok(Self {
            groups: read_groups(&fields)?,
            shamir_threshold: fields.number("shamir_threshold")?,
            last_modified,
            mac: fields.text("mac")?,
            rule: read_rule(&fields)?,
            mac_only_encrypted: fields.truth("mac_only_encrypted")?,
            version: fields.text("version")?,
        })
    }

    /// All wrapped keys of all groups.
    pub fn wrapped(&self) -> impl Iterator<Item = &Wrapped> {
        self.groups.iter().flatten()
    }
}

fn read_rule(fields: &Fields<'_>) -> Result<Rule, Error> {
    let mut found = None;
    for (name, rule) in RULES {
        let text = fields.text(name)?;
        if text.is_empty() {
            continue;
        }
        if found.replace(rule(text)).is_some() {
            return Err(fields.problem(name, "is a second rule; a file has one"));
        }
    }
    Ok(found.unwrap_or_default())
}

fn read_groups(fields: &Fields<'_>) -> Result<Vec<Vec<Wrapped>>, Error> {
    let single = read_group(fields)?;
    if !single.is_empty() {
        return Ok(vec![single]);
    }
    let groups = fields
        .list("key_groups")?
        .iter()
        .map(read_group)
        .collect::<Result<Vec<_>, _>>()?;
    if groups.is_empty() {
        return Err(ErrorKind::BadMetadata("no keys in it".to_owned()).error());
    }
    Ok(groups)
}

fn read_group(fields: &Fields<'_>) -> Result<Vec<Wrapped>, Error> {
    let mut group = Vec::new();
    for list in &KEY_LISTS {
        for entry in fields.list(list.name)? {
            group.push(read_wrapped(list, &entry)?);
        }
    }
    Ok(group)
}

fn read_wrapped(list: &KeyList, entry: &Fields<'_>) -> Result<Wrapped, Error> {
    let created_at = entry.text("created_at")?;
    if list.dated && Time::parse_rfc3339(&created_at).is_none() {
        return Err(entry.problem("created_at", "is not an RFC 3339 time"));
    }
    Ok(Wrapped {
        recipient: (list.read)(entry)?,
        ciphertext: entry.text("enc")?,
        created_at: list.dated.then_some(created_at),
    })
}

/// The fields of one mapping of the metadata; of a field that is there twice, the last counts.
struct Fields<'a>(BTreeMap<&'a str, &'a Node>);

impl<'a> Fields<'a> {
    fn of(branch: &'a Branch) -> Self {
        Self(
            pairs(branch)
                .map(|pair| (pair.key.as_str(), &pair.node))
                .collect(),
        )
    }

    fn problem(&self, name: &str, problem: &str) -> Error {
        let position = self.0.get(name).map(|node| node.position);
        ErrorKind::BadMetadata(format!("{name} {problem}")).at(position.unwrap_or_default())
    }

    /// A text, or any scalar as text; empty when it is missing or null.
    fn text(&self, name: &str) -> Result<String, Error> {
        let Some(node) = self.0.get(name) else {
            return Ok(String::new());
        };
        scalar_text(node).ok_or_else(|| self.problem(name, "is not a text"))
    }

    fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        match self.0.get(name).map(|node| &node.value) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(Value::Map(branch)) => pairs(branch)
                .map(|pair| {
                    let text = scalar_text(&pair.node);
                    Ok((
                        pair.key.clone(),
                        text.ok_or_else(|| self.problem(name, "holds more than texts"))?,
                    ))
                })
                .collect(),
            Some(_) => Err(self.problem(name, "is not a mapping")),
        }
    }

    fn number(&self, name: &str) -> Result<usize, Error> {
        match self.text(name)?.as_str() {
            "" => Ok(0),
            text => text
                .parse()
                .map_err(|_| self.problem(name, "is not a number")),
        }
    }

    fn truth(&self, name: &str) -> Result<bool, Error> {
        match self.text(name)?.as_str() {
            "" => Ok(false),
            text => canonical::parse_bool(text)
                .ok_or_else(|| self.problem(name, "is not a truth value")),
        }
    }

    /// A list of mappings; empty when it is missing or null.
    fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, Error> {
        let elements = match self.0.get(name).map(|node| &node.value) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::List(elements)) => elements,
            Some(Value::Map(branch)) if branch.is_empty() => return Ok(Vec::new()),
            Some(_) => return Err(self.problem(name, "is not a list")),
        };
        elements
            .iter()
            .filter_map(|element| match element {
                Element::Comment(_) => None,
                Element::Node(node) => Some(match &node.value {
                    Value::Map(branch) => Ok(Fields::of(branch)),
                    _ => Err(self.problem(name, "holds something that is not a mapping")),
                }),
            })
            .collect()
    }
}

fn scalar_text(node: &Node) -> Option<String> {
    if let Some(written) = &node.written {
        return Some(written.to_string());
    }
    Some(match &node.value {
        Value::Null => String::new(),
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => canonical::float(*float, FloatStyle::Plain),
        Value::Time(time) => time.to_string(),
        Value::Text(bytes) => std::str::from_utf8(bytes).ok()?.to_owned(),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// Takes the metadata mapping out of the documents: the first document's counts, the others' is dropped unread.
pub fn take(branches: &mut [Branch]) -> Result<Branch, Error> {
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
