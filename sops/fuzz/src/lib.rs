//! Files for the targets: opened with a key that opens the seeds, and encrypted and opened again.

use std::sync::LazyLock;

use sops::{
    Answers, Decrypted, Document, Error, Format, Keyring, MacPolicy, Recipe, Recipient, Time,
    decrypt_to_change,
};

static KEY: LazyLock<(Keyring, String)> = LazyLock::new(|| {
    let text = include_str!("../../tests/vectors/key.txt");
    let mut keyring = Keyring::default();
    keyring.add(text).expect("the key of the seeds");
    let new = sops::generate(false).expect("a key");
    keyring.add(&new.identity).expect("the key that was made");
    (keyring, new.recipient)
});

/// The text that was encrypted in every seed.
const SECRET: &str = "admin";

fn opened(bytes: &[u8], format: Format) -> Result<Decrypted, Error> {
    let document = Document::read(bytes, format)?;
    decrypt_to_change(document, &KEY.0, &Answers::new(), MacPolicy::Warn)
}

/// Opens a file of a format: it opens or is refused with an error that shows none of it.
pub fn open(bytes: &[u8], format: Format) {
    let told = match opened(bytes, format) {
        Ok(opened) => opened.plain.write(format).err(),
        Err(error) => Some(error),
    };
    if let Some(error) = told {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// Encrypts a plain file, when it is one, opens it again, and reads what an editor is given.
pub fn there_and_back(plain: &[u8], format: Format) {
    let recipient = KEY.1.clone();
    let recipe = Recipe {
        groups: vec![vec![Recipient::Age { recipient }]],
        ..Recipe::default()
    };
    let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").expect("a time");
    let Ok(sealed) = sops::encrypt(plain, format, &recipe, &KEY.0, now) else {
        return;
    };
    let opened = opened(&sealed, format).expect("opens what was encrypted");
    assert_eq!(opened.plain.mac_problem, None);
    // Like the library that sops uses, the INI writer has no way to write some texts of quotes so that they read back.
    if format == Format::Ini {
        return;
    }
    if let Ok(text) = opened.plain.write_to_edit() {
        let again = sops::edit(&opened, &text, now).map(|_| ());
        // Comments may take another place; what is written is always read.
        again.expect("reads what it writes");
    }
}
