//! The node: a scalar, a secret scalar, a sequence or a mapping, with the place it was read from.
//!
//! Collections are shared until changed, so a clone costs a counter. A secret is a variant of its own: code
//! that asks for text ([`Node::as_str`]) does not get it, and every printer writes `***`.

use std::fmt;
use std::sync::Arc;

use ecow::EcoString;
use zeroize::Zeroizing;

/// Where a node was read: a file of the build (its number in the reader's list), line and column, from 1.
/// All zero for nodes that no file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1; the last column is 65,535.
    pub column: u16,
    /// Which file, as the build numbers them; 0 is "none".
    pub file: u16,
}

/// What a scalar is, after resolution or by an explicit tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `~`, `null` or nothing.
    Null,
    /// A truth value.
    Bool,
    /// An integer in any of the dialect's notations; the text is as written.
    Int,
    /// A floating-point number; the text is as written.
    Float,
    /// Text.
    Str,
    /// A date or time.
    Timestamp,
    /// `!!binary`; the text is base64.
    Binary,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes.
    #[default]
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`.
    Double,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

/// A scalar that anyone may read. The text is the scalar's value (unescaped), not its notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The value as text; for plain scalars as written (`0755` stays `0755`).
    pub text: EcoString,
    /// Its type.
    pub tag: Tag,
    /// How it was written.
    pub style: Style,
}

/// A scalar that came out of an encrypted file, or has a part that did. Wiped when the last owner goes.
#[derive(Clone)]
pub struct Secret {
    text: Arc<Zeroizing<String>>,
    /// Its type.
    pub tag: Tag,
    /// How it was written.
    pub style: Style,
}

impl Secret {
    /// Seals a text.
    pub fn new(text: String, tag: Tag, style: Style) -> Self {
        Self {
            text: Arc::new(Zeroizing::new(text)),
            tag,
            style,
        }
    }

    /// The plaintext. Only the composer's own merging and hashing, the apply serializer and
    /// `weir secrets decrypt` may call this; a printer never does.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag && *self.text == *other.text
    }
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A scalar.
    Scalar(Scalar),
    /// A scalar that no printer shows.
    Secret(Secret),
    /// A list.
    Sequence(Arc<Vec<Node>>),
    /// A mapping with string keys, in the order written.
    Mapping(Arc<Mapping>),
}

/// A YAML value and where it was read.
#[derive(Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was read.
    pub mark: Mark,
}

/// A mapping's key. Keys are text; the reader refuses others, as Kubernetes does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The text.
    pub text: EcoString,
    /// Where it was read.
    pub mark: Mark,
}

/// Keys and values in the order written. Keys are unique; lookups walk the list, which is short in manifests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    entries: Vec<(Key, Node)>,
}

/// Equality is by value; places do not count.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(scalar) => write!(f, "{:?}", scalar.text),
            Value::Secret(_) => f.write_str("***"),
            Value::Sequence(items) => f.debug_list().entries(items.iter()).finish(),
            Value::Mapping(mapping) => f
                .debug_map()
                .entries(
                    mapping
                        .iter()
                        .map(|(key, value)| (key.text.as_str(), value)),
                )
                .finish(),
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl Node {
    /// A text scalar.
    pub fn string(text: impl Into<EcoString>) -> Self {
        Self::scalar(text, Tag::Str)
    }

    /// A scalar of a given type.
    pub fn scalar(text: impl Into<EcoString>, tag: Tag) -> Self {
        Value::Scalar(Scalar {
            text: text.into(),
            tag,
            style: Style::Plain,
        })
        .into()
    }

    /// The null scalar.
    pub fn null() -> Self {
        Self::scalar("null", Tag::Null)
    }

    /// An empty mapping.
    pub fn mapping() -> Self {
        Value::Mapping(Arc::default()).into()
    }

    /// A list.
    pub fn sequence(items: Vec<Node>) -> Self {
        Value::Sequence(Arc::new(items)).into()
    }

    /// The same node, said to come from there.
    #[must_use]
    pub fn at(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    /// The text of a scalar of any type that is not secret.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of any scalar, secret ones included: for merging, hashing and substitution, never for printing.
    pub(crate) fn exposed(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::Secret(secret) => Some(secret.expose()),
            _ => None,
        }
    }

    /// The type of a scalar.
    pub fn tag(&self) -> Option<Tag> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar.tag),
            Value::Secret(secret) => Some(secret.tag),
            _ => None,
        }
    }

    /// True for the null scalar.
    pub fn is_null(&self) -> bool {
        self.tag() == Some(Tag::Null)
    }

    /// True when this scalar is secret; says nothing of what a collection holds.
    pub fn is_secret(&self) -> bool {
        matches!(self.value, Value::Secret(_))
    }

    /// True when this scalar, or any scalar below, is secret.
    pub fn holds_secret(&self) -> bool {
        match &self.value {
            Value::Scalar(_) => false,
            Value::Secret(_) => true,
            Value::Sequence(items) => items.iter().any(Node::holds_secret),
            Value::Mapping(mapping) => mapping.iter().any(|(_, value)| value.holds_secret()),
        }
    }

    /// The items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a list, to change.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.value {
            Value::Sequence(items) => Some(Arc::make_mut(items)),
            _ => None,
        }
    }

    /// The mapping.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The mapping, to change.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.value {
            Value::Mapping(mapping) => Some(Arc::make_mut(mapping)),
            _ => None,
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.get(key)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_mapping_mut()?.get_mut(key)
    }

    /// The node at the end of a path of keys.
    pub fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text at the end of a path of keys, when it is a scalar and not secret.
    pub fn find_str(&self, path: &[&str]) -> Option<&str> {
        self.find(path)?.as_str()
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self {
            value,
            mark: Mark::default(),
        }
    }
}

impl From<Mapping> for Node {
    fn from(mapping: Mapping) -> Self {
        Value::Mapping(Arc::new(mapping)).into()
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self {
            text: text.into(),
            mark: Mark::default(),
        }
    }
}

impl Mapping {
    /// How many keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Node)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// Keys and values in order, the values to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Key, &mut Node)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The same, with the keys to change.
    pub(crate) fn entries_mut(&mut self) -> impl ExactSizeIterator<Item = (&mut Key, &mut Node)> {
        self.entries.iter_mut().map(|(key, value)| (key, value))
    }

    /// A key as written, and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        let found = self.entries.iter().find(|(have, _)| have.text == key);
        found.map(|(have, value)| (have, value))
    }

    /// True when the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(have, _)| have.text == key)
            .map(|(_, value)| value)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|(have, _)| have.text == key)
            .map(|(_, value)| value)
    }

    /// The key as written, with its place.
    pub fn key(&self, key: &str) -> Option<&Key> {
        self.entries
            .iter()
            .find(|(have, _)| have.text == key)
            .map(|(have, _)| have)
    }

    /// Sets a key, in its place when it is there, else at the end; gives back the old value.
    pub fn insert(&mut self, key: impl Into<Key>, value: Node) -> Option<Node> {
        let key = key.into();
        match self.get_mut(&key.text) {
            Some(slot) => Some(std::mem::replace(slot, value)),
            None => {
                self.entries.push((key, value));
                None
            }
        }
    }

    /// Entries whose keys are known to be unique.
    pub(super) fn from_entries(entries: Vec<(Key, Node)>) -> Self {
        Self { entries }
    }

    /// Adds a key that is known not to be there: for readers that have checked.
    pub fn push(&mut self, key: Key, value: Node) {
        self.entries.push((key, value));
    }

    /// Removes a key and gives back its value; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(have, _)| have.text == key)?;
        Some(self.entries.remove(index).1)
    }

    /// The value of a key, put there by `make` when it is missing.
    pub fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> Node) -> &mut Node {
        let index = match self.entries.iter().position(|(have, _)| have.text == key) {
            Some(index) => index,
            None => {
                self.entries.push((key.into(), make()));
                self.entries.len() - 1
            }
        };
        &mut self.entries[index].1
    }

    /// Keeps the entries that the test accepts.
    pub fn retain(&mut self, mut test: impl FnMut(&Key, &mut Node) -> bool) {
        self.entries.retain_mut(|(key, value)| test(key, value));
    }
}
