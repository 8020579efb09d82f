//! Giving scalars a new text: the notation in place stays, as it decides what the text then means.

use ecow::EcoString;

use crate::error::Error;
use crate::yaml::{Dialect, Mark, Node, Scalar, Secret, Style, Tag, Value, resolve};

/// What the new text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Text, whatever it looks like.
    Text,
    /// What the notation in place makes of it: quoted is text, plain is what it reads as.
    AsWritten,
    /// A whole number, unless the scalar in place is quoted.
    Number,
}

/// Gives a scalar another text.
pub(crate) fn set(
    node: &mut Node,
    text: impl Into<EcoString>,
    meaning: Meaning,
    mark: Mark,
) -> Result<(), Error> {
    let style = match &node.value {
        Value::Scalar(scalar) => scalar.style,
        Value::Secret(secret) => secret.style,
        Value::Sequence(_) | Value::Mapping(_) => {
            return Err(
                Error::new("a list or mapping stands where text is to be set").at_mark(node.mark),
            );
        }
    };
    let text = text.into();
    let tag = match meaning {
        Meaning::Text => Tag::Str,
        _ if style != Style::Plain => Tag::Str,
        Meaning::AsWritten => resolve(&text, Dialect::Kustomize),
        Meaning::Number => Tag::Int,
    };
    // What takes a secret's place may be made of it, so it stays one.
    node.value = match node.is_secret() {
        true => Value::Secret(Secret::new(text.into(), tag, style)),
        false => Value::Scalar(Scalar { text, tag, style }),
    };
    node.mark = mark;
    Ok(())
}

/// Sets a key of a mapping to text; true when the key is new. Null stays null, as in kustomize.
pub(crate) fn set_key(node: &mut Node, key: &str, value: &Node) -> Result<bool, Error> {
    if node.is_null() {
        return Ok(false);
    }
    let mark = node.mark;
    let Some(mapping) = node.as_mapping_mut() else {
        let wanted = format!("no mapping stands where `{key}` is to be set");
        return Err(Error::new(wanted).at_mark(mark));
    };
    Ok(mapping.insert(key, value.clone()).is_none())
}

/// Text as kustomize reads a scalar that it made itself, without a type: what looks like another type is kept as
/// text, by quotes.
pub(crate) fn name(text: &str, old: Option<&Node>) -> Node {
    let mut node = old
        .cloned()
        .filter(|node| node.tag().is_some())
        .unwrap_or_else(|| Node::string(""));
    let meaning = if old.is_some() {
        Meaning::AsWritten
    } else {
        Meaning::Text
    };
    let mark = node.mark;
    // A scalar was made sure of above.
    let _ = set(&mut node, text, meaning, mark);
    node
}

/// A scalar like another, with this text. It is secret when that is asked for or the other one is.
pub(crate) fn with_text(like: &Node, text: &str, secret: bool) -> Node {
    let (tag, style) = notation(like);
    let value = if secret || like.is_secret() {
        Value::Secret(Secret::new(text.to_owned(), tag, style))
    } else {
        let text = text.into();
        Value::Scalar(Scalar { text, tag, style })
    };
    Node::from(value).at(like.mark)
}

/// The same for a text from elsewhere: it must be of the scalar's type, or the scalar is text.
pub(crate) fn typed_text(like: &Node, text: &str, secret: bool) -> Result<Node, Error> {
    let (tag, style) = notation(like);
    let found = resolve(text, Dialect::Kustomize);
    let fits = style != Style::Plain
        || matches!(tag, Tag::Str | Tag::Binary)
        || tag == found
        || (tag == Tag::Float && found == Tag::Int);
    if fits {
        return Ok(with_text(like, text, secret));
    }
    Err(Error::new(format!(
        "{} cannot take the place of {}",
        kind_of(found),
        kind_of(tag)
    ))
    .at_mark(like.mark)
    .hint("put the value that is replaced in quotes"))
}

fn notation(node: &Node) -> (Tag, Style) {
    match &node.value {
        Value::Scalar(scalar) => (scalar.tag, scalar.style),
        Value::Secret(secret) => (secret.tag, secret.style),
        Value::Sequence(_) | Value::Mapping(_) => (Tag::Str, Style::Plain),
    }
}

fn kind_of(tag: Tag) -> &'static str {
    match tag {
        Tag::Null => "nothing",
        Tag::Bool => "a truth value",
        Tag::Int => "a whole number",
        Tag::Float => "a number",
        Tag::Timestamp => "a time",
        Tag::Str | Tag::Binary => "text",
    }
}
