//! `weir secrets decrypt FILE`: the plain file, byte for byte as `sops decrypt` prints it.

use std::path::PathBuf;

use anstream::eprintln;
use sops::Format;

use super::super::key_services::KeyServices;
use super::super::sops_flags::Mac;
use super::super::{Exit, Outcome};
use super::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  weir secrets decrypt secret.yaml                     with the keys that sops would find
  weir secrets decrypt --key age.agekey secret.yaml    with this key
  weir secrets decrypt --format dotenv credentials     whatever the file is called";

/// Print an encrypted file in plain text.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The encrypted file.
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    services: KeyServices,
    /// How the file is stored; default by its name, else binary.
    #[arg(long, value_parser = super::parse_format, value_name = "yaml|json|dotenv|ini|binary")]
    format: Option<Format>,
    /// How to print it; default as it is stored.
    #[arg(long, value_parser = super::parse_format, value_name = "FORMAT")]
    output_format: Option<Format>,
    /// What a wrong MAC leads to.
    #[arg(long, value_enum, default_value_t = Mac::Error)]
    mac: Mac,
}

/// Decrypts and prints.
pub(super) async fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    let document = super::read(&args.file, args.format)?;
    let answers = super::answers(&document, &keyring, &args.services).await?;
    let failed = |error| super::failure(error, &args.file);
    let plain = sops::decrypt(document, &keyring, &answers, args.mac.into()).map_err(failed)?;
    if let Some(problem) = &plain.mac_problem {
        eprintln!("warning: {}: {problem}", args.file.display());
    }
    let bytes = plain
        .write(args.output_format.unwrap_or(plain.format))
        .map_err(failed)?;
    super::print(&bytes)?;
    Ok(Exit::Success)
}
