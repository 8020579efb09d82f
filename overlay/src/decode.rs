//! Typed values out of nodes: every mistake is collected with its place, and a near miss gets a hint.

use std::collections::BTreeMap;

use ecow::EcoString;

use crate::error::{Error, Errors, Mistakes};
use crate::suggest::nearest;
use crate::yaml::{Mark, Node, Secrets, Tag, Value, to_json};

/// How strict the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A kustomization file: an unknown field is an error, and text must be text.
    File,
    /// A transformer configuration: an unknown field is an error, numbers and truth values may stand for text.
    Configuration,
    /// The object that configures a built-in transformer or generator: unknown fields are passed over.
    Object,
}

/// Reads values and collects what is wrong with them.
pub(crate) struct Decoder {
    rules: Rules,
    /// What was wrong.
    pub errors: Vec<Error>,
    path: Vec<String>,
}

/// A value that a node can be read as. A null reads as the default; so does a mistake, which is collected.
pub(crate) trait Decode: Sized + Default {
    /// Reads the node.
    fn decode(node: &Node, decoder: &mut Decoder) -> Self;
}

/// Reads a whole node as one value.
pub(crate) fn decode<T: Decode>(node: &Node, rules: Rules) -> Result<T, Errors> {
    let mut mistakes = Mistakes::default();
    let value = decode_rest(node, rules, &mut mistakes);
    mistakes.or(value)
}

/// The same with what can be read in spite of mistakes.
pub(crate) fn decode_rest<T: Decode>(node: &Node, rules: Rules, mistakes: &mut Mistakes) -> T {
    let mut decoder = Decoder {
        rules,
        errors: Vec::new(),
        path: Vec::new(),
    };
    let value = T::decode(node, &mut decoder);
    mistakes.0.append(&mut decoder.errors);
    value
}

impl Decoder {
    /// Collects a mistake.
    pub(crate) fn wrong(&mut self, mark: Mark, error: Error) {
        let error = self
            .path
            .iter()
            .rev()
            .fold(error.at_mark(mark), |error, part| error.during(part));
        self.errors.push(error);
    }

    /// Reads below a field or an entry, which mistakes there then name.
    fn inside<T>(&mut self, part: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part);
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads an item of the list that the path ends with.
    fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let list = self.path.pop().unwrap_or_default();
        let value = self.inside(format!("{list}[{index}]"), read);
        self.path.push(list);
        value
    }

    fn expected(&mut self, node: &Node, wanted: &str) {
        if !node.is_null() {
            let found = describe(node);
            self.wrong(
                node.mark,
                Error::new(format!("{wanted} is wanted here, not {found}")),
            );
        }
    }

    /// Gives each known field of a mapping to `read`, by its proper name. As in JSON read by Go, case does not count.
    pub(crate) fn each_field(
        &mut self,
        node: &Node,
        known: &[&'static str],
        mut read: impl FnMut(&'static str, &Node, &mut Self),
    ) {
        let Some(mapping) = node.as_mapping() else {
            return self.expected(node, "a mapping");
        };
        for (key, value) in mapping.iter() {
            let exact = known.iter().find(|name| **name == key.text);
            let found = exact.or_else(|| {
                known
                    .iter()
                    .find(|name| name.eq_ignore_ascii_case(&key.text))
            });
            match found {
                Some(name) => self.inside((*name).to_owned(), |decoder| read(name, value, decoder)),
                None if self.rules == Rules::Object => {}
                None => {
                    let mut error = Error::new(format!("there is no field `{}`", key.text));
                    if let Some(near) = nearest(&key.text, known) {
                        error = error.hint(format!("did you mean `{near}`?"));
                    }
                    self.wrong(key.mark, error);
                }
            }
        }
    }
}

/// What a node is, for messages; never its text.
fn describe(node: &Node) -> &'static str {
    match &node.value {
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Scalar(_) | Value::Secret(_) => match node.tag() {
            Some(Tag::Bool) => "a truth value",
            Some(Tag::Int | Tag::Float) => "a number",
            Some(Tag::Null) => "nothing",
            _ => "text",
        },
    }
}

/// Text and the place where it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text.
    pub text: EcoString,
    /// Where it was written.
    pub mark: Mark,
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            text: text.into(),
            mark: Mark::default(),
        }
    }
}

impl Text {
    /// As a node that says where it came from.
    pub(crate) fn node(&self) -> Node {
        Node::string(self.text.clone()).at(self.mark)
    }
}

impl Decode for Text {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        let text = match (node.tag(), node.exposed()) {
            (Some(Tag::Str | Tag::Timestamp | Tag::Binary), Some(text)) => text.into(),
            (Some(Tag::Bool | Tag::Int | Tag::Float), Some(_)) if decoder.rules != Rules::File => {
                canonical(node)
            }
            _ => {
                let mut wanted = "text";
                if matches!(node.tag(), Some(Tag::Bool | Tag::Int | Tag::Float)) {
                    wanted = "text (in quotes)";
                }
                decoder.expected(node, wanted);
                EcoString::new()
            }
        };
        Self {
            text,
            mark: node.mark,
        }
    }
}

impl Decode for EcoString {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        Text::decode(node, decoder).text
    }
}

impl Decode for bool {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        if node.tag() != Some(Tag::Bool) {
            decoder.expected(node, "true or false");
        }
        node.tag() == Some(Tag::Bool) && canonical(node) == "true"
    }
}

impl Decode for i64 {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        if node.tag() == Some(Tag::Int)
            && let Ok(number) = canonical(node).parse()
        {
            return number;
        }
        decoder.expected(node, "a whole number");
        0
    }
}

impl Decode for Option<Node> {
    fn decode(node: &Node, _: &mut Decoder) -> Self {
        (!node.is_null()).then(|| node.clone())
    }
}

impl<T: Decode + Fielded> Decode for Option<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        (!node.is_null()).then(|| T::decode(node, decoder))
    }
}

impl<T: Decode> Decode for Option<Vec<T>> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        (!node.is_null()).then(|| Vec::decode(node, decoder))
    }
}

impl Decode for Option<Text> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        (!node.is_null()).then(|| Text::decode(node, decoder))
    }
}

/// A value read from the fields of a mapping; see [`fields!`].
pub(crate) trait Fielded {}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        let Some(items) = node.as_sequence() else {
            decoder.expected(node, "a list");
            return Self::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| decoder.at_index(index, |decoder| T::decode(item, decoder)))
            .collect()
    }
}

impl<T: Decode> Decode for BTreeMap<EcoString, T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Self {
        let Some(mapping) = node.as_mapping() else {
            decoder.expected(node, "a mapping");
            return Self::new();
        };
        mapping
            .iter()
            .map(|(key, value)| {
                let value =
                    decoder.inside(key.text.to_string(), |decoder| T::decode(value, decoder));
                (key.text.clone(), value)
            })
            .collect()
    }
}

/// A scalar's text as JSON has it: `0x10` is `16`.
fn canonical(node: &Node) -> EcoString {
    match to_json(node, Secrets::Revealed) {
        serde_json::Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// Makes a struct readable from a mapping: `fields!(Patch { "path" => path, … })`. Its `mark` says where the mapping
/// stands, unless it has none: `fields!(Label unmarked { … })`.
macro_rules! fields {
    ($type:ident { $($name:literal => $field:ident),* $(,)? }) => {
        $crate::decode::fields!(@ $type, |node| $type { mark: node.mark, ..$type::default() }, { $($name => $field),* });
    };
    ($type:ident unmarked { $($name:literal => $field:ident),* $(,)? }) => {
        $crate::decode::fields!(@ $type, |_node| $type::default(), { $($name => $field),* });
    };
    (@ $type:ident, $start:expr, { $($name:literal => $field:ident),* }) => {
        impl $crate::decode::Fielded for $type {}

        impl $crate::decode::Decode for $type {
            fn decode(
                node: &$crate::yaml::Node,
                decoder: &mut $crate::decode::Decoder,
            ) -> Self {
                let start: fn(&$crate::yaml::Node) -> Self = $start;
                let mut value = start(node);
                decoder.each_field(node, &[$($name),*], |name, node, decoder| match name {
                    $($name => value.$field = $crate::decode::Decode::decode(node, decoder),)*
                    _ => {}
                });
                value
            }
        }
    };
}
pub(crate) use fields;
