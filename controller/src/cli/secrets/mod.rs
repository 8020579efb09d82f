//! `weir secrets …`: files encrypted with SOPS. Everything here works offline and touches no cluster.

mod decrypt;
mod edit;
mod encrypt;
mod keygen;
mod keys;
mod readers;
mod rotate;
mod scratch;
mod status;
mod updatekeys;

use std::io::Write;
use std::path::{Path, PathBuf};

use sops::{Answers, Decrypted, Document, Format, Keyring, MacPolicy, Recipe, Time};

use super::key_services::KeyServices;
use super::{Failure, Outcome};
use crate::unwrap;
use crate::unwrap::credentials::Credentials;

pub(super) use keys::Keys;

/// Work with files encrypted with SOPS, offline.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Status(status::Args),
    Decrypt(decrypt::Args),
    Edit(edit::Args),
    Encrypt(encrypt::Args),
    Rotate(rotate::Args),
    Updatekeys(updatekeys::Args),
    Keygen(keygen::Args),
}

/// Runs the subcommand.
pub(super) fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Status(args) => status::run(args),
        Command::Decrypt(args) => super::asynchronously(decrypt::run(args)),
        Command::Edit(args) => super::asynchronously(edit::run(args)),
        Command::Encrypt(args) => encrypt::run(args),
        Command::Rotate(args) => super::asynchronously(rotate::run(args)),
        Command::Updatekeys(args) => super::asynchronously(updatekeys::run(args)),
        Command::Keygen(args) => keygen::run(args),
    }
}

/// The format of a file, as `--format` takes it.
fn parse_format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| "one of yaml, json, dotenv, ini, binary".to_owned())
}

/// The bytes of a file, and its format: the one given, else by name and content.
fn read_bytes(path: &Path, format: Option<Format>) -> Result<(Vec<u8>, Format), Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::io("reading", path, &error))?;
    let format = format.unwrap_or_else(|| Format::of(&path.to_string_lossy(), &bytes));
    Ok((bytes, format))
}

/// An encrypted file, read.
fn read(path: &Path, format: Option<Format>) -> Result<Document, Failure> {
    let (bytes, format) = read_bytes(path, format)?;
    Document::read(&bytes, format).map_err(|error| failure(error, path))
}

/// An encrypted file, opened to be written again. Its MAC must be right: a change would give it a new one.
async fn open_to_change(
    path: &Path,
    keyring: &Keyring,
    services: &KeyServices,
) -> Result<Decrypted, Failure> {
    let document = read(path, None)?;
    let answers = answers(&document, keyring, services).await?;
    sops::decrypt_to_change(document, keyring, &answers, MacPolicy::Error)
        .map_err(|error| failure(error, path))
}

/// What key services say to a file that the keys at hand do not open. Nobody is asked for one that they open.
async fn answers(
    document: &Document,
    keyring: &Keyring,
    services: &KeyServices,
) -> Result<Answers, Failure> {
    let groups = sops::unasked(&document.metadata, keyring, &Answers::new());
    if groups.is_empty() {
        return Ok(Answers::new());
    }
    let credentials = services.of_user()?;
    let services = services.services(Credentials::default())?;
    Ok(unwrap::ask(&services, &credentials, groups).await.answers)
}

/// A file that could not be opened: the place and the key, never a text of it.
fn failure(error: sops::Error, path: &Path) -> Failure {
    let hint = match error.kind {
        // What key services refuse says itself what it takes.
        sops::ErrorKind::NoMatchingKey { ref refusals, .. } if refusals.is_empty() => {
            "give the key of a recipient with --key FILE, or in SOPS_AGE_KEY_FILE"
        }
        sops::ErrorKind::MetadataNotFound => "is the file encrypted, and in this --format?",
        sops::ErrorKind::MacMismatch | sops::ErrorKind::MacMissing => {
            "`weir secrets decrypt --mac warn` prints it all the same; know why first"
        }
        sops::ErrorKind::NoRecipients => "name one with --age, or in the rules of .sops.yaml",
        _ => return Failure::new(error.in_file(&path.to_string_lossy()).to_string()),
    };
    Failure::with_hint(error.in_file(&path.to_string_lossy()).to_string(), hint)
}

/// The current time, as metadata has it.
pub(super) fn now() -> Time {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    Time::parse_rfc3339(&now).unwrap_or_default()
}

/// The recipe for a file by the nearest `.sops.yaml` around it, or by the one given.
fn recipe_by_rules(file: &Path, rules: Option<&Path>) -> Result<Recipe, Failure> {
    let absolute =
        std::path::absolute(file).map_err(|error| Failure::io("finding", file, &error))?;
    let rules = match rules {
        Some(rules) => {
            std::path::absolute(rules).map_err(|error| Failure::io("finding", rules, &error))?
        }
        None => nearest_rules(&absolute)?,
    };
    let bytes = std::fs::read(&rules).map_err(|error| Failure::io("reading", &rules, &error))?;
    let folder = rules.parent().unwrap_or(Path::new("/"));
    let path = absolute.strip_prefix(folder).unwrap_or(&absolute);
    sops::recipe(&bytes, &path.to_string_lossy())
        .map_err(|error| failure(error, &rules))?
        .ok_or_else(|| {
            let file = file.display();
            Failure::new(format!("{}: no rule is for {file}", rules.display()))
        })
}

fn nearest_rules(file: &Path) -> Result<PathBuf, Failure> {
    file.ancestors()
        .skip(1)
        .map(|folder| folder.join(sops::RULES_FILE))
        .find(|rules| rules.is_file())
        .ok_or_else(|| {
            Failure::with_hint(
                format!("{}: no {} around it", file.display(), sops::RULES_FILE),
                "name recipients with --age",
            )
        })
}

/// Replaces a file in one step, with the permissions that it had.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(std::fs::metadata(path)?.permissions())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Failure::io("writing", path, &error))
}

/// Prints bytes as they are.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(bytes) {
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(format!("writing the output: {error}"))),
        Ok(()) => Ok(()),
    }
}
