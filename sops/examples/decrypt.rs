//! Decrypts a file as `weir secrets decrypt` does, with nothing but the library: for scoring and measuring.
//!
//! `decrypt [--key FILE]… [--format FORMAT] FILE`

use std::io::Write;
use std::process::ExitCode;

use sops::{Answers, Document, Format, Keyring, MacPolicy};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut keyring = Keyring::default();
    let (mut format, mut file) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--key" => {
                let path = arguments.next().ok_or("--key needs a file")?;
                keyring.add(&std::fs::read_to_string(path)?)?;
            }
            "--format" => format = arguments.next().as_deref().and_then(Format::named),
            _ => file = Some(argument),
        }
    }
    let file = file.ok_or("usage: decrypt [--key FILE]… [--format FORMAT] FILE")?;
    let bytes = std::fs::read(&file)?;
    let format = format.unwrap_or_else(|| Format::of(&file, &bytes));
    let document = Document::read(&bytes, format).map_err(|error| error.in_file(&file))?;
    let plain = sops::decrypt(document, &keyring, &Answers::new(), MacPolicy::Error)
        .map_err(|error| error.in_file(&file))?;
    std::io::stdout().write_all(&plain.write(format)?)?;
    Ok(())
}
