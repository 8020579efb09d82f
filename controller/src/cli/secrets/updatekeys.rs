//! `weir secrets updatekeys FILE…`: the recipients that the rules name.

use std::path::PathBuf;

use anstream::eprintln;

use super::super::key_services::KeyServices;
use super::super::{Exit, Outcome};
use super::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  weir secrets updatekeys envs/*/secret.yaml     after .sops.yaml has gained or lost a recipient";

/// Give encrypted files the recipients of .sops.yaml; values stay as they are.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The encrypted files; those with other recipients are replaced.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    services: KeyServices,
    /// The file of rules; default the nearest .sops.yaml around each file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Updates each file.
pub(super) async fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    for file in &args.files {
        let recipe = super::recipe_by_rules(file, args.config.as_deref())?;
        let opened = super::open_to_change(file, &keyring, &args.services).await?;
        let updated = sops::update_keys(&opened, &recipe, &keyring, super::now())
            .map_err(|error| super::failure(error, file))?;
        match updated {
            Some(sealed) => {
                super::replace(file, &sealed)?;
                eprintln!("{}: new recipients", file.display());
            }
            None => eprintln!("{}: up to date", file.display()),
        }
    }
    Ok(Exit::Success)
}
