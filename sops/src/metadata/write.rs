//! Writing the metadata as SOPS 3.13 does: fields by name, empty ones left out.

use super::{Metadata, Recipient, Rule, Wrapped};
use crate::tree::{Branch, Element, Item, Value};

/// The metadata as a mapping.
pub(crate) fn write(metadata: &Metadata) -> Branch {
    let mut fields = match metadata.groups.as_slice() {
        [group] => group_fields(group),
        groups => {
            let groups = groups
                .iter()
                .map(|group| map(group_fields(group)))
                .collect();
            vec![("key_groups", Value::List(groups_list(groups)))]
        }
    };
    let (rule, text) = rule_field(&metadata.rule);
    fields.extend([
        (
            "lastmodified",
            Value::text(&metadata.last_modified.seconds()),
        ),
        ("mac", Value::text(&metadata.mac)),
        ("version", Value::text(&metadata.version)),
        (rule, Value::text(text)),
    ]);
    if metadata.shamir_threshold > 0 {
        let threshold = i64::try_from(metadata.shamir_threshold).unwrap_or(i64::MAX);
        fields.push(("shamir_threshold", Value::Int(threshold)));
    }
    if metadata.mac_only_encrypted {
        fields.push(("mac_only_encrypted", Value::Bool(true)));
    }
    branch(fields)
}

fn branch(mut fields: Vec<(&'static str, Value)>) -> Branch {
    fields.sort_by_key(|(name, _)| *name);
    fields
        .into_iter()
        .map(|(name, value)| Item::pair(name, value))
        .collect()
}

fn map(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Map(branch(fields))
}

fn groups_list(values: Vec<Value>) -> Vec<Element> {
    values
        .into_iter()
        .map(|value| Element::Node(value.into()))
        .collect()
}

fn rule_field(rule: &Rule) -> (&'static str, &str) {
    match rule {
        Rule::UnencryptedSuffix(text) => ("unencrypted_suffix", text),
        Rule::EncryptedSuffix(text) => ("encrypted_suffix", text),
        Rule::UnencryptedRegex(text) => ("unencrypted_regex", text),
        Rule::EncryptedRegex(text) => ("encrypted_regex", text),
        Rule::UnencryptedCommentRegex(text) => ("unencrypted_comment_regex", text),
        Rule::EncryptedCommentRegex(text) => ("encrypted_comment_regex", text),
    }
}

/// The key lists of a group, each with its entries in order.
fn group_fields(group: &[Wrapped]) -> Vec<(&'static str, Value)> {
    let mut lists: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for wrapped in group {
        let (list, mut fields) = recipient_fields(&wrapped.recipient);
        fields.push(("enc", Value::text(&wrapped.ciphertext)));
        if let Some(created_at) = &wrapped.created_at {
            fields.push(("created_at", Value::text(created_at)));
        }
        match lists.iter_mut().find(|(name, _)| *name == list) {
            Some((_, entries)) => entries.push(map(fields)),
            None => lists.push((list, vec![map(fields)])),
        }
    }
    lists
        .into_iter()
        .map(|(name, entries)| (name, Value::List(groups_list(entries))))
        .collect()
}

fn recipient_fields(recipient: &Recipient) -> (&'static str, Vec<(&'static str, Value)>) {
    let text = |text: &String| Value::text(text);
    match recipient {
        Recipient::Age { recipient } => ("age", vec![("recipient", text(recipient))]),
        Recipient::Pgp { fingerprint } => ("pgp", vec![("fp", text(fingerprint))]),
        Recipient::AwsKms {
            arn,
            role,
            context,
            profile,
        } => {
            let mut fields = vec![("arn", text(arn)), ("aws_profile", text(profile))];
            if !role.is_empty() {
                fields.push(("role", text(role)));
            }
            if !context.is_empty() {
                let context = context
                    .iter()
                    .map(|(key, value)| Item::pair(key, Value::text(value)));
                fields.push(("context", Value::Map(context.collect())));
            }
            ("kms", fields)
        }
        Recipient::GcpKms { resource_id } => ("gcp_kms", vec![("resource_id", text(resource_id))]),
        Recipient::AzureKeyVault {
            vault_url,
            name,
            version,
        } => (
            "azure_kv",
            vec![
                ("vault_url", text(vault_url)),
                ("name", text(name)),
                ("version", text(version)),
            ],
        ),
        Recipient::VaultTransit {
            address,
            engine_path,
            key_name,
        } => (
            "hc_vault",
            vec![
                ("vault_address", text(address)),
                ("engine_path", text(engine_path)),
                ("key_name", text(key_name)),
            ],
        ),
        Recipient::HuaweiKms { key_id } => ("hckms", vec![("key_id", text(key_id))]),
    }
}
