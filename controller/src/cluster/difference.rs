//! Which leaves of two JSON objects differ: list items paired by the key that names them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keys that name the items of a list, best first: the first that all items have, each with its own value.
const ITEM_KEYS: [&str; 9] = [
    "name",
    "mountPath",
    "containerPort",
    "port",
    "key",
    "topologyKey",
    "type",
    "ip",
    "uid",
];

/// One leaf that differs.
#[derive(Clone, Debug)]
pub struct Difference<'a> {
    /// Where: `spec.template.spec.containers[api].image`.
    pub path: String,
    /// The same with `[]` for every list item.
    pub general: String,
    /// What is there before; none when it is added.
    pub before: Option<&'a Value>,
    /// What is there after; none when it is removed.
    pub after: Option<&'a Value>,
}

impl<'a> Difference<'a> {
    /// Both sides.
    pub fn sides(&self) -> [Option<&'a Value>; 2] {
        [self.before, self.after]
    }
}

/// The leaves in which two objects differ, in the order of the first.
pub fn differences<'a>(before: &'a Value, after: &'a Value) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    compare(&Place::default(), Some(before), Some(after), &mut found);
    found
}

/// The part of an object that people mean when they speak of its content.
pub fn shown_part(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(root) = object.as_object_mut() {
        root.remove("status");
        if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| key == "labels" || key == "annotations");
        }
    }
    object
}

/// Where the comparison is: the path to show, and the path with list items made alike.
#[derive(Clone, Default)]
struct Place {
    path: String,
    general: String,
}

impl Place {
    fn key(&self, key: &str) -> Self {
        Self {
            path: join(&self.path, key),
            general: join(&self.general, key),
        }
    }

    fn item(&self, name: &str) -> Self {
        Self {
            path: format!("{}[{name}]", self.path),
            general: format!("{}[]", self.general),
        }
    }
}

/// A path and one key more, in quotes where it would be read as several.
pub(crate) fn join(path: &str, key: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let key = if !key.is_empty() && key.chars().all(plain) {
        key.to_owned()
    } else {
        format!("\"{key}\"")
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

fn compare<'a>(
    place: &Place,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
    found: &mut Vec<Difference<'a>>,
) {
    if before == after {
        return;
    }
    let maps = (
        before.map_or(Some(None), as_map),
        after.map_or(Some(None), as_map),
    );
    let lists = (
        before.map_or(Some(None), as_list),
        after.map_or(Some(None), as_list),
    );
    if let (Some(left), Some(right)) = maps
        && !both_empty(left.map(Map::len), right.map(Map::len))
    {
        compare_maps(place, left, right, found);
    } else if let (Some(left), Some(right)) = lists
        && !both_empty(left.map(Vec::len), right.map(Vec::len))
    {
        compare_lists(place, left, right, found);
    } else {
        found.push(Difference {
            path: place.path.clone(),
            general: place.general.clone(),
            before,
            after,
        });
    }
}

/// A collection that appears or goes without holding anything is a leaf.
fn both_empty(left: Option<usize>, right: Option<usize>) -> bool {
    left.unwrap_or(0) == 0 && right.unwrap_or(0) == 0
}

fn as_map(value: &Value) -> Option<Option<&Map<String, Value>>> {
    value.as_object().map(Some)
}

fn as_list(value: &Value) -> Option<Option<&Vec<Value>>> {
    value.as_array().map(Some)
}

fn compare_maps<'a>(
    place: &Place,
    before: Option<&'a Map<String, Value>>,
    after: Option<&'a Map<String, Value>>,
    found: &mut Vec<Difference<'a>>,
) {
    let other = |key: &str| after.and_then(|after| after.get(key));
    for (key, value) in before.into_iter().flatten() {
        compare(&place.key(key), Some(value), other(key), found);
    }
    let is_new = |key: &String| before.is_none_or(|before| !before.contains_key(key));
    for (key, value) in after.into_iter().flatten().filter(|(key, _)| is_new(key)) {
        compare(&place.key(key), None, Some(value), found);
    }
}

fn compare_lists<'a>(
    place: &Place,
    before: Option<&'a Vec<Value>>,
    after: Option<&'a Vec<Value>>,
    found: &mut Vec<Difference<'a>>,
) {
    let before = before.map_or(&[][..], Vec::as_slice);
    let after = after.map_or(&[][..], Vec::as_slice);
    let (left, right) = match item_key(before, after) {
        Some(key) => (named_by(before, key), named_by(after, key)),
        None => (numbered(before), numbered(after)),
    };
    for (name, value) in &left {
        let other = right
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value);
        compare(&place.item(name), Some(value), other, found);
    }
    for (name, value) in right
        .iter()
        .filter(|(name, _)| !left.iter().any(|(other, _)| other == name))
    {
        compare(&place.item(name), None, Some(value), found);
    }
}

fn item_key(before: &[Value], after: &[Value]) -> Option<&'static str> {
    ITEM_KEYS.into_iter().find(|key| {
        [before, after].into_iter().all(|items| {
            let names: BTreeSet<_> = items
                .iter()
                .filter_map(|item| item_name(item, key))
                .collect();
            names.len() == items.len()
        })
    })
}

fn item_name(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn named_by<'a>(items: &'a [Value], key: &str) -> Vec<(String, &'a Value)> {
    items
        .iter()
        .filter_map(|item| Some((item_name(item, key)?, item)))
        .collect()
}

fn numbered(items: &[Value]) -> Vec<(String, &Value)> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| (index.to_string(), item))
        .collect()
}
