//! Defaults fill the gaps that a change leaves.

use serde_json::Value;

use super::defaults::mirror;
use super::items::is_same_item;
use crate::cluster::published::{ListType, Shape};

/// Fills in defaults where a field has gone or an object is new; what the live object does without stays away.
pub(super) fn fill_in(result: &mut Value, live: Option<&Value>, shape: Shape<'_>) {
    match result {
        Value::Object(map) => {
            let was = live
                .filter(|_| !shape.is_whole())
                .and_then(Value::as_object);
            let is_due = |name: &str| {
                was.is_none_or(|was| {
                    was.contains_key(name) || shape.default_of(name, was).is_none()
                })
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
        Value::Array(items) => {
            let keys = match shape.list_type() {
                ListType::Map(keys) => keys,
                ListType::Atomic | ListType::Set => Vec::new(),
            };
            let others = live.filter(|_| !keys.is_empty()).and_then(Value::as_array);
            for (item, inner) in items.iter_mut().zip(std::iter::repeat(shape.items())) {
                let Some(inner) = inner else { return };
                let is_it = |other: &&Value| is_same_item(other, item, &keys, Some(inner));
                let was = others.and_then(|others| others.iter().find(is_it));
                fill_in(item, was, inner);
            }
        }
        _ => {}
    }
}
