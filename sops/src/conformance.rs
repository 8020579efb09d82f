//! The published SOPS vectors, where they lie beside the repository: every file, every failure at its stage, single
//! ciphertexts, shares, and Secrets whose values are files. Without them there is nothing to do.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::yaml::{Node, Value as Composed};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::key::Keyring;
use crate::value::{self, Cipher, Opened};
use crate::{Answers, Document, Error, ErrorKind, Format, MacPolicy, Opener, decrypt, shamir};

/// The folder of the vectors: `shared/conformance/sops` beside one of the folders around this crate.
fn folder() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|ancestor| ancestor.join("shared/conformance/sops"))
        .find(|folder| folder.is_dir())
}

fn folders(name: &str) -> Vec<PathBuf> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let mut found: Vec<_> = std::fs::read_dir(folder.join(name))
        .expect("a folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

fn json(path: &Path) -> Json {
    let text = std::fs::read_to_string(path).expect("a file of the vectors");
    serde_json::from_str(&text).expect("JSON")
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

fn keyring(folder: &Path, vector: &Json) -> Keyring {
    let mut keyring = Keyring::default();
    for name in vector["keys"].as_array().into_iter().flatten() {
        let path = folder.join(name.as_str().unwrap_or_default());
        let key = std::fs::read_to_string(path).expect("a key");
        keyring.add(&key).expect("a key that is known");
    }
    keyring
}

/// The stage at which an error comes, by the vectors' names.
fn stage(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Syntax { .. } => "parse",
        ErrorKind::DuplicateKey => "duplicate_key",
        ErrorKind::NonStringKey => "non_string_key",
        ErrorKind::MetadataNotFound => "metadata_not_found",
        ErrorKind::BadMetadata(_) => "bad_metadata",
        ErrorKind::NoMatchingKey { .. } => "no_matching_key",
        ErrorKind::Shamir(_) => "shamir",
        ErrorKind::BadDataKey(_) => "bad_data_key",
        ErrorKind::NotEncrypted => "not_encrypted",
        ErrorKind::BadCiphertext(_) => "bad_ciphertext_format",
        ErrorKind::UnknownType => "unknown_type",
        ErrorKind::ValueRefused => "value_auth_failed",
        ErrorKind::BadValue(_) => "bad_value",
        ErrorKind::MacMismatch | ErrorKind::MacMissing => "mac_mismatch",
        ErrorKind::MacInvalid => "mac_invalid",
        ErrorKind::Emit { .. } => "emit",
        _ => "other",
    }
}

fn open(folder: &Path, vector: &Json, policy: MacPolicy) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = std::fs::read(folder.join(text(vector, "encrypted"))).expect("a file");
    let format = Format::named(text(vector, "format")).expect("a format");
    let document = Document::read(&bytes, format)?;
    let keyring = keyring(folder, vector);
    decrypt(document, &keyring, &Answers::new(), policy)?.write(format)
}

#[test]
fn every_vector_opens_or_fails_at_its_stage() {
    for folder in folders("vectors") {
        let vector = json(&folder.join("vector.json"));
        let outcome = open(&folder, &vector, MacPolicy::Error);
        match (text(&vector, "expect"), outcome) {
            ("ok", Ok(plain)) => {
                let expected = std::fs::read(folder.join(text(&vector, "expected")));
                assert_eq!(*plain, expected.expect("a file"), "{}", folder.display());
            }
            ("error", Err(error)) => {
                let wanted = text(&vector, "error_kind");
                assert_eq!(stage(&error.kind), wanted, "{}: {error}", folder.display());
            }
            (expect, outcome) => {
                let got = outcome.err();
                assert_eq!(None, Some(expect), "{}: {got:?}", folder.display());
            }
        }
    }
}

#[test]
fn a_wrong_mac_can_be_let_pass() {
    for folder in folders("vectors") {
        let vector = json(&folder.join("vector.json"));
        if let Some(expected) = vector["ignore_mac"]["expected"].as_str() {
            let plain = open(&folder, &vector, MacPolicy::Warn).expect("opens");
            let expected = std::fs::read(folder.join(expected)).expect("a file");
            assert_eq!(*plain, expected, "{}", folder.display());
        }
    }
}

#[test]
fn single_values_open_and_hash_as_they_should() {
    let Some(folder) = folder() else { return };
    let vectors = json(&folder.join("primitives/values.json"));
    for vector in vectors.as_array().expect("a list") {
        let cipher = Cipher::new(&hex(text(vector, "key_hex"))).expect("a key");
        let opened = value::open(text(vector, "ciphertext"), &cipher, text(vector, "aad"));
        let hashed = match opened.expect("opens") {
            Opened::Comment(_) => None,
            Opened::Value(value) => value::plaintext(&value).map(|(_, text)| text.to_vec()),
        };
        let wanted = vector["mac_bytes_base64"].as_str();
        let wanted = wanted.map(|base64| STANDARD.decode(base64).expect("base64"));
        assert_eq!(hashed, wanted, "{vector}");
    }
}

#[test]
fn shares_combine_to_the_secret() {
    let Some(folder) = folder() else { return };
    let vectors = json(&folder.join("primitives/shamir.json"));
    for vector in vectors.as_array().expect("a list") {
        let parts = vector["parts_hex"].as_array().expect("a list");
        let shares: Vec<_> = parts
            .iter()
            .map(|part| Zeroizing::new(hex(part.as_str().unwrap_or_default())))
            .collect();
        let secret = shamir::combine(&shares).expect("combines");
        assert_eq!(*secret, hex(text(vector, "secret_hex")));
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

#[test]
fn values_of_secrets_that_are_files_open() {
    for folder in folders("secret-data") {
        let vector = json(&folder.join("vector.json"));
        let keyring = keyring(&folder, &vector);
        let answers = Answers::new();
        let opener = Opener::new(&keyring, &answers, MacPolicy::Warn);
        let secret = json(&folder.join(text(&vector, "input")));
        let mut node = overlay::yaml::from_json(secret);
        let outcome = opener.open_secret_values(&mut node, "secret.json");
        match text(&vector, "expect") {
            "error" => assert!(outcome.is_err(), "{}", folder.display()),
            expect => {
                assert_eq!(outcome, Ok(expect == "ok"), "{}", folder.display());
                let expected = json(&folder.join(text(&vector, "expected")));
                let key = text(&vector, "data_key");
                let found = node.find(&["data", key]).map(exposed);
                assert_eq!(
                    found,
                    expected["data"][key].as_str(),
                    "{}",
                    folder.display()
                );
            }
        }
    }
}

fn exposed(node: &Node) -> &str {
    match &node.value {
        Composed::Secret(secret) => secret.expose(),
        _ => node.as_str().unwrap_or_default(),
    }
}
