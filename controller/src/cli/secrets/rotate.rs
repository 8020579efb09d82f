//! `weir secrets rotate FILE…`: a new data key, every value encrypted again.

use std::path::PathBuf;

use anstream::eprintln;

use super::super::key_services::KeyServices;
use super::super::{Exit, Outcome};
use super::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  weir secrets rotate envs/prod-eu/secret.yaml     after someone who could read it has left";

/// Give encrypted files a new data key, for the same recipients.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The encrypted files; they are replaced.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    services: KeyServices,
}

/// Rotates each file.
pub(super) async fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    for file in &args.files {
        let opened = super::open_to_change(file, &keyring, &args.services).await?;
        let sealed = sops::rotate(&opened, &keyring, super::now())
            .map_err(|error| super::failure(error, file))?;
        super::replace(file, &sealed)?;
        eprintln!("{}: new data key", file.display());
    }
    Ok(Exit::Success)
}
