//! From a plain document to an encrypted one. Values that an earlier version of the file has under the same key path keep
//! their ciphertext, so that a diff shows what changed.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::data_key;
use crate::decrypt::{Decrypted, associated, decrypt_with};
use crate::document::{Document, Plain};
use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::key::Keyring;
use crate::mac::{Mac, MacPolicy};
use crate::metadata::{Metadata, Recipient, Rule};
use crate::random;
use crate::selection::{Asked, Comments, Selection};
use crate::store;
use crate::time::Time;
use crate::tree::{Branch, Comment, Element, Item, Node, Value};
use crate::value::{self, Cipher};

/// The version that new files name: the one whose format is written.
const VERSION: &str = "3.13.2";

/// For whom a file is encrypted, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// One group whose members open the file each alone, or several of which it takes `shamir_threshold`.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups it takes; 0 for all of them.
    pub shamir_threshold: usize,
    /// Which values are encrypted.
    pub rule: Rule,
    /// The MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
}

/// Ciphertexts by key path, type and hash of the plaintext.
type Known = HashMap<(String, &'static str, [u8; 32]), String>;

/// Encrypts a plain file. OpenPGP recipients are found in the keyring.
pub fn encrypt(
    plain: &[u8],
    format: Format,
    recipe: &Recipe,
    keyring: &Keyring,
    now: Time,
) -> Result<Vec<u8>, Error> {
    let branches = store::read_plain(plain, format)?;
    if branches.is_empty() {
        let problem = "there is nothing in it to encrypt".to_owned();
        return Err(ErrorKind::Syntax { format, problem }.error());
    }
    encrypt_branches(branches, format, recipe, keyring, now)
}

/// The same for documents that were read.
pub(crate) fn encrypt_branches(
    branches: Vec<Branch>,
    format: Format,
    recipe: &Recipe,
    keyring: &Keyring,
    now: Time,
) -> Result<Vec<u8>, Error> {
    let data_key = random::bytes::<32>()?;
    let metadata = Metadata {
        groups: data_key::wrap(
            &data_key[..],
            &recipe.groups,
            threshold(recipe),
            keyring,
            &now,
        )?,
        shamir_threshold: threshold(recipe),
        last_modified: now,
        mac: String::new(),
        rule: recipe.rule.clone(),
        mac_only_encrypted: recipe.mac_only_encrypted,
        version: VERSION.to_owned(),
    };
    seal(branches, metadata, format, &data_key[..], Known::new())
}

fn threshold(recipe: &Recipe) -> usize {
    match (recipe.groups.len(), recipe.shamir_threshold) {
        (0 | 1, _) => 0,
        (count, 0) => count,
        (_, threshold) => threshold,
    }
}

/// Encrypts what a file is to hold from now on: `opened` is the file as it was opened, `plain` its new plain text. An
/// unchanged text gives `None`: the file stays as it is.
pub fn edit(opened: &Decrypted, plain: &[u8], now: Time) -> Result<Option<Vec<u8>>, Error> {
    let format = opened.plain.format;
    let branches = store::read_plain(plain, format)?;
    let before = store::write(&opened.plain.branches, format, store::Inline::Beside)?;
    let after = store::write(&branches, format, store::Inline::Beside)?;
    if before == after {
        return Ok(None);
    }
    let metadata = Metadata {
        last_modified: now,
        version: VERSION.to_owned(),
        ..opened.plain.metadata.clone()
    };
    let known = known(&opened.sealed, &opened.plain);
    seal(branches, metadata, format, &opened.data_key, known).map(Some)
}

/// Encrypts a file again under a new data key, for the same recipients.
pub fn rotate(opened: &Decrypted, keyring: &Keyring, now: Time) -> Result<Vec<u8>, Error> {
    let old = &opened.plain.metadata;
    let data_key = random::bytes::<32>()?;
    let groups: Vec<Vec<Recipient>> = old
        .groups
        .iter()
        .map(|group| group.iter().map(|entry| entry.recipient.clone()).collect())
        .collect();
    let metadata = Metadata {
        groups: data_key::wrap(&data_key[..], &groups, old.shamir_threshold, keyring, &now)?,
        last_modified: now,
        version: VERSION.to_owned(),
        ..old.clone()
    };
    let branches = opened.plain.branches.clone();
    seal(
        branches,
        metadata,
        opened.plain.format,
        &data_key[..],
        Known::new(),
    )
}

/// Gives a file the recipients of a recipe, under its present data key; values and MAC stay as they are. `None` when the
/// file has these recipients already.
pub fn update_keys(
    opened: &Decrypted,
    recipe: &Recipe,
    keyring: &Keyring,
    now: Time,
) -> Result<Option<Vec<u8>>, Error> {
    let old = &opened.plain.metadata;
    let unchanged = old.groups.len() == recipe.groups.len()
        && old.groups.iter().zip(&recipe.groups).all(|(have, want)| {
            have.len() == want.len() && have.iter().all(|entry| want.contains(&entry.recipient))
        });
    if unchanged && old.shamir_threshold == threshold(recipe) {
        return Ok(None);
    }
    let metadata = Metadata {
        groups: data_key::wrap(
            &opened.data_key,
            &recipe.groups,
            threshold(recipe),
            keyring,
            &now,
        )?,
        shamir_threshold: threshold(recipe),
        ..old.clone()
    };
    let format = opened.plain.format;
    store::write_encrypted(&opened.sealed, &metadata, format)
        .map(|bytes| Some(bytes.to_vec()))
        .map_err(Error::from)
}

fn seal(
    mut branches: Vec<Branch>,
    mut metadata: Metadata,
    format: Format,
    data_key: &[u8],
    known: Known,
) -> Result<Vec<u8>, Error> {
    let cipher = Cipher::new(data_key)?;
    let mut walk = Walk {
        cipher: &cipher,
        selection: &Selection::new(&metadata.rule),
        mac: Mac::new(metadata.mac_only_encrypted, false),
        mac_only_encrypted: metadata.mac_only_encrypted,
        comments: Comments::default(),
        path: Vec::new(),
        known,
    };
    for branch in &mut branches {
        walk.branch(branch, false)?;
    }
    let digest = walk.mac.digest();
    metadata.mac = value::seal(
        digest.as_bytes(),
        "str",
        &cipher,
        &metadata.last_modified.seconds(),
        &*random::bytes()?,
    );
    let sealed = store::write_encrypted(&branches, &metadata, format)?.to_vec();
    reads_back(&sealed, format, data_key)?;
    Ok(sealed)
}

/// Refuses a file that would not open again: some formats have no way to write every key and comment.
fn reads_back(sealed: &[u8], format: Format, data_key: &[u8]) -> Result<(), Error> {
    let opened = Document::read(sealed, format)
        .and_then(|document| decrypt_with(document, data_key, MacPolicy::Error));
    match opened {
        Ok(_) => Ok(()),
        Err(_) => Err(ErrorKind::Emit {
            format,
            problem: "a key or comment in it would not read back",
        }
        .error()),
    }
}

struct Walk<'a> {
    cipher: &'a Cipher,
    selection: &'a Selection,
    mac: Mac,
    mac_only_encrypted: bool,
    comments: Comments,
    path: Vec<String>,
    known: Known,
}

impl Walk<'_> {
    fn branch(&mut self, branch: &mut Branch, under_hit: bool) -> Result<(), Error> {
        self.comments.enter();
        for item in branch {
            match item {
                Item::Comment(comment) => self.comment(comment, under_hit)?,
                Item::Pair(pair) => {
                    let under_hit = under_hit || self.selection.finds_key(&pair.key);
                    self.path.push(pair.key.clone());
                    self.node(&mut pair.node, under_hit)?;
                    self.path.pop();
                    self.comments.clear();
                }
            }
        }
        self.comments.leave();
        Ok(())
    }

    fn list(&mut self, elements: &mut [Element], under_hit: bool) -> Result<(), Error> {
        self.comments.enter();
        for element in elements {
            match element {
                Element::Comment(comment) => {
                    if comment.text.is_empty() {
                        // SOPS never encrypts an empty text, and reads it back as an item of the list.
                        comment.text.push(b' ');
                    }
                    self.comment(comment, under_hit)?;
                }
                Element::Node(node) => {
                    self.node(node, under_hit)?;
                    self.comments.clear();
                }
            }
        }
        self.comments.leave();
        Ok(())
    }

    fn node(&mut self, node: &mut Node, under_hit: bool) -> Result<(), Error> {
        match &mut node.value {
            Value::Map(branch) => return self.branch(branch, under_hit),
            Value::List(elements) => return self.list(elements, under_hit),
            _ => {}
        }
        let encrypted = self
            .selection
            .encrypts(under_hit, &self.comments, Asked::Value);
        if encrypted || !self.mac_only_encrypted {
            self.mac.add(&node.value, encrypted);
        }
        let plaintext = value::plaintext(&node.value);
        if let Some((label, plain)) = plaintext.filter(|(_, plain)| encrypted && !plain.is_empty())
        {
            node.value = Value::text(&self.sealed(label, plain)?);
            node.written = None;
        }
        Ok(())
    }

    fn comment(&mut self, comment: &mut Comment, under_hit: bool) -> Result<(), Error> {
        let found = self.selection.finds_comment(&comment.text);
        self.comments.add(found);
        let encrypted = self
            .selection
            .encrypts(under_hit, &self.comments, Asked::Comment);
        if encrypted && !comment.text.is_empty() {
            let plain = std::mem::take(&mut comment.text);
            *comment.text = self.sealed("comment", plain)?.into_bytes();
            if self.selection.finds_comment(&comment.text) {
                return Err(ErrorKind::CommentRule.error().under(&self.path));
            }
        }
        Ok(())
    }

    /// The ciphertext of a text at the current key path: the known one, else a new one.
    fn sealed(
        &mut self,
        label: &'static str,
        plain: Zeroizing<Vec<u8>>,
    ) -> Result<String, ErrorKind> {
        let path = associated(&self.path);
        let key = (path, label, Sha256::digest(&plain).into());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (path, label, _) = key;
        let nonce = random::bytes()?;
        Ok(value::seal(&plain, label, self.cipher, &path, &nonce))
    }
}

/// The ciphertexts of a file beside their plaintexts.
fn known(sealed: &[Branch], plain: &Plain) -> Known {
    let mut known = Known::new();
    for (sealed, plain) in sealed.iter().zip(&plain.branches) {
        know_branch(sealed, plain, &mut Vec::new(), &mut known);
    }
    known
}

fn know_branch(sealed: &Branch, plain: &Branch, path: &mut Vec<String>, known: &mut Known) {
    for items in sealed.iter().zip(plain) {
        match items {
            (Item::Comment(sealed), Item::Comment(plain)) => {
                know_comment(&sealed.text, plain, path, known);
            }
            (Item::Pair(sealed), Item::Pair(plain)) => {
                path.push(plain.key.clone());
                know_node(&sealed.node, &plain.node, path, known);
                path.pop();
            }
            _ => {}
        }
    }
}

fn know_node(sealed: &Node, plain: &Node, path: &mut Vec<String>, known: &mut Known) {
    match (&sealed.value, &plain.value) {
        (Value::Map(sealed), Value::Map(plain)) => know_branch(sealed, plain, path, known),
        (Value::List(sealed), Value::List(plain)) => {
            for elements in sealed.iter().zip(plain) {
                match elements {
                    (Element::Node(sealed), Element::Node(plain)) => {
                        know_node(sealed, plain, path, known);
                    }
                    (Element::Comment(sealed), Element::Comment(plain)) => {
                        know_comment(&sealed.text, plain, path, known);
                    }
                    (Element::Node(sealed), Element::Comment(plain)) => {
                        let text = sealed.value.as_str().unwrap_or_default();
                        know_comment(text.as_bytes(), plain, path, known);
                    }
                    (Element::Comment(_), Element::Node(_)) => {}
                }
            }
        }
        (Value::Text(sealed), _) if plain.opened => {
            if let Some((label, text)) = value::plaintext(&plain.value) {
                know(sealed, label, text, path, known);
            }
        }
        _ => {}
    }
}

fn know_comment(sealed: &[u8], plain: &Comment, path: &[String], known: &mut Known) {
    if sealed != plain.text.as_slice() {
        know(sealed, "comment", plain.text.clone(), path, known);
    }
}

fn know(
    sealed: &[u8],
    label: &'static str,
    plain: Zeroizing<Vec<u8>>,
    path: &[String],
    known: &mut Known,
) {
    if let Ok(text) = std::str::from_utf8(sealed) {
        let hash = Sha256::digest(&plain).into();
        known.insert((associated(path), label, hash), text.to_owned());
    }
}
