//! `weir secrets status`: the encrypted files of a repository, who can read them, and secrets that are not encrypted.

use std::path::{Path, PathBuf};

use overlay::yaml::{Dialect, Node};
use sops::{Answers, Document, Format, Keyring, MacPolicy, Rule};

use super::super::{Exit, Failure, Outcome};
use super::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  weir secrets status                        of the current folder and all below
  weir secrets status --key age.agekey       which files this key opens";

/// Show the encrypted files of a folder: recipients, rule, age, whether your keys open them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder to look through.
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

/// What a file is found to be.
enum Found {
    /// An encrypted file, described.
    Encrypted(String),
    /// A Secret whose values anyone can read.
    Plain,
    /// A Kustomization that names the Secret with the keys of its files.
    Decryption(String),
}

/// Looks through the folder and prints what it found. A secret in plain text counts as a difference.
pub(super) fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    let mut files = Vec::new();
    list(&args.path, &mut files)?;
    let mut exit = Exit::Success;
    let mut text = String::new();
    for file in &files {
        let name = file.strip_prefix(&args.path).unwrap_or(file).display();
        for found in look(file, &keyring) {
            let line = match found {
                Found::Encrypted(description) => format!("encrypted   {name}  {description}\n"),
                Found::Decryption(secret) => format!("decryption  {name}  keys from {secret}\n"),
                Found::Plain => {
                    exit = Exit::Changes;
                    format!("plaintext   {name}  looks like a Secret, and is not encrypted\n")
                }
            };
            text.push_str(&line);
        }
    }
    super::print(text.as_bytes())?;
    Ok(exit)
}

/// All files, in order; Git's own folder is left out, links are not followed.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io("reading", folder, &error);
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && entry.file_name() != ".git" {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn look(file: &Path, keyring: &Keyring) -> Vec<Found> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > sops::SIZE_LIMIT as u64 {
        return Vec::new();
    }
    let Ok(bytes) = std::fs::read(file) else {
        return Vec::new();
    };
    let named = Format::of_name(&file.to_string_lossy());
    let format = named.or_else(|| Format::of_content(&bytes));
    if let Some(format) = format.filter(|&format| sops::is_encrypted(&bytes, format))
        && let Ok(document) = Document::read(&bytes, format)
    {
        return vec![Found::Encrypted(describe(document, keyring))];
    }
    match named {
        Some(Format::Yaml | Format::Json) => look_at_manifests(&bytes),
        _ => Vec::new(),
    }
}

fn describe(document: Document, keyring: &Keyring) -> String {
    let metadata = &document.metadata;
    let names: Vec<&str> = metadata
        .wrapped()
        .map(|wrapped| wrapped.recipient.name())
        .collect();
    let shown: Vec<String> = names.iter().take(2).map(|name| shorten(name)).collect();
    let more = match names.len() {
        0..=2 => String::new(),
        count => format!(" and {} more", count - 2),
    };
    let about = format!(
        "for {}{more}; {}; last modified {}",
        shown.join(", "),
        rule(&metadata.rule),
        metadata.last_modified
    );
    let opened = sops::decrypt(document, keyring, &Answers::new(), MacPolicy::Error);
    match opened {
        Ok(_) => format!("opens; {about}"),
        Err(error) if matches!(error.kind, sops::ErrorKind::NoMatchingKey { .. }) => {
            format!("closed; {about}")
        }
        Err(error) => format!("BROKEN: {error}; {about}"),
    }
}

/// Public keys are long; their ends tell them apart.
fn shorten(name: &str) -> String {
    match name.char_indices().nth(24) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn rule(rule: &Rule) -> String {
    match rule {
        Rule::UnencryptedSuffix(text) => format!("all but *{text}"),
        Rule::EncryptedSuffix(text) => format!("*{text}"),
        Rule::UnencryptedRegex(text) => format!("all but /{text}/"),
        Rule::EncryptedRegex(text) => format!("/{text}/"),
        Rule::UnencryptedCommentRegex(text) => format!("all but under # /{text}/"),
        Rule::EncryptedCommentRegex(text) => format!("under # /{text}/"),
    }
}

fn look_at_manifests(bytes: &[u8]) -> Vec<Found> {
    let documents = overlay::yaml::read_documents(bytes, 0, Dialect::Kustomize);
    let mut found: Vec<Found> = documents
        .unwrap_or_default()
        .iter()
        .filter_map(|document| match document.find_str(&["kind"])? {
            "Secret" if holds_values(document) => Some(Found::Plain),
            "Kustomization" => {
                let secret = document.find_str(&["spec", "decryption", "secretRef", "name"])?;
                Some(Found::Decryption(secret.to_owned()))
            }
            _ => None,
        })
        .collect();
    // Once a file is enough.
    found.dedup_by(|one, other| matches!((one, other), (Found::Plain, Found::Plain)));
    found
}

fn holds_values(secret: &Node) -> bool {
    ["data", "stringData"].iter().any(|field| {
        let values = secret.get(field).and_then(Node::as_mapping);
        values.is_some_and(|values| {
            values.iter().any(|(_, value)| {
                value
                    .as_str()
                    .is_some_and(|text| !text.is_empty() && !text.contains("${"))
            })
        })
    })
}
