//! `weir secrets …`: files encrypted with SOPS. Everything here works offline and touches no cluster.

mod decrypt;
mod keys;

use std::path::Path;

use sops::{Document, Format};

use super::{Failure, Outcome};

/// Work with files encrypted with SOPS, offline.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Decrypt(decrypt::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Decrypt(args) => decrypt::run(args),
    }
}

/// The format of a file, as `--format` takes it.
fn parse_format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| "one of yaml, json, dotenv, ini, binary".to_owned())
}

/// An encrypted file, read.
fn read(path: &Path, format: Option<Format>) -> Result<Document, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::io("reading", path, &error))?;
    let name = path.to_string_lossy();
    let format = format.unwrap_or_else(|| Format::of(&name, &bytes));
    Document::read(&bytes, format).map_err(|error| failure(error, path))
}

/// A file that could not be opened: the place and the key, never a text of it.
fn failure(error: sops::Error, path: &Path) -> Failure {
    let hint = match error.kind {
        sops::ErrorKind::NoMatchingKey { .. } => {
            "give the key of a recipient with --key FILE, or in SOPS_AGE_KEY_FILE"
        }
        sops::ErrorKind::MetadataNotFound => "is the file encrypted, and in this --format?",
        sops::ErrorKind::MacMismatch | sops::ErrorKind::MacMissing => {
            "--mac warn opens it all the same; know why first"
        }
        _ => return Failure::new(error.in_file(&path.to_string_lossy()).to_string()),
    };
    Failure::with_hint(error.in_file(&path.to_string_lossy()).to_string(), hint)
}
