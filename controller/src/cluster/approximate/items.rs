//! What tells the items of a list from each other.

use serde_json::{Map, Value};

use crate::cluster::published::{ListType, Shape};

/// The fields that tell an item of a list from others, in a key of managed fields.
pub(super) fn item_keys(name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(name.strip_prefix("k:")?).ok()
}

/// How a list is merged, as far as the fields that are held in it say so.
pub(super) fn list_type(fields: &Value) -> Option<ListType> {
    let names = || fields.as_object().into_iter().flat_map(Map::keys);
    let keys = names().find_map(|name| item_keys(name));
    match keys {
        Some(keys) => Some(ListType::Map(
            keys.into_iter().map(|(key, _)| key).collect(),
        )),
        None if names().any(|name| name.starts_with("v:")) => Some(ListType::Set),
        None => None,
    }
}

/// What an item says of a key, or what the server reads where it does not.
pub(super) fn key_of(item: &Value, key: &str, shape: Option<Shape<'_>>) -> Option<Value> {
    let said = item.get(key).cloned();
    said.or_else(|| shape?.default_of(key, item.as_object()?))
}

pub(super) fn is_same_item(
    one: &Value,
    other: &Value,
    keys: &[String],
    shape: Option<Shape<'_>>,
) -> bool {
    keys.iter()
        .all(|key| key_of(one, key, shape) == key_of(other, key, shape))
}
