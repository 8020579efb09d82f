//! The content of a file without regard to its format: ordered branches of items, values and comments.

use zeroize::Zeroizing;

use crate::error::Position;
use crate::time::Time;

/// The items of one mapping, in file order, duplicates kept where the format allows them.
pub type Branch = Vec<Item>;

/// What stands in a mapping.
#[derive(Clone, PartialEq)]
pub enum Item {
    /// A comment line, without its `#`.
    Comment(Comment),
    /// A key and its value.
    Pair(Pair),
}

/// A key and its value.
#[derive(Clone, PartialEq)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// The value.
    pub node: Node,
}

/// What stands in a list.
#[derive(Clone, PartialEq)]
pub enum Element {
    /// A comment line, without its `#`.
    Comment(Comment),
    /// A value.
    Node(Node),
}

/// One line of comment, without its `#`.
#[derive(Clone, PartialEq)]
pub struct Comment {
    /// The text after the `#`; an encrypted one is an `ENC[…]` value.
    pub text: Zeroizing<Vec<u8>>,
    /// It stood behind a value on the same line, and belongs to the item that follows it in the branch.
    pub inline: bool,
}

/// A value and where it was read.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was read.
    pub position: Position,
    /// It was encrypted, and is plain now.
    pub opened: bool,
    /// How an unencrypted number or time was written in YAML, where that is not its canonical text.
    pub written: Option<Box<str>>,
}

/// A value of one of the types that SOPS knows.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A point in time.
    Time(Time),
    /// Text; encrypted values may hold bytes that are not UTF-8.
    Text(Zeroizing<Vec<u8>>),
    /// A list.
    List(Vec<Element>),
    /// A mapping.
    Map(Branch),
}

impl Value {
    /// Text from a string.
    pub fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// The text, when it is text and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self {
            value,
            position: Position::default(),
            opened: false,
            written: None,
        }
    }
}

impl Item {
    /// A key and its value.
    pub fn pair(key: impl Into<String>, value: impl Into<Node>) -> Self {
        Self::Pair(Pair {
            key: key.into(),
            node: value.into(),
        })
    }

    /// A comment on a line of its own.
    pub fn comment(text: &[u8]) -> Self {
        Self::Comment(Comment::new(text, false))
    }
}

impl Comment {
    /// A comment without its `#`.
    pub fn new(text: &[u8], inline: bool) -> Self {
        Self {
            text: Zeroizing::new(text.to_vec()),
            inline,
        }
    }
}

/// The pairs of a branch, without its comments.
pub fn pairs(branch: &[Item]) -> impl Iterator<Item = &Pair> {
    branch.iter().filter_map(|item| match item {
        Item::Pair(pair) => Some(pair),
        Item::Comment(_) => None,
    })
}
