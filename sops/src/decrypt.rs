//! From an encrypted document to a plain one: the data key is recovered, every value opened, the MAC checked.

use zeroize::Zeroizing;

use crate::data_key::{self, Answers};
use crate::document::{Document, Plain};
use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::key::Keyring;
use crate::mac::{Mac, MacPolicy};
use crate::selection::{Asked, Comments, Selection};
use crate::tree::{Branch, Comment, Element, Item, Node, Value};
use crate::value::{self, Cipher, Opened};

/// Decrypts a document with the keys at hand and the answers of key services.
pub fn decrypt(
    document: Document,
    keyring: &Keyring,
    answers: &Answers,
    policy: MacPolicy,
) -> Result<Plain, Error> {
    let data_key = data_key::recover(&document.metadata, keyring, answers)?;
    decrypt_with(document, &data_key, policy)
}

/// Decrypts a document whose data key is known.
pub fn decrypt_with(
    document: Document,
    data_key: &[u8],
    policy: MacPolicy,
) -> Result<Plain, Error> {
    let Document {
        format,
        mut branches,
        metadata,
    } = document;
    let cipher = Cipher::new(data_key)?;
    let rounds = matches!(format, Format::Json | Format::Binary);
    let mut walk = Walk {
        cipher: &cipher,
        selection: &Selection::new(&metadata.rule),
        mac: Mac::new(metadata.mac_only_encrypted, rounds),
        mac_only_encrypted: metadata.mac_only_encrypted,
        comments: Comments::default(),
        path: Vec::new(),
    };
    for branch in &mut branches {
        walk.branch(branch, false)?;
    }
    let mac = walk.mac.check(&metadata, &cipher);
    let mac_problem = match (mac, policy) {
        (Ok(()), _) => None,
        (Err(problem), MacPolicy::Warn) => Some(problem),
        (Err(problem), MacPolicy::Error) => return Err(problem.into()),
    };
    Ok(Plain {
        format,
        branches,
        metadata,
        mac_problem,
    })
}

/// A file that was opened and may be written again.
pub struct Decrypted {
    /// The opened file.
    pub plain: Plain,
    /// Its documents as stored.
    pub(crate) sealed: Vec<Branch>,
    /// Its data key.
    pub(crate) data_key: Zeroizing<Vec<u8>>,
}

/// Decrypts a document and keeps what it takes to encrypt it again.
pub fn decrypt_to_change(
    document: Document,
    keyring: &Keyring,
    answers: &Answers,
    policy: MacPolicy,
) -> Result<Decrypted, Error> {
    let data_key = data_key::recover(&document.metadata, keyring, answers)?;
    let sealed = document.branches.clone();
    let plain = decrypt_with(document, &data_key, policy)?;
    Ok(Decrypted {
        plain,
        sealed,
        data_key,
    })
}

struct Walk<'a> {
    cipher: &'a Cipher,
    selection: &'a Selection,
    mac: Mac,
    mac_only_encrypted: bool,
    comments: Comments,
    path: Vec<String>,
}

impl Walk<'_> {
    fn branch(&mut self, branch: &mut Branch, under_hit: bool) -> Result<(), Error> {
        self.comments.enter();
        for item in branch {
            match item {
                Item::Comment(comment) => {
                    self.comment(comment, under_hit)?;
                }
                Item::Pair(pair) => {
                    let under_hit = under_hit || self.selection.finds_key(&pair.key);
                    self.path.push(pair.key.clone());
                    if self.node(&mut pair.node, under_hit)?.is_some() {
                        let misplaced = ErrorKind::BadValue("a comment in place of a value");
                        return Err(misplaced.at(pair.node.position).under(&self.path));
                    }
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
                    // SOPS makes an item of a list's comment that was encrypted as a string, or is empty.
                    if let Some(value) = self.comment(comment, under_hit)? {
                        *element = Element::Node(Node {
                            opened: true,
                            ..value.into()
                        });
                    }
                }
                Element::Node(node) => {
                    if let Some(text) = self.node(node, under_hit)? {
                        *element = Element::Comment(Comment {
                            text,
                            inline: false,
                        });
                    }
                    self.comments.clear();
                }
            }
        }
        self.comments.leave();
        Ok(())
    }

    /// Opens a value in place; a list stores its encrypted comments as values, and their text is handed back.
    fn node(
        &mut self,
        node: &mut Node,
        under_hit: bool,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match &mut node.value {
            Value::Map(branch) => return self.branch(branch, under_hit).map(|()| None),
            Value::List(elements) => return self.list(elements, under_hit).map(|()| None),
            Value::Null => return Ok(None),
            _ => {}
        }
        let encrypted = self
            .selection
            .encrypts(under_hit, &self.comments, Asked::Value);
        if encrypted {
            let text = node.value.as_str().ok_or(ErrorKind::NotEncrypted);
            let opened = text
                .and_then(|text| value::open(text, self.cipher, &self.associated()))
                .map_err(|kind| kind.at(node.position).under(&self.path))?;
            match opened {
                Opened::Comment(text) => return Ok(Some(text)),
                Opened::Value(value) => node.value = value,
            }
            node.written = None;
            node.opened = true;
        }
        if encrypted || !self.mac_only_encrypted {
            self.mac.add(&node.value, encrypted);
        }
        Ok(None)
    }

    /// Opens a comment in place. One that does not open is taken as plain: old versions never encrypted them. One that
    /// an old version encrypted as a string counts in the MAC, and its value is handed back.
    fn comment(&mut self, comment: &mut Comment, under_hit: bool) -> Result<Option<Value>, Error> {
        let found = self.selection.finds_comment(&comment.text);
        self.comments.add(found);
        let encrypted = self
            .selection
            .encrypts(under_hit, &self.comments, Asked::Comment);
        if !encrypted {
            return Ok(None);
        }
        let text = std::str::from_utf8(&comment.text).unwrap_or_default();
        match value::open(text, self.cipher, &self.associated()) {
            Ok(Opened::Comment(text)) => comment.text = text,
            Ok(Opened::Value(Value::Text(text))) => {
                comment.text = text.clone();
                let value = Value::Text(text);
                self.mac.add(&value, true);
                return Ok(Some(value));
            }
            Ok(Opened::Value(_)) => {
                let misplaced = ErrorKind::BadValue("a value in place of a comment");
                return Err(misplaced.error().under(&self.path));
            }
            Err(_) => {}
        }
        Ok(None)
    }

    /// What authenticates the place of a value: the keys above it, each with a colon. At the root it is the colon.
    fn associated(&self) -> String {
        associated(&self.path)
    }
}

/// What authenticates the place of a value.
pub(crate) fn associated(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}
