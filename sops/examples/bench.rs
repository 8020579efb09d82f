//! Measures how long it takes to open many encrypted Secrets in one process: `bench [COUNT]`, default 1,000.

use std::time::Instant;

use sops::{
    Answers, Document, Error, Format, Keyring, MacPolicy, Recipe, Recipient, Rule, Time, decrypt,
};

fn main() -> Result<(), Error> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let files = files(count.unwrap_or(1000))?;
    let started = Instant::now();
    let mut bytes = 0;
    for file in &files.sealed {
        let document = Document::read(file, Format::Yaml)?;
        let plain = decrypt(document, &files.keyring, &Answers::new(), MacPolicy::Error)?;
        bytes += plain.write(Format::Yaml)?.len();
    }
    println!(
        "{} Secrets, {bytes} bytes of plain text, {:.0} ms",
        files.sealed.len(),
        started.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}

struct Files {
    keyring: Keyring,
    sealed: Vec<Vec<u8>>,
}

fn files(count: usize) -> Result<Files, Error> {
    let key = sops::generate(false)?;
    let mut keyring = Keyring::default();
    keyring.add(&key.identity)?;
    let recipient = key.recipient;
    let recipe = Recipe {
        groups: vec![vec![Recipient::Age { recipient }]],
        rule: Rule::EncryptedRegex("^(data|stringData)$".to_owned()),
        ..Recipe::default()
    };
    let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").unwrap_or_default();
    let sealed = (0..count)
        .map(|number| {
            let text = format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n    name: s{number}\nstringData:\n    \
                 user: user{number}\n    password: p{number}\n    url: https://example.com/{number}\n"
            );
            sops::encrypt(text.as_bytes(), Format::Yaml, &recipe, &keyring, now)
        })
        .collect::<Result<_, _>>()?;
    Ok(Files { keyring, sealed })
}
