//! Which leaves of two JSON objects differ: list items paired by the key that names them.

use std::borrow::Cow;
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

/// Metadata that the API server sets, whatever a manifest says.
const SET_BY_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// One leaf that differs.
#[derive(Clone, Debug)]
pub struct Difference<'a> {
    /// Where: `spec.template.spec.containers[api].image`.
    pub path: String,
    /// The same with `[]` for every list item.
    pub general: String,
    /// What list items on the way are called, each behind the general path of the field that calls it so.
    pub names: Vec<(String, String)>,
    /// What is there before; none when it is added. The names of a list's items, where only their order differs.
    pub before: Option<Cow<'a, Value>>,
    /// What is there after; none when it is removed.
    pub after: Option<Cow<'a, Value>>,
    /// Whether it is the order of a list's items that differs.
    pub is_order: bool,
}

impl Difference<'_> {
    /// Both sides.
    pub fn sides(&self) -> [Option<&Value>; 2] {
        [self.before.as_deref(), self.after.as_deref()]
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

/// The part of an object that its author decides on, where both sides are what somebody wrote: finalizers and owners
/// count there. Names are not told as fields.
pub fn written_part(object: &Value) -> Value {
    let mut object = without_name(object);
    if let Some(root) = object.as_object_mut() {
        root.remove("status");
        if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
        }
    }
    object
}

/// All of an object but what it is called.
pub fn without_name(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| key != "name" && key != "namespace");
    }
    object
}

/// Where the comparison is: the path to show, and the path with list items made alike.
#[derive(Clone, Default)]
struct Place {
    path: String,
    general: String,
    names: Vec<(String, String)>,
}

impl Place {
    fn key(&self, key: &str) -> Self {
        Self {
            path: join(&self.path, key),
            general: join(&self.general, key),
            names: self.names.clone(),
        }
    }

    /// An item by its name, or by its number where no key names it.
    fn item(&self, key: Option<&str>, name: &str) -> Self {
        let mut names = self.names.clone();
        names.extend(key.map(|key| (self.key_of_items(key), name.to_owned())));
        Self {
            path: format!("{}[{name}]", self.path),
            general: format!("{}[]", self.general),
            names,
        }
    }

    /// The general path of what names the items of a list.
    fn key_of_items(&self, key: &str) -> String {
        join(&format!("{}[]", self.general), key)
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
            names: place.names.clone(),
            before: before.map(Cow::Borrowed),
            after: after.map(Cow::Borrowed),
            is_order: false,
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
    let key = item_key(before, after);
    let (left, right) = match key {
        Some(key) => (named_by(before, key), named_by(after, key)),
        None => (numbered(before), numbered(after)),
    };
    if let Some(key) = key {
        found.extend(order(place, key, &left, &right));
    }
    for (name, value) in &left {
        let other = right
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value);
        compare(&place.item(key, name), Some(value), other, found);
    }
    for (name, value) in right
        .iter()
        .filter(|(name, _)| !left.iter().any(|(other, _)| other == name))
    {
        compare(&place.item(key, name), None, Some(value), found);
    }
}

/// What both lists have, where it stands in another order: that alone may decide what runs first.
fn order(
    place: &Place,
    key: &str,
    left: &[(String, &Value)],
    right: &[(String, &Value)],
) -> Option<Difference<'static>> {
    let common = |items: &[(String, &Value)], others: &[(String, &Value)]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().map(|(name, _)| name).collect();
        let names = items.iter().map(|(name, _)| name);
        names.filter(|it| others.contains(it)).cloned().collect()
    };
    let (before, after) = (common(left, right), common(right, left));
    (before != after).then(|| Difference {
        path: place.path.clone(),
        // By what names the items it is known whether the names may be shown.
        general: place.key_of_items(key),
        names: place.names.clone(),
        before: Some(Cow::Owned(before.into())),
        after: Some(Cow::Owned(after.into())),
        is_order: true,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let differences = differences(before, after).into_iter();
        let side = |side: Option<&Value>| side.map_or("-".to_owned(), Value::to_string);
        let line = |it: Difference<'_>| {
            let [before, after] = it.sides().map(side);
            format!("{}: {before} → {after}", it.path)
        };
        differences.map(line).collect()
    }

    #[test]
    fn the_order_of_named_items_is_told_and_that_of_new_ones_is_not() {
        let list = |names: &[&str]| json!({"steps": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        for (before, after, expected) in [
            (
                &["a", "b"][..],
                &["b", "a"][..],
                vec!["steps: [\"a\",\"b\"] → [\"b\",\"a\"]"],
            ),
            (
                &["a", "b"],
                &["x", "a", "b"],
                vec!["steps[x].name: - → \"x\""],
            ),
            (
                &["a", "gone", "b"],
                &["b", "a"],
                vec![
                    "steps: [\"a\",\"b\"] → [\"b\",\"a\"]",
                    "steps[gone].name: \"gone\" → -",
                ],
            ),
        ] {
            assert_eq!(told(&list(before), &list(after)), expected);
        }
    }

    #[test]
    fn what_somebody_wrote_counts_and_what_the_server_sets_does_not() {
        let written = |metadata: Value| written_part(&json!({"metadata": metadata, "status": 1}));
        let before = written(json!({"name": "a", "uid": "1", "creationTimestamp": null}));
        let after = written(json!({"name": "b", "generation": 2, "finalizers": ["x"]}));
        assert_eq!(told(&before, &after), ["metadata.finalizers[0]: - → \"x\""]);
    }
}
