//! `weir secrets encrypt FILE`: by the rules of `.sops.yaml`, or for the recipients given.

use std::path::PathBuf;

use sops::{Format, Recipe, Recipient, Rule};

use super::super::{Exit, Outcome};
use super::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  weir secrets encrypt -i secret.yaml                  by the rules of .sops.yaml, in place
  weir secrets encrypt --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml";

/// Encrypt a file.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The plain file.
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// An age recipient; may be repeated. Without one, the rules of .sops.yaml say for whom.
    #[arg(long, value_name = "RECIPIENT")]
    age: Vec<String>,
    /// Encrypt the values under keys that this regular expression finds, and no others.
    #[arg(long, value_name = "REGEX", requires = "age")]
    encrypted_regex: Option<String>,
    /// The file of rules; default the nearest .sops.yaml around the file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the file is stored; default by its name, else binary.
    #[arg(long, value_parser = super::parse_format, value_name = "yaml|json|dotenv|ini|binary")]
    format: Option<Format>,
    /// Replace the file instead of printing.
    #[arg(long, short)]
    in_place: bool,
}

/// Encrypts and prints, or replaces the file.
pub(super) fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    let recipe = match args.age.is_empty() {
        true => super::recipe_by_rules(&args.file, args.config.as_deref())?,
        false => recipe(args),
    };
    let (bytes, format) = super::read_bytes(&args.file, args.format)?;
    let plain = zeroize::Zeroizing::new(bytes);
    let sealed = sops::encrypt(&plain, format, &recipe, &keyring, super::now())
        .map_err(|error| super::failure(error, &args.file))?;
    match args.in_place {
        true => super::replace(&args.file, &sealed)?,
        false => super::print(&sealed)?,
    }
    Ok(Exit::Success)
}

fn recipe(args: &Args) -> Recipe {
    let recipients = args.age.iter().map(|recipient| Recipient::Age {
        recipient: recipient.clone(),
    });
    Recipe {
        groups: vec![recipients.collect()],
        rule: args
            .encrypted_regex
            .clone()
            .map(Rule::EncryptedRegex)
            .unwrap_or_default(),
        ..Recipe::default()
    }
}
