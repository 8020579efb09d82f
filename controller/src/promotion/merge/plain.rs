//! Values without their notation: what two versions of a file are compared by.

use std::collections::BTreeMap;

use overlay::yaml::{Child, Laid, LaidValue, Tag};

/// A value; mappings that differ only in the order of their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Plain {
    Scalar { text: String, tag: Tag },
    Alias(String),
    Sequence(Vec<Plain>),
    Mapping(BTreeMap<String, Plain>),
}

/// The value of what lies in a text.
pub(super) fn plain(laid: &Laid) -> Plain {
    match &laid.value {
        LaidValue::Scalar { text, tag, .. } => Plain::Scalar {
            text: match tag {
                Tag::Null => String::new(),
                Tag::Bool => text.to_lowercase(),
                _ => text.clone(),
            },
            tag: *tag,
        },
        LaidValue::Alias(name) => Plain::Alias(name.clone()),
        LaidValue::Sequence(found) => Plain::Sequence(
            found
                .children
                .iter()
                .map(|child| plain(&child.value))
                .collect(),
        ),
        LaidValue::Mapping(found) => {
            let entry = |child: &Child| (child.key.clone(), plain(&child.value));
            Plain::Mapping(found.children.iter().map(entry).collect())
        }
    }
}

impl Plain {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value on one line, as JSON writes it and YAML reads it.
    pub(super) fn on_one_line(&self) -> String {
        match self {
            Self::Scalar { text, tag } => match tag {
                Tag::Null => "null".to_owned(),
                Tag::Bool | Tag::Int | Tag::Float | Tag::Timestamp => text.clone(),
                Tag::Str => quoted(text),
                Tag::Binary => format!("!!binary {}", quoted(text)),
            },
            Self::Alias(name) => format!("{name} "),
            Self::Sequence(items) => {
                let items: Vec<String> = items.iter().map(Self::on_one_line).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Mapping(entries) => {
                let entry = |(key, value): (&String, &Self)| {
                    format!("{}: {}", quoted(key), value.on_one_line())
                };
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// The value as people read it: the text of a scalar, short.
    pub(super) fn shown(&self) -> String {
        const LONGEST: usize = 100;
        let text = match self {
            Self::Scalar {
                text,
                tag: Tag::Str,
            } if !text.contains('\n') && !text.is_empty() => text.clone(),
            other => other.on_one_line(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// A text as JSON writes it, which YAML reads too.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
