//! Files that the sops program (3.11) encrypted for a throw-away key: they open byte for byte, and the composer gets
//! their documents with every secret marked.

#![allow(clippy::panic, reason = "a test that cannot go on has failed")]

use overlay::build::{Opened, Opener as _, Purpose, Sealed};
use overlay::yaml::Node;
use sops::{Answers, Document, ErrorKind, Format, Keyring, MacPolicy, Opener};

const KEY: &str = include_str!("vectors/key.txt");
const YAML: &[u8] = include_bytes!("vectors/sealed.yaml");

fn keyring() -> Keyring {
    let mut keyring = Keyring::default();
    keyring.add(KEY).expect("the key");
    keyring
}

#[test]
fn every_format_opens_as_sops_prints_it() {
    let files: [(Format, &[u8], &[u8]); 5] = [
        (Format::Yaml, YAML, include_bytes!("vectors/plain.yaml")),
        (
            Format::Json,
            include_bytes!("vectors/sealed.json"),
            include_bytes!("vectors/plain.json"),
        ),
        (
            Format::Dotenv,
            include_bytes!("vectors/sealed.env"),
            include_bytes!("vectors/plain.env"),
        ),
        (
            Format::Ini,
            include_bytes!("vectors/sealed.ini"),
            include_bytes!("vectors/plain.ini"),
        ),
        (
            Format::Binary,
            include_bytes!("vectors/sealed.bin"),
            include_bytes!("vectors/plain.bin"),
        ),
    ];
    for (format, sealed, expected) in files {
        let document = Document::read(sealed, format).expect("reads");
        let plain = sops::decrypt(document, &keyring(), &Answers::new(), MacPolicy::Error);
        let plain = plain.expect("opens").write(format).expect("writes");
        assert_eq!(*plain, expected, "{format}");
    }
}

fn open(path: &str, bytes: &[u8], purpose: Purpose) -> Result<Option<Opened>, overlay::Error> {
    let answers = Answers::new();
    let keyring = keyring();
    let opener = Opener::new(&keyring, &answers, MacPolicy::Error);
    opener.open(&Sealed {
        path,
        name: path,
        bytes,
        purpose,
    })
}

fn documents(path: &str, bytes: &[u8]) -> Vec<Node> {
    let opened = match open(path, bytes, Purpose::Resource) {
        Ok(Some(Opened::Documents(documents))) => Some(documents),
        _ => None,
    };
    opened.expect(path)
}

#[test]
fn what_was_encrypted_is_secret_and_what_was_not_is_plain() {
    for path in ["secret.yaml", "secret.yaml.encrypted", "secret.sops"] {
        let documents = documents(path, YAML);
        assert_eq!(documents.len(), 2);
        let (first, second) = (&documents[0], &documents[1]);
        assert_eq!(first.find_str(&["metadata", "name"]), Some("shop"));
        assert!(first.get("sops").is_none());
        let data = first
            .get("stringData")
            .and_then(Node::as_mapping)
            .expect("a mapping");
        for key in ["user", "port", "ratio", "enabled", "since", "certificate"] {
            assert!(data.get(key).is_some_and(Node::is_secret), "{key}");
        }
        let hosts = data
            .get("hosts")
            .and_then(Node::as_sequence)
            .expect("a list");
        assert!(hosts.len() == 2 && hosts.iter().all(Node::is_secret));
        assert!(second.find(&["data", "token"]).is_some_and(Node::is_secret));
        let printed = overlay::yaml::write_documents(&[first, second]);
        assert!(!printed.contains("admin") && !printed.contains("c2VjcmV0"));
        assert_eq!(
            first
                .find(&["stringData", "user"])
                .map(|node| node.mark.line),
            Some(10)
        );
    }
}

#[test]
fn plain_files_pass_and_generators_get_bytes() {
    let plain = open("config.yaml", b"a: 1\n", Purpose::Resource);
    assert!(matches!(plain, Ok(None)));
    let carried = b"data:\n  inner: |\n    mac: ENC[not a file]\n";
    assert!(matches!(
        open("config.yaml", carried, Purpose::Resource),
        Ok(None)
    ));
    let env = open(
        "app.env",
        include_bytes!("vectors/sealed.env"),
        Purpose::GeneratorEnvs,
    );
    let text = match env {
        Ok(Some(Opened::Text(text))) => Some(text),
        _ => None,
    };
    assert_eq!(
        *text.expect("the generator's input"),
        include_bytes!("vectors/plain.env")
    );
}

#[test]
fn errors_name_the_place_and_never_the_value() {
    let other = Keyring::default();
    let answers = Answers::new();
    let opener = Opener::new(&other, &answers, MacPolicy::Error);
    let sealed = |bytes| Sealed {
        path: "envs/secret.yaml",
        name: "secret.yaml",
        bytes,
        purpose: Purpose::Resource,
    };
    let error = opener
        .open(&sealed(YAML))
        .err()
        .expect("no key")
        .to_string();
    assert!(
        error.contains("envs/secret.yaml") && error.contains("age1"),
        "{error}"
    );

    let text = String::from_utf8(YAML.to_vec()).expect("UTF-8");
    let start = text.find("user: ENC").expect("the user");
    let end = start + text[start..].find('\n').expect("a line");
    let altered = format!("{}user: hunter2{}", &text[..start], &text[end..]);
    let error = open("envs/secret.yaml", altered.as_bytes(), Purpose::Resource);
    let error = error.err().expect("not encrypted").to_string();
    assert!(error.starts_with("envs/secret.yaml:10:"), "{error}");
    assert!(
        error.contains("stringData.user") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_flood_of_recipients_costs_next_to_nothing() {
    let text = String::from_utf8(YAML.to_vec()).expect("UTF-8");
    let first = text.find("    age:\n").expect("the recipients") + "    age:\n".len();
    let strangers = "        - {recipient: age1x, enc: x}\n".repeat(20_000);
    let flooded = format!("{}{strangers}{}", &text[..first], &text[first..]);
    let flooded = flooded
        .split_once("\n---\n")
        .expect("two documents")
        .0
        .to_owned()
        + "\n";
    let document = Document::read(flooded.as_bytes(), Format::Yaml).expect("reads");
    let outcome = sops::decrypt(document, &keyring(), &Answers::new(), MacPolicy::Error);
    // The second document was cut off, so the right key finds the wrong MAC.
    assert_eq!(
        outcome.err().map(|error| error.kind),
        Some(ErrorKind::MacMismatch)
    );
}
