//! `weir secrets keygen`: a new age key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anstream::eprintln;

use super::super::{Exit, Failure, Outcome};

const EXAMPLES: &str = "\
Examples:
  weir secrets keygen -o age.agekey      the private key into a file that only you can read
  weir secrets keygen --hybrid           a key that a quantum computer does not break either";

/// Make an age key.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to write the private key, for a file that is not there yet; default standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make a hybrid key (ML-KEM-768 and X25519): its files need sops 3.12 or later.
    #[arg(long)]
    hybrid: bool,
}

/// Makes a key and prints its public half to standard error.
pub(super) fn run(args: &Args) -> Outcome {
    let key = sops::generate(args.hybrid).map_err(|error| Failure::new(error.to_string()))?;
    let text = zeroize::Zeroizing::new(format!(
        "# created: {}\n# public key: {}\n{}\n",
        super::now(),
        key.recipient,
        *key.identity
    ));
    match &args.output {
        Some(path) => write(path, &text)?,
        None => super::print(text.as_bytes())?,
    }
    eprintln!("public key: {}", key.recipient);
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::io("writing", path, &error))
}
