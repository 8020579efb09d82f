//! Whether commits and tags bear the signature of somebody trusted: checked in this process, no program is asked.

mod openpgp;
mod signed;
mod ssh;

use std::time::SystemTime;

use gix::objs::Kind;
use overlay::ObjectHash;

use super::access::SecretData;
use super::git_tree::Objects;
use super::refresh::Fetched;
use signed::{Form, Signed};

/// Which of a revision's objects must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The commit.
    Head,
    /// The tag that leads to it.
    Tag,
    /// Both.
    TagAndHead,
}

impl Mode {
    /// Reads `spec.verify.mode`.
    pub fn parse(text: &str) -> Self {
        match text {
            "Tag" => Self::Tag,
            "TagAndHEAD" => Self::TagAndHead,
            _ => Self::Head,
        }
    }

    /// As `status.sourceVerificationMode` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Tag => "Tag",
            Self::TagAndHead => "TagAndHEAD",
        }
    }
}

/// The public keys of those who are trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    /// Armored OpenPGP keys.
    rings: Vec<String>,
    /// Lines of `authorized_keys`.
    authorized: Vec<String>,
}

impl TrustedKeys {
    /// Reads a Secret: `*.sshpub` holds SSH keys, anything else is taken for OpenPGP's.
    pub fn from_secret(data: &SecretData) -> Self {
        let mut keys = Self::default();
        for (name, bytes) in data {
            let text = String::from_utf8_lossy(bytes).into_owned();
            match name.ends_with(".sshpub") {
                true => keys.authorized.push(text),
                false => keys.rings.push(text),
            }
        }
        keys
    }

    /// SSH keys alone, as lines of `authorized_keys`.
    pub fn of_ssh(lines: impl IntoIterator<Item = String>) -> Self {
        Self {
            rings: Vec::new(),
            authorized: lines.into_iter().collect(),
        }
    }

    /// Whether a text is a line of `authorized_keys` with one key.
    pub fn is_ssh_key(line: &str) -> bool {
        ssh::is_key(line)
    }

    /// The name of the key that signed.
    fn verify(&self, signed: &Signed, now: SystemTime) -> Result<String, String> {
        match Form::of(&signed.signature) {
            Some(Form::OpenPgp) => openpgp::verify(&self.rings, signed, now),
            Some(Form::Ssh) => ssh::verify(&self.authorized, signed),
            None if signed.signature.is_empty() => Err("it has no signature".to_owned()),
            None => Err("its signature is neither OpenPGP's nor SSH's".to_owned()),
        }
    }
}

/// Why a revision is not trusted. The texts begin as Flux's do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// The keys could not be had.
    #[error("public keys secret error: {0}")]
    Keys(String),
    /// The revision was not reached by a tag.
    #[error("cannot verify tag object's signature if a tag reference is not specified")]
    NoTag,
    /// The tag has no signature: it is a light one, or was made without.
    #[error("cannot verify signature of tag '{0}' since it is not signed")]
    UnsignedTag(String),
    /// The tag's signature is not one of somebody trusted.
    #[error("signature verification of tag '{tag}' failed: {problem}")]
    Tag {
        /// Name and id of the tag.
        tag: String,
        /// What is wrong.
        problem: String,
    },
    /// The commit's signature is not one of somebody trusted.
    #[error("signature verification of commit '{commit}' failed: {problem}")]
    Commit {
        /// The commit's id.
        commit: String,
        /// What is wrong.
        problem: String,
    },
}

impl VerificationError {
    /// The reason that the conditions SourceVerified and Ready carry.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Keys(_) => "VerificationError",
            Self::NoTag => "InvalidVerificationMode",
            Self::UnsignedTag(_) => "InvalidGitObject",
            Self::Tag { .. } => "InvalidTagSignature",
            Self::Commit { .. } => "InvalidCommitSignature",
        }
    }

    /// True when only another spec can help.
    pub fn stalls(&self) -> bool {
        matches!(self, Self::NoTag)
    }
}

/// Checks what the mode asks for. Gives the message of the condition, which names objects and keys.
pub fn verify(
    fetched: &Fetched,
    mode: Mode,
    keys: &TrustedKeys,
    now: SystemTime,
) -> Result<String, VerificationError> {
    let mut message = "verified signature of".to_owned();
    if mode != Mode::Head {
        let (tag, key) = verify_tag(fetched, keys, now)?;
        message.push_str(&format!("\n\t- tag '{tag}' with key '{key}'"));
    }
    if mode != Mode::Tag {
        let key = verify_commit(fetched, keys, now)?;
        let commit = fetched.commit.id.to_string();
        message.push_str(&format!("\n\t- commit '{commit}' with key '{key}'"));
    }
    Ok(message)
}

fn verify_commit(
    fetched: &Fetched,
    keys: &TrustedKeys,
    now: SystemTime,
) -> Result<String, VerificationError> {
    commit(fetched.tree.objects(), fetched.commit.id, keys, now)
}

/// The name of the key that signed a commit.
pub(super) fn commit(
    objects: &Objects,
    id: ObjectHash,
    keys: &TrustedKeys,
    now: SystemTime,
) -> Result<String, VerificationError> {
    objects
        .read(&gix::ObjectId::Sha1(id.0), Kind::Commit)
        .and_then(|bytes| Signed::commit(&bytes))
        .and_then(|signed| keys.verify(&signed, now))
        .map_err(|problem| VerificationError::Commit {
            commit: id.to_string(),
            problem: format!("unable to verify Git commit: {problem}"),
        })
}

fn verify_tag(
    fetched: &Fetched,
    keys: &TrustedKeys,
    now: SystemTime,
) -> Result<(String, String), VerificationError> {
    let name = fetched.tag_name.as_ref().ok_or(VerificationError::NoTag)?;
    let Some(id) = fetched.tag else {
        let light = format!("{name}@{}", fetched.commit.id);
        return Err(VerificationError::UnsignedTag(light));
    };
    let tag = format!("{name}@{id}");
    let failed = |problem: String| VerificationError::Tag {
        tag: tag.clone(),
        problem: format!("unable to verify Git tag: {problem}"),
    };
    let bytes = fetched
        .tree
        .objects()
        .read(&gix::ObjectId::Sha1(id.0), Kind::Tag)
        .map_err(failed)?;
    let signed = Signed::tag(&bytes);
    if signed.signature.is_empty() {
        return Err(VerificationError::UnsignedTag(tag));
    }
    let key = keys.verify(&signed, now).map_err(failed)?;
    // Whoever can push could let the name of a new version lead to the signed tag of an old one.
    match signed::name_of_tag(&bytes) {
        Some(own) if own == name.as_bytes() => Ok((tag, key)),
        _ => Err(failed("it was signed under another name".to_owned())),
    }
}
