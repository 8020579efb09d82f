//! What can go wrong with an encrypted file, as values that never hold its text: where, at which key, and why.

use std::fmt;

use crate::format::Format;

/// The longest key that an error shows.
const KEY_LENGTH: usize = 80;

/// A position in the file as stored, counted from 1; line 0 means "the file as a whole".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// One reason not to open a file, and where. `Display` gives one line that is safe to show to anyone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The file, when the caller named it.
    pub file: Option<String>,
    /// Where in it.
    pub position: Position,
    /// The keys that lead to the value, from the root; empty when no single value is to blame.
    pub path: Vec<String>,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong. No variant ever carries text of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The file is larger than anything that is opened.
    #[error("the file has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size that is read.
        limit: usize,
    },
    /// The bytes do not follow the grammar of the format.
    #[error("not valid {format}: {problem}")]
    Syntax {
        /// The format that it was read as.
        format: Format,
        /// What the grammar wanted; never what was there.
        problem: String,
    },
    /// A mapping of the first document has a key twice.
    #[error("the key is there twice in one mapping")]
    DuplicateKey,
    /// A mapping's key is a number, a truth value, null or a collection.
    #[error("a key is not a string; only string keys can be encrypted")]
    NonStringKey,
    /// Aliases would unfold to more nodes than are read.
    #[error("aliases unfold to more than {limit} nodes")]
    AliasFlood {
        /// The largest number that is read.
        limit: usize,
    },
    /// Collections in collections, too many.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// Nothing in the file says that SOPS wrote it.
    #[error("sops metadata not found")]
    MetadataNotFound,
    /// The metadata cannot be used.
    #[error("sops metadata: {0}")]
    BadMetadata(String),
    /// No key at hand opens (enough of) the key groups.
    #[error("no key at hand opens the data key; the file is encrypted for {recipients}{refusals}")]
    NoMatchingKey {
        /// The recipients that the file names, cut short when there are many.
        recipients: String,
        /// Why keys that looked right did not open it; starts with `"; "` unless empty.
        refusals: String,
    },
    /// The opened shares do not make a data key.
    #[error("combining the shares of the key groups: {0}")]
    Shamir(&'static str),
    /// What a key group gave is not an AES-256 key.
    #[error("the data key has {0} bytes, not 32")]
    BadDataKey(usize),
    /// A value that the rules call encrypted is not.
    #[error("the value must be encrypted by the file's rules, and is not")]
    NotEncrypted,
    /// One of the fields of an encrypted value is not base64, or has an impossible length.
    #[error("the {0} of the encrypted value is malformed")]
    BadCiphertext(&'static str),
    /// The type of an encrypted value is none of SOPS's.
    #[error("the encrypted value has an unknown type")]
    UnknownType,
    /// AES-GCM refuses the value: another key, another place in the file, or altered.
    #[error(
        "the value does not decrypt: altered, moved from another key path, or under another data key"
    )]
    ValueRefused,
    /// It decrypts, but is not text of the type it claims.
    #[error("the decrypted value is not of its type ({0})")]
    BadValue(&'static str),
    /// The file has no MAC, or an empty one.
    #[error("the file has no MAC")]
    MacMissing,
    /// The MAC itself does not decrypt.
    #[error("the MAC does not decrypt: it, lastmodified or the data key was altered")]
    MacInvalid,
    /// The MAC decrypts and is that of other content.
    #[error("the MAC does not match: the file was changed after it was encrypted")]
    MacMismatch,
    /// The tree cannot be written in this format.
    #[error("cannot be written as {format}: {problem}")]
    Emit {
        /// The format asked for.
        format: Format,
        /// What it has no place for.
        problem: &'static str,
    },
    /// A file that is to be encrypted is encrypted already, or has a key that SOPS keeps for itself.
    #[error(
        "the file is encrypted already, or has a key of the name that SOPS keeps for its metadata"
    )]
    AlreadyEncrypted,
    /// A file is to be encrypted for nobody.
    #[error("there is nobody to encrypt for: no rule names a recipient")]
    NoRecipients,
    /// A recipient's public key cannot be used.
    #[error("cannot encrypt for {recipient}: {problem}")]
    BadRecipient {
        /// Who.
        recipient: String,
        /// Why not.
        problem: &'static str,
    },
    /// The ciphertext of a comment looks like a comment that the file's rule asks for.
    #[error(
        "an encrypted comment would match the file's comment rule; use a rule that ciphertext cannot match"
    )]
    CommentRule,
    /// The rules of `.sops.yaml` cannot be used.
    #[error("creation rules: {0}")]
    BadRules(String),
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// A key file or key text cannot be read.
    #[error("reading a key: {0}")]
    BadKey(String),
}

impl ErrorKind {
    /// The error without a place yet.
    pub fn error(self) -> Error {
        Error::from(self)
    }

    /// The error at a position.
    pub fn at(self, position: Position) -> Error {
        Error {
            position,
            ..self.into()
        }
    }
}

impl Error {
    /// Names the file, unless an inner caller did.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// Names the keys that lead to the value, unless an inner caller did.
    #[must_use]
    pub fn under(mut self, path: &[String]) -> Self {
        if self.path.is_empty() {
            self.path = path.iter().map(|key| shown(key)).collect();
        }
        self
    }
}

/// A key as errors show it. In a broken file a piece of a value may stand where a key is expected, so what does not look
/// like a name is not shown.
fn shown(key: &str) -> String {
    let like_a_name = |letter: char| letter.is_alphanumeric() || "_-./ ".contains(letter);
    match key.len() <= KEY_LENGTH && key.chars().all(like_a_name) {
        true => key.to_owned(),
        false => "(a key)".to_owned(),
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self {
            file: None,
            position: Position::default(),
            path: Vec::new(),
            kind,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.position.line) {
            (Some(file), 0) => write!(f, "{file}: ")?,
            (Some(file), line) => write!(f, "{file}:{line}: ")?,
            (None, 0) => {}
            (None, line) => write!(f, "line {line}: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("."))?;
        }
        write!(f, "{}", self.kind)
    }
}
