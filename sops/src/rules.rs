//! `.sops.yaml`: the rules by which new files are encrypted.

use regex::bytes::Regex;

use crate::encrypt::Recipe;
use crate::error::{Error, ErrorKind};
use crate::metadata::{RULES, Recipient, Rule};
use crate::pattern;
use crate::store::yaml;
use crate::tree::{Branch, Element, Node, Value, pairs};

/// The name of the file that holds the rules; it applies to its folder and all below.
pub const RULES_FILE: &str = ".sops.yaml";

/// A list of recipients by its field, and what an entry stands for.
type RecipientField = (&'static str, fn(String) -> Recipient);

/// The fields of a rule and of a key group that name recipients.
const RECIPIENTS: [RecipientField; 9] = [
    ("age", |recipient| Recipient::Age { recipient }),
    ("pgp", |fingerprint| Recipient::Pgp { fingerprint }),
    ("kms", aws),
    ("gcp_kms", |resource_id| Recipient::GcpKms { resource_id }),
    ("hckms", |key_id| Recipient::HuaweiKms { key_id }),
    ("azure_keyvault", azure),
    ("azure_kv", azure),
    ("hc_vault_transit_uri", vault),
    ("vault", vault),
];

fn aws(arn: String) -> Recipient {
    Recipient::AwsKms {
        arn,
        role: String::new(),
        context: Default::default(),
        profile: String::new(),
    }
}

fn azure(vault_url: String) -> Recipient {
    Recipient::AzureKeyVault {
        vault_url,
        name: String::new(),
        version: String::new(),
    }
}

fn vault(address: String) -> Recipient {
    Recipient::VaultTransit {
        address,
        engine_path: String::new(),
        key_name: String::new(),
    }
}

/// The recipe for a file by the rules; `path` is the file's, from the folder of the rules. `None` when no rule is for it.
pub fn recipe(rules: &[u8], path: &str) -> Result<Option<Recipe>, Error> {
    let documents = yaml::read(rules)?;
    let rules = documents
        .first()
        .and_then(|document| field(document, "creation_rules"));
    let Some(Node {
        value: Value::List(rules),
        ..
    }) = rules
    else {
        return Err(bad("there are no creation_rules"));
    };
    for rule in rules {
        let Element::Node(node) = rule else { continue };
        let Value::Map(rule) = &node.value else {
            return Err(bad("a rule is not a mapping"));
        };
        if applies(rule, path)? {
            return read_rule(rule).map(Some);
        }
    }
    Ok(None)
}

fn bad(problem: &str) -> Error {
    ErrorKind::BadRules(problem.to_owned()).error()
}

fn field<'a>(branch: &'a Branch, name: &str) -> Option<&'a Node> {
    pairs(branch)
        .find(|pair| pair.key == name)
        .map(|pair| &pair.node)
}

fn applies(rule: &Branch, path: &str) -> Result<bool, Error> {
    let Some(node) = field(rule, "path_regex") else {
        return Ok(true);
    };
    let regex = node
        .value
        .as_str()
        .and_then(|text| Regex::new(&pattern::from_go(text)).ok());
    let problem = ErrorKind::BadRules("path_regex is not a regular expression".to_owned());
    let regex = regex.ok_or_else(|| problem.at(node.position))?;
    Ok(regex.is_match(path.as_bytes()))
}

fn read_rule(rule: &Branch) -> Result<Recipe, Error> {
    let groups = match field(rule, "key_groups").map(|node| &node.value) {
        Some(Value::List(groups)) => groups
            .iter()
            .filter_map(|element| match element {
                Element::Node(Node {
                    value: Value::Map(group),
                    ..
                }) => Some(recipients(group)),
                _ => None,
            })
            .collect(),
        _ => vec![recipients(rule)],
    };
    let threshold = match field(rule, "shamir_threshold").map(|node| &node.value) {
        Some(Value::Int(threshold)) => usize::try_from(*threshold)
            .map_err(|_| bad("shamir_threshold is not a number of groups"))?,
        _ => 0,
    };
    let mac_only = field(rule, "mac_only_encrypted").map(|node| &node.value);
    Ok(Recipe {
        groups,
        shamir_threshold: threshold,
        rule: selection(rule)?,
        mac_only_encrypted: mac_only == Some(&Value::Bool(true)),
    })
}

fn selection(rule: &Branch) -> Result<Rule, Error> {
    let mut found = RULES.iter().filter_map(|(name, make)| {
        let text = field(rule, name)?.value.as_str()?;
        (!text.is_empty()).then(|| make(text.to_owned()))
    });
    let selection = found.next().unwrap_or_default();
    match found.next() {
        Some(_) => Err(bad("a rule selects values in more than one way")),
        None => Ok(selection),
    }
}

fn recipients(branch: &Branch) -> Vec<Recipient> {
    RECIPIENTS
        .iter()
        .flat_map(|(name, make)| {
            let texts = field(branch, name).map(|node| texts(&node.value));
            texts.unwrap_or_default().into_iter().map(make)
        })
        .collect()
}

/// A list of texts, or one text with commas or line breaks between; of a mapping, what identifies the key.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(elements) => elements
            .iter()
            .filter_map(|element| match element {
                Element::Node(node) => Some(texts(&node.value)),
                Element::Comment(_) => None,
            })
            .flatten()
            .collect(),
        Value::Map(branch) => ["arn", "resource_id", "key_id", "vaultUrl"]
            .iter()
            .find_map(|name| field(branch, name)?.value.as_str().map(str::to_owned))
            .into_iter()
            .collect(),
        _ => value
            .as_str()
            .unwrap_or_default()
            .split([',', '\n'])
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Recipient, Rule, recipe};

    #[test]
    fn the_first_rule_that_matches_the_path_counts() -> Result<(), crate::Error> {
        let rules = br"
creation_rules:
  - path_regex: envs/.*\.yaml$
    encrypted_regex: ^(data|stringData)$
    age: age1a, age1b
  - shamir_threshold: 2
    key_groups:
      - age: [age1c]
      - pgp: [ABCD]
        age:
          - age1d
";
        let envs = recipe(rules, "envs/prod/secret.yaml")?.expect("a rule");
        assert_eq!(
            envs.rule,
            Rule::EncryptedRegex("^(data|stringData)$".to_owned())
        );
        assert_eq!(envs.groups[0].len(), 2);
        let other = recipe(rules, "other.json")?.expect("a rule");
        assert_eq!(other.shamir_threshold, 2);
        let pgp = Recipient::Pgp {
            fingerprint: "ABCD".to_owned(),
        };
        assert!(other.groups[1].contains(&pgp) && other.groups[1].len() == 2);
        assert!(recipe(b"creation_rules: []", "x")?.is_none());
        assert!(recipe(b"stores: {}", "x").is_err());
        Ok(())
    }
}
