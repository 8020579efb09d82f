//! Encrypted files whose data key lies with a key service: sealed for a key that is thrown away, whose entry in the
//! metadata then makes room for that of the service.

use sops::{Document, Format, Keyring, Outcome, Recipe, Recipient, Time};

/// Encrypts a YAML file; `entries` gives the key lists of its metadata from the data key, indented by four.
pub fn seal(plain: &str, entries: impl FnOnce(&[u8]) -> String) -> String {
    let key = sops::generate(false).expect("a key");
    let mut keyring = Keyring::default();
    keyring.add(&key.identity).expect("the key that was made");
    let recipient = key.recipient;
    let recipe = Recipe {
        groups: vec![vec![Recipient::Age { recipient }]],
        ..Recipe::default()
    };
    let now = Time::parse_rfc3339("2026-01-02T03:04:05Z").expect("a time");
    let sealed = sops::encrypt(plain.as_bytes(), Format::Yaml, &recipe, &keyring, now);
    let sealed = sealed.expect("encrypts");
    let document = Document::read(&sealed, Format::Yaml).expect("reads");
    let Outcome::Opened(data_key) = keyring.open(&document.metadata.groups[0]) else {
        panic!("the key that was made does not open the file");
    };
    let text = String::from_utf8(sealed.to_vec()).expect("text");
    let (head, rest) = text.split_once("    age:\n").expect("a list of age keys");
    let end = rest
        .find("\n    lastmodified:")
        .expect("a field behind the list");
    format!("{head}{}{}", entries(&data_key), &rest[end + 1..])
}
