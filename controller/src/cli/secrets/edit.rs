//! `weir secrets edit FILE`: the plain text in an editor, and back.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anstream::eprintln;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use super::super::key_services::KeyServices;
use super::super::{Exit, Failure, Outcome};
use super::keys::Keys;
use super::scratch::Scratch;

const EXAMPLES: &str = "\
Examples:
  weir secrets edit secret.yaml              with $VISUAL, $EDITOR or vi
  EDITOR='code --wait' weir secrets edit secret.yaml";

/// Edit an encrypted file; what is left alone keeps its ciphertext.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The encrypted file.
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    services: KeyServices,
    /// Let the plain text lie in the temporary folder on disk when there is no file system in memory.
    #[arg(long)]
    insecure_temp: bool,
}

/// Opens the editor until what it leaves can be encrypted, or is what it was.
pub(super) async fn run(args: &Args) -> Outcome {
    let keyring = args.keys.keyring()?;
    let opened = super::open_to_change(&args.file, &keyring, &args.services).await?;
    let failed = |error| super::failure(error, &args.file);
    let mut before = opened.plain.write_to_edit().map_err(failed)?;
    // Before there is anything to remove: none may end the process behind its back.
    let mut signals = Signals::new()?;
    let scratch = Scratch::new(args.insecure_temp)?;
    let path = scratch
        .path()
        .join(args.file.file_name().unwrap_or_default());
    write(&path, &before)?;
    loop {
        open_editor(&path, &mut signals).await?;
        let after = std::fs::read(&path)
            .map(Zeroizing::new)
            .map_err(|error| Failure::io("reading", &path, &error))?;
        if after == before {
            eprintln!("{}: not changed", args.file.display());
            return Ok(Exit::Success);
        }
        match sops::edit(&opened, &after, super::now()) {
            Ok(Some(sealed)) => {
                super::replace(&args.file, &sealed)?;
                return Ok(Exit::Success);
            }
            Ok(None) => {
                eprintln!("{}: not changed", args.file.display());
                return Ok(Exit::Success);
            }
            // The text is still there: leaving it as it is gives up.
            Err(error) => {
                super::failure(error, &args.file).print();
                before = after;
            }
        }
    }
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text))
        .map_err(|error| Failure::io("writing", path, &error))
}

/// The signals that would end the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("listening to signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// Runs the editor. An interrupt is the editor's; a signal to end ends it too, and the plain text is removed.
async fn open_editor(path: &Path, signals: &mut Signals) -> Result<(), Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let failed = |error: std::io::Error| Failure::new(format!("running {editor}: {error}"));
    // The editor may be a command with arguments, as for git.
    let mut child = tokio::process::Command::new("sh")
        .args([
            "-c",
            &format!("{}{editor} \"$1\"", takes_over(&editor)),
            "sh",
        ])
        .arg(path)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(failed)?;
                return match status.success() {
                    true => Ok(()),
                    false => Err(Failure::new(format!("{editor} failed: {status}; nothing is changed"))),
                };
            }
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => return Err(ended(child).await),
            _ = signals.hangup.recv() => return Err(ended(child).await),
        }
    }
}

/// Has the shell become the editor, where it is a simple command: otherwise a signal would end the shell alone.
fn takes_over(editor: &str) -> &'static str {
    let is_simple = !editor.contains(|letter: char| ";&|<>()`$=\n".contains(letter));
    if is_simple { "exec " } else { "" }
}

async fn ended(mut child: tokio::process::Child) -> Failure {
    // It may have ended by itself.
    let _ = child.kill().await;
    Failure::new("ended by a signal; nothing is changed")
}
