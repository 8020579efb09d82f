//! Files that were made to do harm: each is refused with its place and its reason, none of its text, and soon.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::build::{Opener as _, Purpose, Sealed};
use sops::{
    Answers, Document, Error, ErrorKind, Format, Keyring, MacPolicy, Opener, Recipe, Recipient,
    Time, decrypt,
};

const SECRET: &str = "hunter2-and-more";

/// However slow the machine and its build: a flood that costs by the square takes hours.
const SOON: Duration = Duration::from_secs(60);

struct File {
    keyring: Keyring,
    text: String,
}

impl File {
    fn new(format: Format, text: &str) -> Self {
        let key = sops::generate(false).expect("a key");
        let mut keyring = Keyring::default();
        keyring.add(&key.identity).expect("the key");
        let recipient = key.recipient;
        let recipe = Recipe {
            groups: vec![vec![Recipient::Age { recipient }]],
            ..Recipe::default()
        };
        let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").expect("a time");
        let sealed = sops::encrypt(text.as_bytes(), format, &recipe, &keyring, now);
        let text = String::from_utf8(sealed.expect("encrypts")).expect("UTF-8");
        Self { keyring, text }
    }

    fn yaml() -> Self {
        Self::new(
            Format::Yaml,
            &format!("top:\n    user: {SECRET}\n    other: plain\n"),
        )
    }

    fn open(&self, text: &str, format: Format) -> Result<(), Error> {
        let document = Document::read(text.as_bytes(), format)?;
        decrypt(document, &self.keyring, &Answers::new(), MacPolicy::Error).map(drop)
    }

    fn refused(&self, text: &str, format: Format) -> Error {
        let started = Instant::now();
        let error = self.open(text, format).expect_err("a refusal");
        assert!(started.elapsed() < SOON, "it takes {:?}", started.elapsed());
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains(SECRET) && !shown.contains("ENC["),
            "{shown}"
        );
        error
    }

    /// The file with its one age entry replaced.
    fn with_armor(&self, armor: &str) -> String {
        let begin = self.text.find("-----BEGIN AGE").expect("an entry");
        let end = "-----END AGE ENCRYPTED FILE-----";
        let after = self.text.find(end).expect("its end") + end.len();
        let line = self.text[..begin].rfind('\n').expect("a line") + 1;
        let indent = " ".repeat(begin - line);
        let armor = armor.trim_end().replace('\n', &format!("\n{indent}"));
        format!("{}{armor}{}", &self.text[..begin], &self.text[after..])
    }
}

fn armored(file: &str) -> String {
    let base64 = STANDARD.encode(file);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64"))
        .collect();
    format!(
        "-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----",
        lines.join("\n")
    )
}

/// An age header of stanzas that have nothing to do with our key, and a MAC of nothing.
fn foreign(stanzas: &str) -> String {
    let body = "A".repeat(43);
    armored(&format!(
        "age-encryption.org/v1\n{stanzas}--- {body}\npayload"
    ))
}

#[test]
fn a_relabelled_value_is_refused_at_its_place() {
    let file = File::yaml();
    for label in ["int", "float", "bool", "time"] {
        let text = file
            .text
            .replacen("type:str]", &format!("type:{label}]"), 1);
        let error = file.refused(&text, Format::Yaml);
        assert!(matches!(error.kind, ErrorKind::BadValue(_)), "{error}");
        assert_eq!(
            (error.position.line, error.path.join(".")),
            (2, "top.user".to_owned())
        );
    }
    let text = file.text.replacen("type:str]", "type:shell]", 1);
    let error = file.refused(&text, Format::Yaml);
    assert_eq!(error.kind, ErrorKind::UnknownType);
    assert_eq!(
        error.to_string(),
        "line 2: top.user: the encrypted value has an unknown type"
    );
}

#[test]
fn a_comment_in_place_of_a_value_is_refused() {
    let file = File::yaml();
    let text = file.text.replacen("type:str]", "type:comment]", 1);
    let error = file.refused(&text, Format::Yaml);
    assert_eq!(
        (error.position.line, error.path.join(".")),
        (2, "top.user".to_owned())
    );
}

#[test]
fn a_repeated_key_is_refused() {
    let file = File::yaml();
    let user = file.text.lines().nth(1).expect("the user");
    let text = file.text.replacen(user, &format!("{user}\n{user}"), 1);
    let error = file.refused(&text, Format::Yaml);
    assert_eq!(
        (error.kind, error.position.line),
        (ErrorKind::DuplicateKey, 3)
    );
}

#[test]
fn a_value_in_the_clear_is_refused_and_not_shown() {
    let file = File::yaml();
    let user = file.text.lines().nth(1).expect("the user");
    let text = file.text.replacen(user, &format!("    user: {SECRET}"), 1);
    let error = file.refused(&text, Format::Yaml);
    assert_eq!(
        (error.kind, error.position.line),
        (ErrorKind::NotEncrypted, 2)
    );
}

#[test]
fn a_passphrase_is_refused_without_being_tried() {
    let file = File::yaml();
    let body = "B".repeat(42) + "A";
    let header = foreign(&format!("-> scrypt {} 30\n{body}\n", "A".repeat(22)));
    let error = file.refused(&file.with_armor(&header), Format::Yaml);
    assert!(
        error.to_string().contains("passphrase, which is not tried"),
        "{error}"
    );
}

#[test]
fn foreign_stanzas_are_passed_over() {
    let file = File::yaml();
    let body = "B".repeat(42) + "A";
    for stanza in [
        "X25519 AAAA",
        "mlkem768x25519 AAAA",
        "ssh-ed25519 AAAA AAAA",
        "piv-p256 x y",
        "grease",
    ] {
        let header = foreign(&format!("-> {stanza}\n{body}\n"));
        let error = file.refused(&file.with_armor(&header), Format::Yaml);
        assert!(
            matches!(error.kind, ErrorKind::NoMatchingKey { .. }),
            "{stanza}: {error}"
        );
    }
    let many = foreign(&format!("-> grease\n{body}\n").repeat(1000));
    let error = file.refused(&file.with_armor(&many), Format::Yaml);
    assert!(error.to_string().contains("broken header"), "{error}");
}

#[test]
fn a_plugin_is_never_run() {
    let mut keyring = Keyring::default();
    let error = keyring
        .add("AGE-PLUGIN-YUBIKEY-1XXXXXXXXX")
        .expect_err("a plugin");
    assert!(error.to_string().contains("not run"), "{error}");
    assert!(keyring.is_empty());
}

#[test]
fn truncated_armor_is_refused() {
    let file = File::yaml();
    let begin = "-----BEGIN AGE ENCRYPTED FILE-----\n";
    for armor in [
        "",
        begin,
        "-----BEGIN AGE",
        "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl",
    ] {
        let error = file.refused(&file.with_armor(armor), Format::Yaml);
        assert!(
            error.to_string().contains("broken armor"),
            "{armor:?}: {error}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for format in [Format::Yaml, Format::Json, Format::Ini] {
        let bytes = b"a: \xff\xfe\nsops:\n  mac: ENC[\xff]\n";
        let error = Document::read(bytes, format).err().expect("a refusal");
        assert!(!error.to_string().contains("ENC["), "{format}: {error}");
    }
}

#[test]
fn a_hundred_thousand_recipients_cost_no_cryptography() {
    let file = File::new(Format::Json, &format!("{{\"a\": \"{SECRET}\"}}"));
    let list = "\"age\": [";
    let at = file.text.find(list).expect("the recipients") + list.len();
    let stranger = |number| format!("{{\"recipient\":\"age1x{number}\",\"enc\":\"x\"}},");
    let strangers: String = (0..100_000).map(stranger).collect();
    let flooded = format!("{}{strangers}{}", &file.text[..at], &file.text[at..]);
    let started = Instant::now();
    file.open(&flooded, Format::Json)
        .expect("our own entry is found");
    assert!(started.elapsed() < SOON, "it takes {:?}", started.elapsed());
    let other = File::yaml();
    let error = other.refused(&flooded, Format::Json).to_string();
    assert!(
        error.contains("and 99") || error.contains("more"),
        "{error}"
    );
    assert!(error.len() < 4096, "{} bytes", error.len());
}

#[test]
fn deep_nests_and_alias_bombs_are_refused() {
    let file = File::yaml();
    let deep = format!("{}x{}", "[".repeat(100_000), "]".repeat(100_000));
    file.refused(&format!("a: {deep}\n{}", file.text), Format::Yaml);
    let mut bomb = String::from("b0: &b0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*b{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("b{level}: &b{level} [{items}]\n"));
    }
    let error = file.refused(&format!("{bomb}{}", file.text), Format::Yaml);
    assert!(
        matches!(error.kind, ErrorKind::AliasFlood { .. }),
        "{error}"
    );
}

#[test]
fn the_composer_s_error_names_file_line_and_keys() {
    let file = File::yaml();
    let text = file.text.replacen("type:str]", "type:int]", 1);
    let answers = Answers::new();
    let opener = Opener::new(&file.keyring, &answers, MacPolicy::Error);
    let error = opener.open(&Sealed {
        path: "envs/secret.yaml",
        name: "secret.yaml",
        bytes: text.as_bytes(),
        purpose: Purpose::Resource,
    });
    let error = error.err().expect("a refusal").to_string();
    assert!(
        error.starts_with("envs/secret.yaml:2:") && error.contains("top.user"),
        "{error}"
    );
    assert!(!error.contains(SECRET), "{error}");
}
