//! A file with the keys of another and none of its values, for somebody to fill in.

use crate::document::Document;
use crate::encrypt::{Recipe, encrypt_branches};
use crate::error::Error;
use crate::key::Keyring;
use crate::time::Time;
use crate::tree::{Branch, Element, Item, Node, Value};

/// Stands where a value is still to be filled in.
pub const FILL_IN: &str = "WEIR-FILL-IN";

/// How encrypted values begin.
const CIPHERTEXT: &[u8] = b"ENC[AES256_GCM,";

/// Makes a file with the keys of an encrypted one. Every value that is encrypted there is [`FILL_IN`], encrypted for the
/// recipients of a recipe; which values that are stays as it was. No key is needed for that.
pub fn blank(
    document: Document,
    recipe: &Recipe,
    keyring: &Keyring,
    now: Time,
) -> Result<Vec<u8>, Error> {
    let Document {
        format,
        mut branches,
        metadata,
    } = document;
    branches.iter_mut().for_each(empty);
    let recipe = Recipe {
        rule: metadata.rule,
        mac_only_encrypted: metadata.mac_only_encrypted,
        ..recipe.clone()
    };
    encrypt_branches(branches, format, &recipe, keyring, now)
}

/// Takes the values out of a mapping; comments that are encrypted may tell what a value was, and go.
fn empty(branch: &mut Branch) {
    branch.retain(|item| !matches!(item, Item::Comment(comment) if is_sealed(&comment.text)));
    for item in branch {
        if let Item::Pair(pair) = item {
            empty_node(&mut pair.node);
        }
    }
}

fn empty_node(node: &mut Node) {
    match &mut node.value {
        Value::Text(text) if is_sealed(text) => node.value = Value::text(FILL_IN),
        Value::List(elements) => {
            elements.retain(
                |element| !matches!(element, Element::Comment(comment) if is_sealed(&comment.text)),
            );
            for element in elements {
                if let Element::Node(node) = element {
                    empty_node(node);
                }
            }
        }
        Value::Map(branch) => empty(branch),
        _ => {}
    }
}

fn is_sealed(text: &[u8]) -> bool {
    text.starts_with(CIPHERTEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answers, Format, MacPolicy, Recipient, Rule, decrypt, encrypt, generate};

    fn recipe(recipient: &str) -> Recipe {
        let recipient = recipient.to_owned();
        Recipe {
            groups: vec![vec![Recipient::Age { recipient }]],
            rule: Rule::EncryptedRegex("^data$".to_owned()),
            ..Recipe::default()
        }
    }

    #[test]
    fn keys_stay_and_values_go_in_every_format() -> Result<(), Error> {
        let (old, new) = (generate(false)?, generate(false)?);
        let mut keyring = Keyring::default();
        keyring.add_age(&new.identity)?;
        for (format, plain, want) in [
            (
                Format::Yaml,
                "kind: Secret\ndata:\n    a: one\n    b:\n        - two\n",
                "kind: Secret\ndata:\n    a: WEIR-FILL-IN\n    b:\n        - WEIR-FILL-IN\n",
            ),
            (
                Format::Dotenv,
                "data=one\nother=x\n",
                "data=WEIR-FILL-IN\nother=x\n",
            ),
            (Format::Binary, "one", "WEIR-FILL-IN"),
        ] {
            let now = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap_or_default();
            let model = encrypt(
                plain.as_bytes(),
                format,
                &recipe(&old.recipient),
                &Keyring::default(),
                now,
            )?;
            let made = blank(
                Document::read(&model, format)?,
                &recipe(&new.recipient),
                &Keyring::default(),
                now,
            )?;
            let opened = decrypt(
                Document::read(&made, format)?,
                &keyring,
                &Answers::new(),
                MacPolicy::Error,
            )?;
            assert_eq!(String::from_utf8_lossy(&opened.write(format)?), want);
        }
        Ok(())
    }
}
