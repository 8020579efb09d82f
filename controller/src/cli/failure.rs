//! What a command says when it fails: one clear message, the place with its source line, a hint.

use std::path::Path;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use overlay::{Errors, Place, Tree};

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A build failed; the excerpts are the source lines of its errors, where they may be shown.
    #[error("{errors}")]
    Build {
        /// What went wrong.
        errors: Errors,
        /// For each error the line it points at, when the file is at hand and not encrypted.
        excerpts: Vec<Option<String>>,
    },
    /// Anything else: a message and, when there is one, what to do.
    #[error("{message}")]
    Message {
        /// What went wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Failure {
    /// A failure with a message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message {
            message: message.into(),
            hint: None,
        }
    }

    /// A failure with advice.
    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Message {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// A failed build of a tree that can still be asked for the lines that the errors point at.
    pub fn build(errors: Errors, tree: &dyn Tree) -> Self {
        let excerpts = errors
            .0
            .iter()
            .map(|error| excerpt(error.place.as_deref()?, tree))
            .collect();
        Self::Build { errors, excerpts }
    }

    /// A file that could not be read or written.
    pub fn io(act: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("{act} {}: {error}", path.display()))
    }

    /// Prints to standard error.
    pub fn print(&self) {
        match self {
            Self::Build { errors, excerpts } => {
                for (error, excerpt) in errors.0.iter().zip(excerpts) {
                    print_error(error, excerpt.as_deref());
                }
            }
            Self::Message { message, hint } => {
                headline(message);
                print_hint(hint.as_deref());
            }
        }
    }
}

fn headline(message: &str) {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    eprintln!("{red}error{red:#}: {message}");
}

fn print_hint(hint: Option<&str>) {
    if let Some(hint) = hint {
        let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        eprintln!("{cyan}hint{cyan:#}: {hint}");
    }
}

fn print_error(error: &overlay::Error, excerpt: Option<&str>) {
    let acts: String = error.during.iter().map(|act| format!("{act}: ")).collect();
    headline(&format!("{acts}{}", error.message));
    if let Some(place) = &error.place {
        eprintln!("  --> {place}");
        if let Some(line) = excerpt {
            let number = place.line.to_string();
            let gutter = " ".repeat(number.len());
            eprintln!(" {gutter} |\n {number} | {line}");
            if place.column > 0 {
                eprintln!(" {gutter} | {}^", " ".repeat(place.column as usize - 1));
            }
        }
    }
    print_hint(error.hint.as_deref());
}

/// The line that a place names, unless its file holds ciphertext: what stands beside it may be a secret.
fn excerpt(place: &Place, tree: &dyn Tree) -> Option<String> {
    let bytes = tree.read(&place.file).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    if place.line == 0 || text.contains("ENC[") {
        return None;
    }
    let line = text.lines().nth(place.line as usize - 1)?;
    Some(
        line.chars()
            .filter(|c| !c.is_control() || *c == '\t')
            .take(200)
            .collect(),
    )
}
