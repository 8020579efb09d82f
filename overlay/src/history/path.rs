//! The path of a field, printed as `replacements` and `weir build --why` read it.

use std::fmt;

use ecow::EcoString;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// A key of a mapping.
    Key(EcoString),
    /// An item of a list.
    Item {
        /// Its position.
        index: usize,
        /// Its `name`, where each item of the list has one of its own.
        name: Option<EcoString>,
    },
}

/// The way from an object to one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<PathPart>);

impl FieldPath {
    /// True when the field is the one that was asked for, or lies below it. Items are asked for by position, or all
    /// of them by `*`.
    pub(super) fn is_within(&self, asked: &[EcoString]) -> bool {
        let same = |(part, asked): (&PathPart, &EcoString)| match part {
            PathPart::Key(key) => key == asked,
            PathPart::Item { index, .. } => asked == "*" || asked.parse() == Ok(*index),
        };
        asked.len() <= self.0.len() && self.0.iter().zip(asked).all(same)
    }
}

impl fmt::Display for FieldPath {
    /// `spec.template.spec.containers.[name=shop].image`; keys with dots in brackets, nameless items by position.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(".")?;
            }
            match part {
                PathPart::Key(key) if key.contains('.') && !key.contains(['=', '[', ']']) => {
                    write!(f, "[{key}]")?;
                }
                PathPart::Key(key) => f.write_str(&key.replace(".", "\\."))?,
                PathPart::Item {
                    name: Some(name), ..
                } => write!(f, "[name={name}]")?,
                PathPart::Item { index, .. } => write!(f, "{index}")?,
            }
        }
        Ok(())
    }
}
