//! Kinds as data: which fields they have, and what these hold.

use std::collections::{BTreeMap, HashMap};

use overlay::ObjectId;

use super::bounds::Bounds;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Anything at all.
    Any,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A truth value.
    Boolean,
    /// A whole number, or text.
    IntegerOrText,
    /// A number, or text: `500m`.
    Quantity,
    /// A list.
    List(Box<Type>),
    /// A mapping with any keys.
    Map(Box<Type>),
    /// A mapping with these fields.
    Fields(Box<Fields>),
    /// The same, by the name in the table.
    Named(String),
    /// Text or a whole number, of which only these are allowed.
    OneOf(Box<Type>, Vec<String>),
    /// Of these, what is within bounds.
    Bound(Box<Type>, Box<Bounds>),
}

/// A field of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) kind: Type,
    /// An object without it is refused; fields that the API server fills in itself are not required.
    pub(super) is_required: bool,
    pub(super) null: Null,
}

/// What `null` in a field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Null {
    /// The same as leaving it out.
    LeftOut,
    /// A value like others.
    Value,
    /// It is refused.
    Refused,
}

/// The fields of a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) known: BTreeMap<String, Field>,
    /// Others are kept, too.
    pub(super) is_open: bool,
}

impl Field {
    /// A field that may be left out.
    pub(super) fn optional(kind: Type) -> Self {
        Self {
            kind,
            is_required: false,
            null: Null::LeftOut,
        }
    }
}

/// All kinds that are known.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    /// `apiVersion` and kind → what the whole object is.
    pub(super) kinds: HashMap<(String, String), Type>,
    /// Mappings of the table, by name.
    pub(super) named: HashMap<String, Fields>,
}

impl Schemas {
    /// What an object of this kind is.
    pub(super) fn of(&self, id: &ObjectId) -> Option<&Type> {
        let version = match id.group.as_str() {
            "" => id.version.clone(),
            group => format!("{group}/{}", id.version),
        };
        self.kinds.get(&(version, id.kind.clone()))
    }

    /// The fields of a mapping, when it has certain ones.
    pub(super) fn fields<'a>(&'a self, kind: &'a Type) -> Option<&'a Fields> {
        match kind {
            Type::Fields(fields) => Some(fields),
            Type::Named(name) => self.named.get(name),
            Type::Bound(kind, _) => self.fields(kind),
            _ => None,
        }
    }
}
