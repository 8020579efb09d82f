//! What is wanted is put into a live object, item by item or as a whole.

use serde_json::{Map, Value};

use super::items::{is_same_item, list_type};
use super::quantity::canonical;
use super::united::united;
use crate::cluster::held_fields;
use crate::cluster::published::{ListType, Shape};

/// What is wanted is put in with this.
pub(super) struct PutIn {
    /// Whether the server publishes anything of the kind.
    pub(super) is_published: bool,
}

impl PutIn {
    /// `fields` is what anybody holds there, `shape` what is published of it.
    pub(super) fn put_in(
        &self,
        result: &mut Value,
        wanted: &Value,
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) {
        match (result, wanted) {
            (Value::Object(map), Value::Object(wanted)) if !self.is_whole(fields, shape) => {
                for (name, wanted) in wanted {
                    let below = &fields[format!("f:{name}")];
                    self.put_in_field(map, name, wanted, below, shape);
                }
            }
            (Value::Array(items), Value::Array(wanted)) => {
                self.put_in_list(items, wanted, fields, shape);
            }
            (there, wanted) => *there = written(wanted, Some(there), shape),
        }
    }

    fn put_in_field(
        &self,
        map: &mut Map<String, Value>,
        name: &str,
        wanted: &Value,
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) {
        let inner = shape.and_then(|shape| shape.field(name));
        match map.get_mut(name) {
            Some(there) => self.put_in(there, wanted, fields, inner),
            // What is wanted to be nothing is not there.
            None if wanted.is_null() => {}
            // It was sent, and is not there: the server does not write it.
            None if !fields.is_null() && is_dropped(name, wanted, shape) => {}
            None => drop(map.insert(name.to_owned(), written(wanted, None, inner))),
        }
    }

    /// Whether a map is replaced as a whole. Without a schema, one of which somebody holds no fields is.
    fn is_whole(&self, fields: &Value, shape: Option<Shape<'_>>) -> bool {
        match shape {
            Some(shape) => shape.is_whole(),
            None => !self.is_published && fields.as_object().is_some_and(Map::is_empty),
        }
    }

    fn put_in_list(
        &self,
        items: &mut Vec<Value>,
        wanted: &[Value],
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) {
        let inner = shape.and_then(Shape::items);
        match list_type(fields).or_else(|| shape.map(Shape::list_type)) {
            Some(ListType::Map(keys)) => {
                let same = |one: &Value, other: &Value| is_same_item(one, other, &keys, inner);
                *items = united(items, wanted, same, |there, wanted| {
                    self.item(there, wanted, fields, inner)
                });
            }
            Some(ListType::Set) => {
                let same = |one: &Value, other: &Value| one == other;
                *items = united(items, wanted, same, |_, wanted| wanted.clone());
            }
            Some(ListType::Atomic) => *items = written_items(items, wanted, inner),
            // Nothing is known but that nobody holds items of it: what was filled in cannot be told from what goes.
            None if self.is_published || !covers(items, wanted) => *items = wanted.to_vec(),
            None => {}
        }
    }

    fn item(
        &self,
        there: Option<&Value>,
        wanted: &Value,
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) -> Value {
        let Some(there) = there else {
            return written(wanted, None, shape);
        };
        let mut names = fields.as_object().into_iter().flat_map(Map::keys);
        let name = names.find(|name| held_fields::names(name, there));
        let below = name.map_or(&Value::Null, |name| &fields[name.as_str()]);
        let mut item = there.clone();
        self.put_in(&mut item, wanted, below, shape);
        item
    }
}

/// A value as the server writes it where it replaces another one as a whole.
fn written(wanted: &Value, there: Option<&Value>, shape: Option<Shape<'_>>) -> Value {
    match wanted {
        Value::Object(map) => {
            let other = |name: &str| there.and_then(|there| there.get(name));
            let is_missing = |name: &str| there.is_some() && other(name).is_none();
            let stays =
                |name: &str, value: &Value| !(is_missing(name) && is_dropped(name, value, shape));
            let kept = map.iter().filter(|(name, value)| stays(name, value));
            let field = |(name, value): (&String, &Value)| {
                let inner = shape.and_then(|shape| shape.field(name));
                (name.clone(), written(value, other(name), inner))
            };
            Value::Object(kept.map(field).collect())
        }
        Value::Array(items) => {
            let others = there.and_then(Value::as_array);
            let others = others.map_or(&[][..], Vec::as_slice);
            Value::Array(written_items(others, items, shape.and_then(Shape::items)))
        }
        scalar if shape.is_some_and(Shape::is_quantity) => quantity(scalar),
        scalar => scalar.clone(),
    }
}

fn written_items(there: &[Value], wanted: &[Value], shape: Option<Shape<'_>>) -> Vec<Value> {
    let items = wanted.iter().enumerate();
    items
        .map(|(at, item)| written(item, there.get(at), shape))
        .collect()
}

fn quantity(value: &Value) -> Value {
    let form = match value {
        Value::String(text) => canonical(text),
        Value::Number(number) => canonical(&number.to_string()),
        _ => None,
    };
    form.map_or_else(|| value.clone(), Value::String)
}

/// Whether a field is empty and of a type of Kubernetes' own, many of which leave such fields out.
fn is_dropped(name: &str, value: &Value, shape: Option<Shape<'_>>) -> bool {
    let is_empty = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    };
    is_empty && shape.is_none_or(|shape| shape.built_in().is_some() && shape.names(name))
}

/// Whether a list is what is wanted, with more filled in.
fn covers(items: &[Value], wanted: &[Value]) -> bool {
    let pairs = || items.iter().zip(wanted);
    items.len() == wanted.len() && pairs().all(|(item, wanted)| holds(item, wanted))
}

fn holds(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| there.get(key).is_some_and(|there| holds(there, value))),
        (Value::Array(there), Value::Array(wanted)) => covers(there, wanted),
        (there, wanted) => there == wanted,
    }
}
