//! Every kind of key that a file can be encrypted for: what is written opens with it, here and, where the program is at
//! hand (`SOPS=PROGRAM`), in genuine sops; and what that writes opens here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sops::{
    Answers, Document, Error, Format, Keyring, MacPolicy, Recipe, Recipient, Rule, Time, decrypt,
};

const ED25519: &str = include_str!("keys/id_ed25519");
const RSA: &str = include_str!("keys/id_rsa");
const PGP: &str = include_str!("keys/pgp.asc");
const FINGERPRINT: &str = "AE6BD8439D946B37E3B155B942BB191B48E534B4";

const SAMPLES: [(Format, &str, &str); 5] = [
    (
        Format::Yaml,
        "s.yaml",
        "a: one # beside\nlist:\n    - 1.5\n    - true\nempty: \"\"\n---\nsecond: 2\n",
    ),
    (
        Format::Json,
        "s.json",
        "{\n\t\"a\": \"x\",\n\t\"b\": [\n\t\t1,\n\t\tnull\n\t]\n}\n",
    ),
    (Format::Dotenv, "s.env", "# c\nA=1\nB=two\\nlines\n"),
    (Format::Ini, "s.ini", "[s]\nkey = value\n"),
    (Format::Binary, "s.bin", "any \u{1} bytes"),
];

/// A kind of key: its private half as a key file, and the recipient.
struct Kind {
    name: &'static str,
    private: String,
    recipient: Recipient,
}

fn age(name: &'static str, private: &str, recipient: &str) -> Kind {
    Kind {
        name,
        private: private.to_owned(),
        recipient: Recipient::Age {
            recipient: recipient.trim().to_owned(),
        },
    }
}

fn kinds() -> Result<Vec<Kind>, Error> {
    let (curve, hybrid) = (sops::generate(false)?, sops::generate(true)?);
    Ok(vec![
        age("age", &curve.identity, &curve.recipient),
        age("hybrid", &hybrid.identity, &hybrid.recipient),
        age("ed25519", ED25519, include_str!("keys/id_ed25519.pub")),
        age("rsa", RSA, include_str!("keys/id_rsa.pub")),
        Kind {
            name: "pgp",
            private: PGP.to_owned(),
            recipient: Recipient::Pgp {
                fingerprint: FINGERPRINT.to_owned(),
            },
        },
    ])
}

fn keyring(keys: &[&Kind]) -> Result<Keyring, Error> {
    let mut keyring = Keyring::default();
    for key in keys {
        keyring.add(&key.private)?;
    }
    Ok(keyring)
}

fn now() -> Time {
    Time::parse_rfc3339("2024-05-06T07:08:09Z").unwrap_or_default()
}

/// Encrypts for each of the groups, a recipient a group.
fn sealed(text: &str, format: Format, kinds: &[&Kind]) -> Result<Vec<u8>, Error> {
    let recipe = Recipe {
        groups: kinds
            .iter()
            .map(|kind| vec![kind.recipient.clone()])
            .collect(),
        rule: Rule::default(),
        ..Recipe::default()
    };
    sops::encrypt(text.as_bytes(), format, &recipe, &keyring(kinds)?, now())
}

fn opened(bytes: &[u8], format: Format, keyring: &Keyring) -> Result<String, Error> {
    let document = Document::read(bytes, format)?;
    let plain = decrypt(document, keyring, &Answers::new(), MacPolicy::Error)?;
    let bytes = match format {
        Format::Binary => plain.write(format)?,
        _ => plain.write_to_edit()?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn a_file_opens_with_the_key_that_it_is_encrypted_for_and_no_other() -> Result<(), Error> {
    let kinds = kinds()?;
    for kind in &kinds {
        let file = sealed("a: one\n", Format::Yaml, &[kind])?;
        assert_eq!(
            opened(&file, Format::Yaml, &keyring(&[kind])?)?,
            "a: one\n",
            "{}",
            kind.name
        );
        for other in kinds.iter().filter(|other| other.name != kind.name) {
            let refused = opened(&file, Format::Yaml, &keyring(&[other])?);
            assert!(refused.is_err(), "{} opens with {}", kind.name, other.name);
        }
    }
    Ok(())
}

#[test]
fn groups_of_different_kinds_open_together() -> Result<(), Error> {
    let kinds = kinds()?;
    let all: Vec<&Kind> = kinds.iter().collect();
    let file = sealed("a: one\n", Format::Yaml, &all)?;
    assert_eq!(opened(&file, Format::Yaml, &keyring(&all)?)?, "a: one\n");
    assert!(opened(&file, Format::Yaml, &keyring(&all[1..])?).is_err());
    Ok(())
}

/// Genuine sops, with a home of its own that has all the keys.
struct Genuine {
    program: String,
    home: tempfile::TempDir,
    pgp: bool,
}

impl Genuine {
    /// None when the program is not at hand: then there is nothing to compare with.
    fn find(kinds: &[Kind]) -> Option<Self> {
        let program = std::env::var("SOPS").ok()?;
        let home = tempfile::tempdir().expect("a folder");
        let identities: String = kinds
            .iter()
            .filter(|kind| kind.private.starts_with("AGE-"))
            .map(|kind| format!("{}\n", kind.private))
            .collect();
        fs::write(home.path().join("keys.txt"), identities).expect("writes");
        fs::create_dir(home.path().join(".ssh")).expect("a folder");
        fs::write(home.path().join(".ssh/id_ed25519"), ED25519).expect("writes");
        fs::write(home.path().join(".ssh/id_rsa"), RSA).expect("writes");
        fs::write(home.path().join("pgp.asc"), PGP).expect("writes");
        let mut genuine = Self {
            program,
            home,
            pgp: false,
        };
        fs::create_dir(genuine.home.path().join("gnupg")).expect("a folder");
        genuine.pgp = genuine
            .command("gpg")
            .args(["--batch", "--quiet", "--import"])
            .arg(genuine.home.path().join("pgp.asc"))
            .status()
            .is_ok_and(|status| status.success());
        Some(genuine)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.home.path())
            .env("GNUPGHOME", self.home.path().join("gnupg"))
            .env("SOPS_AGE_KEY_FILE", self.home.path().join("keys.txt"))
            .env("SOPS_DISABLE_VERSION_CHECK", "true")
            .current_dir(self.home.path())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], file: &Path) -> Vec<u8> {
        let output = self
            .command(&self.program)
            .args(arguments)
            .arg(file)
            .output();
        let output = output.expect("runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sops {arguments:?}: {complaint}");
        output.stdout
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }
}

#[test]
fn genuine_sops_opens_what_is_written_here() -> Result<(), Error> {
    let kinds = kinds()?;
    let Some(genuine) = Genuine::find(&kinds) else {
        return Ok(());
    };
    let one: Vec<Vec<&Kind>> = kinds.iter().map(|kind| vec![kind]).collect();
    for (format, name, text) in SAMPLES {
        for groups in one.iter().chain([&kinds.iter().take(3).collect()]) {
            if groups[0].name == "pgp" && !genuine.pgp {
                continue;
            }
            let file = genuine.path(name);
            fs::write(&file, sealed(text, format, groups)?).expect("writes");
            let plain = genuine.run(&["decrypt"], &file);
            let ours = opened(&fs::read(&file).expect("reads"), format, &keyring(groups)?)?;
            assert_eq!(ours, text, "{name} for {}", groups[0].name);
            // Comments stand elsewhere in what sops prints; what is read from it is the same.
            let theirs = String::from_utf8_lossy(&plain).into_owned();
            assert_eq!(without_comments(&theirs), without_comments(text), "{name}");
        }
    }
    Ok(())
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_genuine_sops_writes_opens_here() -> Result<(), Error> {
    let kinds = kinds()?;
    let Some(genuine) = Genuine::find(&kinds) else {
        return Ok(());
    };
    for (format, name, text) in SAMPLES {
        for kind in &kinds {
            let (flag, recipient) = match &kind.recipient {
                Recipient::Age { recipient } => ("--age", recipient),
                _ if !genuine.pgp => continue,
                other => ("--pgp", &other.name().to_owned()),
            };
            let file = genuine.path(name);
            fs::write(&file, text).expect("writes");
            let sealed = genuine.run(&["encrypt", flag, recipient], &file);
            let plain = opened(&sealed, format, &keyring(&[kind])?)?;
            assert_eq!(
                without_comments(&plain),
                without_comments(text),
                "{name} for {}",
                kind.name
            );
        }
    }
    Ok(())
}
