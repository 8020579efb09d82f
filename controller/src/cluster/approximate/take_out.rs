//! What we hold, want no more and nobody else holds is taken out of a live object.

use serde_json::{Map, Value};

use super::items::{item_keys, key_of};
use crate::cluster::held_fields;
use crate::cluster::managed_fields::is_held_by_another;
use crate::cluster::published::Shape;

/// Takes out what we hold, want no more, and nobody else holds.
pub(super) struct Gone<'a> {
    pub(super) live: &'a Value,
}

impl Gone<'_> {
    pub(super) fn take_out(
        &self,
        result: &mut Value,
        own: &Value,
        wanted: Option<&Value>,
        shape: Option<Shape<'_>>,
        path: &mut Vec<String>,
    ) {
        // What tells an item from others stays as long as the item does.
        let own_keys = path.last().and_then(|name| item_keys(name));
        let is_key = |name: &str| {
            let keys = own_keys.iter().flat_map(Map::keys);
            name.strip_prefix("f:")
                .is_some_and(|field| keys.into_iter().any(|key| key == field))
        };
        let fields = own.as_object().into_iter().flatten();
        for (name, below) in fields.filter(|(name, _)| *name != "." && !is_key(name)) {
            path.push(name.clone());
            let wanted = wanted.and_then(|wanted| wanted_part(wanted, name, shape));
            let shape = shape.and_then(|shape| match name.strip_prefix("f:") {
                Some(field) => shape.field(field),
                None => shape.items(),
            });
            if wanted.is_none() && !is_held_by_another(self.live, path) {
                // With all that is in it: what was filled in there had no other reason.
                remove(result, name);
            } else if let Some(inner) = part_mut(result, name) {
                self.take_out(inner, below, wanted, shape, path);
            }
            path.pop();
        }
    }
}

/// What a key of managed fields means in what is wanted, where a key field with a default may be left out.
fn wanted_part<'v>(value: &'v Value, name: &str, shape: Option<Shape<'_>>) -> Option<&'v Value> {
    match (name.strip_prefix("f:"), item_keys(name), value) {
        (Some(field), _, Value::Object(map)) => map.get(field),
        (None, Some(keys), Value::Array(items)) => {
            let inner = shape.and_then(Shape::items);
            let has = |item: &Value, key: &str, value: &Value| {
                key_of(item, key, inner).as_ref() == Some(value)
            };
            let is_it = |item: &&Value| keys.iter().all(|(key, value)| has(item, key, value));
            items.iter().find(is_it)
        }
        (None, None, Value::Array(items)) => items.get(position(items, name)?),
        _ => None,
    }
}

/// What a key of managed fields means in a value: `f:` a field, `k:` an item by its keys, `v:` one by its value.
fn part_mut<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match (name.strip_prefix("f:"), value) {
        (Some(field), Value::Object(map)) => map.get_mut(field),
        (None, Value::Array(items)) => {
            let at = position(items, name)?;
            items.get_mut(at)
        }
        _ => None,
    }
}

fn remove(value: &mut Value, name: &str) {
    match (name.strip_prefix("f:"), value) {
        (Some(field), Value::Object(map)) => drop(map.remove(field)),
        (None, Value::Array(items)) => {
            if let Some(at) = position(items, name) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

fn position(items: &[Value], name: &str) -> Option<usize> {
    items.iter().position(|item| held_fields::names(name, item))
}
