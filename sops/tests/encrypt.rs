//! Files that are encrypted here open here, change where they were changed, and keep everything else.

use sops::{
    Answers, Decrypted, Document, Error, ErrorKind, Format, Keyring, MacPolicy, Recipe, Recipient,
    Rule, Time,
};

const YAML: &str = "# head\nkind: Secret\nstringData:\n    # about\n    user: admin # beside\n    port: 5432\n    \
list:\n        # in the list\n        - a\n        - 1.5\n    empty: \"\"\n    none: null\n---\nsecond: true\n";
const SAMPLES: [(Format, &str); 5] = [
    (Format::Yaml, YAML),
    (
        Format::Json,
        "{\n\t\"a\": \"x\",\n\t\"b\": [\n\t\t1,\n\t\tnull\n\t]\n}\n",
    ),
    (Format::Dotenv, "# c\nA=1\nB=two\\nlines\n"),
    (Format::Ini, "[s]\nkey = value\n"),
    (Format::Binary, "any \u{0} bytes"),
];

fn now() -> Time {
    Time::parse_rfc3339("2024-05-06T07:08:09Z").expect("a time")
}

fn key() -> (Keyring, Recipient) {
    let new = sops::generate(false).expect("a key");
    let mut keyring = Keyring::default();
    keyring.add(&new.identity).expect("the key that was made");
    let recipient = new.recipient;
    (keyring, Recipient::Age { recipient })
}

fn recipe(recipients: &[Recipient]) -> Recipe {
    Recipe {
        groups: vec![recipients.to_vec()],
        ..Recipe::default()
    }
}

fn open(bytes: &[u8], format: Format, keyring: &Keyring) -> Result<Decrypted, Error> {
    let document = Document::read(bytes, format)?;
    sops::decrypt_to_change(document, keyring, &Answers::new(), MacPolicy::Error)
}

fn plain(bytes: &[u8], format: Format, keyring: &Keyring) -> Vec<u8> {
    let opened = open(bytes, format, keyring).expect("opens");
    let plain = match format {
        Format::Binary => opened.plain.write(format),
        _ => opened.plain.write_to_edit(),
    };
    plain.expect("writes").to_vec()
}

#[test]
fn every_format_opens_as_it_was() -> Result<(), Error> {
    let (keyring, recipient) = key();
    for (format, text) in SAMPLES {
        let sealed = sops::encrypt(
            text.as_bytes(),
            format,
            &recipe(std::slice::from_ref(&recipient)),
            &keyring,
            now(),
        )?;
        assert!(sops::is_encrypted(&sealed, format), "{format}");
        assert_eq!(
            plain(&sealed, format, &keyring),
            text.as_bytes(),
            "{format}"
        );
        let again = sops::encrypt(
            &sealed,
            format,
            &recipe(std::slice::from_ref(&recipient)),
            &keyring,
            now(),
        );
        if format != Format::Binary {
            assert_eq!(
                again.map_err(|error| error.kind),
                Err(ErrorKind::AlreadyEncrypted)
            );
        }
    }
    Ok(())
}

#[test]
fn a_file_without_a_document_has_no_place_for_metadata() {
    let (keyring, recipient) = key();
    let sealed = sops::encrypt(b"", Format::Yaml, &recipe(&[recipient]), &keyring, now());
    assert!(matches!(
        sealed.map_err(|error| error.kind),
        Err(ErrorKind::Syntax { .. })
    ));
}

#[test]
fn a_file_that_would_not_open_again_is_not_written() {
    let (keyring, recipient) = key();
    let odd = " edmin; the\"dat`bas = edmin\npasswor                  d =;a` l o s[=ps]redis://cac";
    let sealed = sops::encrypt(
        odd.as_bytes(),
        Format::Ini,
        &recipe(&[recipient]),
        &keyring,
        now(),
    );
    assert!(matches!(
        sealed.map_err(|error| error.kind),
        Err(ErrorKind::Emit { .. })
    ));
}

#[test]
fn an_edit_changes_what_was_edited() -> Result<(), Error> {
    let (keyring, recipient) = key();
    let sealed = sops::encrypt(
        YAML.as_bytes(),
        Format::Yaml,
        &recipe(&[recipient]),
        &keyring,
        now(),
    )?;
    let opened = open(&sealed, Format::Yaml, &keyring)?;
    assert_eq!(sops::edit(&opened, YAML.as_bytes(), now())?, None);

    let changed = YAML.replace("admin", "root");
    let edited = sops::edit(&opened, changed.as_bytes(), now())?.expect("a change");
    assert_eq!(plain(&edited, Format::Yaml, &keyring), changed.as_bytes());
    let (before, after) = (text(&sealed), text(&edited));
    let differ = before
        .lines()
        .zip(after.lines())
        .filter(|(before, after)| before != after);
    let differ: Vec<&str> = differ.map(|(before, _)| before.trim()).collect();
    // The value itself, and the MAC in the metadata of both documents.
    assert_eq!(differ.len(), 3, "{differ:?}");
    assert!(differ[0].starts_with("user: "));
    Ok(())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn keys_rotate_and_recipients_come_and_go() -> Result<(), Error> {
    let (first, one) = key();
    let (second, two) = key();
    let sealed = sops::encrypt(
        YAML.as_bytes(),
        Format::Yaml,
        &recipe(std::slice::from_ref(&one)),
        &first,
        now(),
    )?;
    let opened = open(&sealed, Format::Yaml, &first)?;
    let same = sops::update_keys(&opened, &recipe(std::slice::from_ref(&one)), &first, now())?;
    assert_eq!(same, None);

    let both =
        sops::update_keys(&opened, &recipe(&[one, two.clone()]), &first, now())?.expect("a change");
    assert_eq!(plain(&both, Format::Yaml, &second), YAML.as_bytes());
    let alone = sops::update_keys(&opened, &recipe(&[two]), &first, now())?.expect("a change");
    assert!(matches!(
        open(&alone, Format::Yaml, &first)
            .map(|_| ())
            .map_err(|error| error.kind),
        Err(ErrorKind::NoMatchingKey { .. })
    ));

    let rotated = sops::rotate(&opened, &first, now())?;
    assert_eq!(plain(&rotated, Format::Yaml, &first), YAML.as_bytes());
    let line = |bytes: &[u8]| {
        text(bytes)
            .lines()
            .find(|line| line.contains("user:"))
            .map(str::to_owned)
    };
    assert_ne!(line(&rotated), line(&sealed));
    Ok(())
}

#[test]
fn it_takes_as_many_groups_as_the_threshold() -> Result<(), Error> {
    let keys: Vec<_> = (0..3).map(|_| key()).collect();
    let groups = keys
        .iter()
        .map(|(_, recipient)| vec![recipient.clone()])
        .collect();
    let recipe = Recipe {
        groups,
        shamir_threshold: 2,
        rule: Rule::EncryptedRegex("^stringData$".to_owned()),
        mac_only_encrypted: true,
    };
    let sealed = sops::encrypt(YAML.as_bytes(), Format::Yaml, &recipe, &keys[0].0, now())?;
    assert!(text(&sealed).contains("kind: Secret"));
    assert!(open(&sealed, Format::Yaml, &keys[0].0).is_err());
    Ok(())
}

#[test]
fn hybrid_keys_open_what_is_sealed_for_them() -> Result<(), Error> {
    let new = sops::generate(true)?;
    let mut keyring = Keyring::default();
    keyring.add(&new.identity)?;
    let recipient = Recipient::Age {
        recipient: new.recipient,
    };
    let sealed = sops::encrypt(b"x", Format::Binary, &recipe(&[recipient]), &keyring, now())?;
    assert_eq!(plain(&sealed, Format::Binary, &keyring), b"x");
    Ok(())
}
