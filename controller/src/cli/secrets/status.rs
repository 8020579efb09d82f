//! `weir secrets status`: the encrypted files of a repository, who can read them, and secrets that are not encrypted.

use std::path::{Path, PathBuf};

use anstream::{eprintln, print, println};
use overlay::yaml::{Dialect, Node};
use serde_json::{Value, json};
use sops::{Answers, Document, ErrorKind, Format, Keyring, MacPolicy, Metadata, Rule};

use super::super::output::{self, print_values};
use super::super::{Exit, Failure, Outcome, table};
use super::keys::Keys;
use super::readers::{Reader, readers};

const EXAMPLES: &str = "\
Examples:
  weir secrets status                        of the current folder and all below
  weir secrets status --key age.agekey       which files this key opens
  weir secrets status -o json                for scripts

A Secret that nobody encrypted counts as a difference (exit code 2).";

/// Show the encrypted files of a folder: recipients, rule, age, which key opens them, who decrypts them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder to look through.
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = output::Format::Table)]
    output: output::Format,
}

/// What was found in a file.
enum Found {
    /// It is encrypted.
    Encrypted(Box<Encrypted>),
    /// Secrets whose values anyone can read.
    Plain,
}

/// An encrypted file.
struct Encrypted {
    metadata: Metadata,
    /// The key files that open it.
    opened_by: Vec<String>,
    /// Why a key that should open it does not.
    problem: Option<String>,
}

/// A file of interest, by its path in the folder.
struct File {
    name: String,
    found: Found,
    /// Kustomizations that read and decrypt it.
    readers: Vec<Reader>,
}

/// Looks through the folder and prints what it found. A secret in plain text counts as a difference.
pub(super) fn run(args: &Args) -> Outcome {
    let keys = args.keys.named()?;
    let mut paths = Vec::new();
    list(&args.path, &mut paths)?;
    let readers = readers(&args.path, &paths);
    let files: Vec<File> = paths
        .iter()
        .filter_map(|path| {
            let name = path.strip_prefix(&args.path).unwrap_or(path);
            Some(File {
                name: name.display().to_string(),
                found: look(path, &keys)?,
                readers: readers
                    .iter()
                    .filter(|it| it.reads(path))
                    .cloned()
                    .collect(),
            })
        })
        .collect();
    print(&files, args.output);
    match files.iter().any(|file| matches!(file.found, Found::Plain)) {
        true => Ok(Exit::Changes),
        false => Ok(Exit::Success),
    }
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

fn look(file: &Path, keys: &[(String, Keyring)]) -> Option<Found> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > sops::SIZE_LIMIT as u64 {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    let named = Format::of_name(&file.to_string_lossy());
    let format = named.or_else(|| Format::of_content(&bytes));
    if let Some(format) = format.filter(|&format| sops::is_encrypted(&bytes, format))
        && let Ok(document) = Document::read(&bytes, format)
    {
        let encrypted = Box::new(describe(document, &bytes, keys));
        return Some(Found::Encrypted(encrypted));
    }
    let manifests = matches!(named, Some(Format::Yaml | Format::Json));
    (manifests && holds_plain_secret(&bytes)).then_some(Found::Plain)
}

fn describe(document: Document, bytes: &[u8], keys: &[(String, Keyring)]) -> Encrypted {
    let (mut opened_by, mut problem) = (Vec::new(), None);
    for (name, keyring) in keys {
        let opened = Document::read(bytes, document.format)
            .and_then(|again| sops::decrypt(again, keyring, &Answers::new(), MacPolicy::Error));
        match opened {
            Ok(_) => opened_by.push(name.clone()),
            Err(error) if matches!(error.kind, ErrorKind::NoMatchingKey { .. }) => {}
            Err(error) => problem = Some(error.to_string()),
        }
    }
    Encrypted {
        metadata: document.metadata,
        opened_by,
        problem,
    }
}

fn holds_plain_secret(bytes: &[u8]) -> bool {
    let documents = overlay::yaml::read_documents(bytes, 0, Dialect::Kustomize);
    documents
        .unwrap_or_default()
        .iter()
        .any(|document| document.find_str(&["kind"]) == Some("Secret") && holds_values(document))
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

fn print(files: &[File], format: output::Format) {
    match format {
        output::Format::Table => print!("{}", text(files)),
        output::Format::Name => files.iter().for_each(|file| println!("{}", file.name)),
        output::Format::Json | output::Format::Yaml => {
            print_values(files.iter().map(value).collect(), format);
        }
    }
}

fn text(files: &[File]) -> String {
    let header = [
        "FILE",
        "OPENED BY",
        "RECIPIENTS",
        "ENCRYPTED",
        "MODIFIED",
        "DECRYPTED BY",
    ];
    let mut rows = Vec::new();
    for file in files {
        match &file.found {
            Found::Encrypted(encrypted) => rows.push(row(file, encrypted)),
            Found::Plain => {
                eprintln!("warning: {}: a Secret in plain text", file.name);
                let row = [&*file.name, "everyone", "-", "nothing", "-", "-"];
                rows.push(row.map(str::to_owned).into());
            }
        }
    }
    table::render(&header, &rows)
}

fn row(file: &File, encrypted: &Encrypted) -> Vec<String> {
    let names: Vec<&str> = recipients(&encrypted.metadata);
    let shown: Vec<String> = names.iter().take(2).map(|name| shorten(name)).collect();
    let more = match names.len() {
        0..=2 => String::new(),
        count => format!(" and {} more", count - 2),
    };
    let opened_by = match (&encrypted.problem, encrypted.opened_by.as_slice()) {
        (Some(problem), []) => format!("BROKEN: {problem}"),
        (None, []) => "-".to_owned(),
        (_, names) => names.join(", "),
    };
    let readers: Vec<&str> = file.readers.iter().map(|it| it.name.as_str()).collect();
    vec![
        file.name.clone(),
        opened_by,
        shown.join(", ") + &more,
        rule(&encrypted.metadata.rule),
        encrypted.metadata.last_modified.to_string(),
        match readers.as_slice() {
            [] => "-".to_owned(),
            names => names.join(", "),
        },
    ]
}

fn value(file: &File) -> Value {
    let Found::Encrypted(encrypted) = &file.found else {
        return json!({ "file": file.name, "encrypted": false });
    };
    let metadata = &encrypted.metadata;
    json!({
        "file": file.name,
        "encrypted": true,
        "recipients": recipients(metadata),
        "keyGroups": metadata.groups.len(),
        "rule": rule(&metadata.rule),
        "lastModified": metadata.last_modified.to_string(),
        "version": metadata.version,
        "openedBy": encrypted.opened_by,
        "problem": encrypted.problem,
        "decryptedBy": file.readers.iter().map(Reader::value).collect::<Vec<_>>(),
    })
}

fn recipients(metadata: &Metadata) -> Vec<&str> {
    let wrapped = metadata.wrapped();
    wrapped.map(|wrapped| wrapped.recipient.name()).collect()
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
