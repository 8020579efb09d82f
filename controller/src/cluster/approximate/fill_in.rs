//! Defaults fill the gaps that a change leaves.

use serde_json::{Map, Value};

use super::defaults::mirror;
use super::items::is_same_item;
use crate::cluster::published::{ListType, Shape};

/// Fills in defaults where a field has gone or an object is new; what the live object does without stays away.
pub(super) fn fill_in(result: &mut Value, live: Option<&Value>, shape: Shape<'_>) {
    match result {
        Value::Object(map) => {
            let was = live.filter(|_| !shape.is_whole());
            fill_map(map, was.and_then(Value::as_object), shape);
        }
        Value::Array(items) => {
            if let Some(inner) = shape.items() {
                let was = live.and_then(Value::as_array);
                fill_items(items, was, &shape.list_type(), inner);
            }
        }
        _ => {}
    }
}

fn fill_map(map: &mut Map<String, Value>, was: Option<&Map<String, Value>>, shape: Shape<'_>) {
    let is_due = |name: &str| {
        was.is_none_or(|was| was.contains_key(name) || shape.default_of(name, was).is_none())
    };
    let missing = shape.defaults(map).into_iter();
    let due: Vec<_> = missing.filter(|(name, _)| is_due(name)).collect();
    map.extend(due.into_iter().map(|(name, it)| (name.to_owned(), it)));
    if let Some(built_in) = shape.built_in() {
        mirror(built_in, map);
    }
    for (name, value) in map {
        if let Some(inner) = shape.field(name) {
            fill_in(value, was.and_then(|was| was.get(name)), inner);
        }
    }
}

/// Items of a list that is replaced as a whole are new.
fn fill_items(
    items: &mut [Value],
    was: Option<&Vec<Value>>,
    list_type: &ListType,
    shape: Shape<'_>,
) {
    for item in items {
        let before = match list_type {
            ListType::Map(keys) => {
                let is_it = |other: &&Value| is_same_item(other, item, keys, Some(shape));
                was.and_then(|was| was.iter().find(is_it))
            }
            ListType::Atomic | ListType::Set => None,
        };
        fill_in(item, before, shape);
    }
}
