//! Reading the metadata, with the leniency that SOPS has for types.

use std::collections::BTreeMap;

use super::{Metadata, RULES, Recipient, Rule, Wrapped};
use crate::canonical::{self, FloatStyle};
use crate::error::{Error, ErrorKind};
use crate::time::Time;
use crate::tree::{Branch, Element, Node, Value, pairs};

/// A key list of the metadata and how one of its entries is read.
struct KeyList {
    /// The list's name.
    name: &'static str,
    /// Entries say when they were made.
    dated: bool,
    read: fn(&Fields<'_>) -> Result<Recipient, Error>,
}

/// The key lists in the order that a group keeps them.
const KEY_LISTS: [KeyList; 7] = [
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
