//! The keys at hand, each kind in a file of its own, and the trial of them on the entries of a key group.

mod hybrid;
#[cfg(feature = "pgp")]
mod pgp;
mod ssh;
mod x25519;

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::age::{self, FileKey, Header, Stanza, armor, payload};
use crate::error::{Error, ErrorKind};
use crate::metadata::{Recipient, Wrapped};
use crate::time::Time;

/// Entries whose recipient is not one of ours are tried too, since that text is only a label, but no more than this:
/// a file may name 100,000 recipients.
const STRANGERS: usize = 16;

/// Keys that can open files, injected by the caller: nothing is looked up in the environment, the home folder or an
/// agent.
#[derive(Default)]
pub struct Keyring {
    age: Vec<AgeIdentity>,
    #[cfg(feature = "pgp")]
    pgp: Vec<pgp::Identity>,
    /// Hashes of the texts that held them.
    texts: BTreeSet<[u8; 32]>,
}

/// One private key that opens age stanzas.
enum AgeIdentity {
    X25519(x25519::Identity),
    Hybrid(Box<hybrid::Identity>),
    Ssh(ssh::Identity),
}

/// What the keys made of a key group.
pub enum Outcome {
    /// The data key, or the group's share of it.
    Opened(Zeroizing<Vec<u8>>),
    /// Nothing opened; the reasons are about entries that one of the keys should have opened.
    Refused(Vec<String>),
}

impl Keyring {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        #[cfg(feature = "pgp")]
        return self.age.len() + self.pgp.len();
        #[cfg(not(feature = "pgp"))]
        self.age.len()
    }

    /// True without a key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the keys of a text, whichever kind it holds: age identities, an SSH private key, armored OpenPGP keys.
    pub fn add(&mut self, text: &str) -> Result<(), Error> {
        if ssh::is_private_key(text) {
            self.add_ssh(text)
        } else if text.contains("-----BEGIN PGP") {
            self.add_pgp(text)
        } else {
            self.add_age(text)
        }
    }

    /// Adds the age identities of a text, one a line; `#` starts a comment line. A line that is none of these refuses
    /// the whole text.
    pub fn add_age(&mut self, text: &str) -> Result<(), Error> {
        let lines = text.lines().zip(1..);
        let found = lines
            .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, number)| {
                age_identity(line).map_err(|problem| bad_key(&format!("line {number}: {problem}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.age.extend(found);
        self.remember(text);
        Ok(())
    }

    /// Adds an SSH private key, for files whose recipient is its public key.
    pub fn add_ssh(&mut self, text: &str) -> Result<(), Error> {
        let identity = ssh::Identity::parse(text).map_err(bad_key)?;
        self.age.push(AgeIdentity::Ssh(identity));
        self.remember(text);
        Ok(())
    }

    /// Adds armored OpenPGP private keys.
    #[cfg(feature = "pgp")]
    pub fn add_pgp(&mut self, text: &str) -> Result<(), Error> {
        if !pgp::is_private_key(text) {
            return Err(bad_key("not an OpenPGP private key"));
        }
        self.pgp
            .extend(pgp::Identity::parse(text).map_err(bad_key)?);
        self.remember(text);
        Ok(())
    }

    /// Refuses OpenPGP keys: this build has no code for them.
    #[cfg(not(feature = "pgp"))]
    pub fn add_pgp(&mut self, _text: &str) -> Result<(), Error> {
        Err(bad_key("this build has no OpenPGP"))
    }

    fn remember(&mut self, text: &str) {
        self.texts.insert(Sha256::digest(text).into());
    }

    /// What tells this set of keys from all others. It is made of the private keys, not of the public ones, which
    /// everyone could write down.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let hash = self.texts.iter().fold(Sha256::new(), Digest::chain_update);
        hash.finalize().into()
    }

    /// Opens one entry of a key group: those whose recipient is ours first.
    pub fn open(&self, group: &[Wrapped]) -> Outcome {
        let mut reasons = Vec::new();
        for ours in [true, false] {
            let entries = group.iter().filter(|entry| self.names(entry) == ours);
            let limit = if ours { usize::MAX } else { STRANGERS };
            for entry in entries.take(limit) {
                match self.open_entry(entry) {
                    Ok(Some(share)) => return Outcome::Opened(share),
                    Ok(None) => {}
                    Err(reason) => reasons.push(reason),
                }
            }
        }
        Outcome::Refused(reasons)
    }

    /// Wraps a data key, or a share of it, for a recipient.
    pub(crate) fn wrap(
        &self,
        recipient: &Recipient,
        share: &[u8],
        now: &Time,
    ) -> Result<Wrapped, ErrorKind> {
        let dated = !matches!(recipient, Recipient::Age { .. });
        let ciphertext = match recipient {
            Recipient::Age { recipient } => seal_age(recipient, share)?,
            #[cfg(feature = "pgp")]
            Recipient::Pgp { fingerprint } => pgp::seal(&self.pgp, fingerprint, share)?,
            other => {
                return Err(bad_recipient(
                    other.name(),
                    "Weir opens what key services have wrapped, and wraps nothing with them; the sops program does",
                ));
            }
        };
        Ok(Wrapped {
            recipient: recipient.clone(),
            ciphertext,
            created_at: dated.then(|| now.seconds()),
        })
    }

    fn names(&self, entry: &Wrapped) -> bool {
        match &entry.recipient {
            Recipient::Age { recipient } => {
                self.age.iter().any(|identity| identity.is_named(recipient))
            }
            #[cfg(feature = "pgp")]
            Recipient::Pgp { fingerprint } => self
                .pgp
                .iter()
                .any(|identity| identity.is_named(fingerprint)),
            _ => false,
        }
    }

    fn open_entry(&self, entry: &Wrapped) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        match &entry.recipient {
            Recipient::Age { .. } if !self.age.is_empty() => self.open_age(&entry.ciphertext),
            #[cfg(feature = "pgp")]
            Recipient::Pgp { .. } if !self.pgp.is_empty() => {
                pgp::open(&self.pgp, &entry.ciphertext)
            }
            _ => Ok(None),
        }
    }

    fn open_age(&self, ciphertext: &str) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let file = armor::open(ciphertext).ok_or("an age entry has broken armor")?;
        let header = Header::read(&file).ok_or("an age entry has a broken header")?;
        let Some(file_key) = self.file_key(&header.stanzas)? else {
            return Ok(None);
        };
        if !header.is_genuine(&file_key) {
            return Err("an age entry's header was altered".to_owned());
        }
        match payload::open(&file_key, header.payload) {
            Some(share) => Ok(Some(share)),
            None => Err("an age entry's payload was altered".to_owned()),
        }
    }

    fn file_key(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>, String> {
        let scrypt = |stanza: &Stanza| {
            stanza
                .arguments
                .first()
                .is_some_and(|kind| kind == "scrypt")
        };
        if stanzas.iter().any(scrypt) {
            return Err("an age entry is encrypted with a passphrase, which is not tried: its cost is the file's choice".to_owned());
        }
        Ok(stanzas
            .iter()
            .find_map(|stanza| self.age.iter().find_map(|identity| identity.unwrap(stanza))))
    }
}

impl AgeIdentity {
    fn is_named(&self, recipient: &str) -> bool {
        match self {
            Self::X25519(identity) => identity.recipient() == recipient,
            Self::Hybrid(identity) => identity.recipient() == recipient,
            Self::Ssh(identity) => identity.is_named(recipient),
        }
    }

    fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let (kind, arguments) = stanza.arguments.split_first()?;
        match (self, kind.as_str()) {
            (Self::X25519(identity), x25519::STANZA) => identity.unwrap(arguments, &stanza.body),
            (Self::Hybrid(identity), hybrid::STANZA) => identity.unwrap(arguments, &stanza.body),
            (Self::Ssh(identity), kind) => identity.unwrap(kind, arguments, &stanza.body),
            _ => None,
        }
    }
}

/// Reads one line of an age key file.
fn age_identity(line: &str) -> Result<AgeIdentity, &'static str> {
    if line.starts_with(x25519::PREFIX) {
        let identity = x25519::Identity::parse(line).ok_or("a malformed age key")?;
        return Ok(AgeIdentity::X25519(identity));
    }
    if line.starts_with(hybrid::PREFIX) {
        let identity = hybrid::Identity::parse(line).ok_or("a malformed age key")?;
        return Ok(AgeIdentity::Hybrid(Box::new(identity)));
    }
    if line.starts_with("AGE-PLUGIN-") {
        return Err("age plugins are programs, and are not run");
    }
    Err("not a kind of key that is known")
}

/// Kinds of age recipients: how their text looks, and how a file key is wrapped for them.
type AgeRecipient = (
    fn(&str) -> bool,
    fn(&str, &FileKey) -> Result<Stanza, ErrorKind>,
);

const AGE_RECIPIENTS: [AgeRecipient; 3] = [
    (hybrid::is_recipient, hybrid::seal),
    (x25519::is_recipient, x25519::seal),
    (ssh::is_recipient, ssh::seal),
];

fn seal_age(recipient: &str, share: &[u8]) -> Result<String, ErrorKind> {
    let (_, seal) = AGE_RECIPIENTS
        .iter()
        .find(|(is_recipient, _)| is_recipient(recipient))
        .ok_or_else(|| {
            bad_recipient(recipient, "it is not a kind of age recipient that is known")
        })?;
    age::seal(share, |file_key| seal(recipient, file_key))
}

/// A new age key.
pub struct NewKey {
    /// The private key, a line of a key file.
    pub identity: Zeroizing<String>,
    /// The public key.
    pub recipient: String,
}

/// Makes an age key: on Curve25519, or a hybrid one that a quantum computer does not break either.
pub fn generate(hybrid: bool) -> Result<NewKey, Error> {
    let (identity, recipient) = match hybrid {
        true => hybrid::generate()?,
        false => x25519::generate()?,
    };
    Ok(NewKey {
        identity,
        recipient,
    })
}

fn bad_recipient(recipient: &str, problem: &'static str) -> ErrorKind {
    ErrorKind::BadRecipient {
        recipient: recipient.to_owned(),
        problem,
    }
}

fn bad_key(problem: &str) -> Error {
    ErrorKind::BadKey(problem.to_owned()).error()
}
