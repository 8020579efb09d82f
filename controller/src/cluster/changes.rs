//! What a dry-run changes: whether it is drift by Flux's measure, and the leaves that differ.

use std::collections::BTreeSet;

use overlay::Object;
use overlay::yaml::{Node, Value as NodeValue};
use serde_json::{Map, Value};

use super::plan::{Change, Shown};
use super::redact::Redactor;

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

/// An annotation that holds a copy of the object as someone else applied it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Flux's measure: labels, annotations, or anything outside `metadata` and `status` differs.
pub(super) fn differs(live: &Value, wanted: &Value) -> bool {
    let metadata = |object: &Value, key: &str| {
        let map = object["metadata"][key].as_object().cloned();
        map.unwrap_or_default()
    };
    let rest = |object: &Value| -> Option<Map<String, Value>> {
        let mut rest = object.as_object()?.clone();
        rest.retain(|key, _| key != "metadata" && key != "status");
        Some(rest)
    };
    ["labels", "annotations"]
        .into_iter()
        .any(|key| metadata(live, key) != metadata(wanted, key))
        || rest(live) != rest(wanted)
}

/// What may not be shown of one object: decided by the kind that the server read, by the marks, and by value.
pub(super) struct Mask<'a> {
    secret_kind: bool,
    marked: BTreeSet<String>,
    redactor: &'a Redactor,
}

impl<'a> Mask<'a> {
    /// The mask of an object as sent, and as the server read it.
    pub(super) fn new(object: &Object, answer: &Value, redactor: &'a Redactor) -> Self {
        let mut marked = BTreeSet::new();
        collect_marks(&object.node, String::new(), &mut marked);
        Self {
            secret_kind: answer["kind"] == "Secret" && answer["apiVersion"] == "v1",
            marked,
            redactor,
        }
    }

    /// `general` is the path with `[]` for every list item: where one item is secret, its siblings are masked
    /// too, because lists may have changed their order.
    fn hides(&self, general: &str, value: &Value) -> bool {
        let is_data = |path: &str| path.starts_with("data") || path.starts_with("stringData");
        (self.secret_kind && is_data(general))
            || general.contains(LAST_APPLIED)
            || self.marked.contains(general)
            || value
                .as_str()
                .is_some_and(|text| self.redactor.touches(text))
    }

    /// Both sides as they may be shown. Where one side is hidden the other is too: a password that is being
    /// replaced stood in the same text.
    fn show(&self, general: &str, sides: [Option<&Value>; 2]) -> [Option<Shown>; 2] {
        let hidden = sides
            .into_iter()
            .flatten()
            .any(|value| self.hides(general, value));
        sides.map(|side| {
            side.map(|value| match hidden {
                true => Shown::Masked,
                false => Shown::Value(value.clone()),
            })
        })
    }
}

fn collect_marks(node: &Node, general: String, marked: &mut BTreeSet<String>) {
    match &node.value {
        NodeValue::Scalar(_) => {}
        NodeValue::Secret(_) => {
            marked.insert(general);
        }
        NodeValue::Sequence(items) => {
            let general = format!("{general}[]");
            items
                .iter()
                .for_each(|item| collect_marks(item, general.clone(), marked));
        }
        NodeValue::Mapping(mapping) => mapping
            .iter()
            .for_each(|(key, value)| collect_marks(value, join(&general, &key.text), marked)),
    }
}

/// The leaves that differ between the live object and what it would become, in the order of the live object.
pub(super) fn changes(live: &Value, wanted: &Value, mask: &Mask<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let place = Place::default();
    compare(
        &place,
        Some(&shown_part(live)),
        Some(&shown_part(wanted)),
        mask,
        &mut changes,
    );
    changes
}

/// The part of an object that people mean when they speak of its content.
fn shown_part(object: &Value) -> Value {
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

fn join(path: &str, key: &str) -> String {
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

fn compare(
    place: &Place,
    before: Option<&Value>,
    after: Option<&Value>,
    mask: &Mask<'_>,
    changes: &mut Vec<Change>,
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
        compare_maps(place, left, right, mask, changes);
    } else if let (Some(left), Some(right)) = lists
        && !both_empty(left.map(Vec::len), right.map(Vec::len))
    {
        compare_lists(place, left, right, mask, changes);
    } else {
        let [before, after] = mask.show(&place.general, [before, after]);
        let path = place.path.clone();
        changes.push(Change {
            path,
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

fn compare_maps(
    place: &Place,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    mask: &Mask<'_>,
    changes: &mut Vec<Change>,
) {
    let empty = Map::new();
    let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    for (key, value) in before {
        compare(&place.key(key), Some(value), after.get(key), mask, changes);
    }
    for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        compare(&place.key(key), None, Some(value), mask, changes);
    }
}

fn compare_lists(
    place: &Place,
    before: Option<&Vec<Value>>,
    after: Option<&Vec<Value>>,
    mask: &Mask<'_>,
    changes: &mut Vec<Change>,
) {
    let empty = Vec::new();
    let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    let (left, right) = match item_key(before, after) {
        Some(key) => (named_by(before, key), named_by(after, key)),
        None => (numbered(before), numbered(after)),
    };
    for (name, value) in &left {
        let other = right
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value);
        compare(&place.item(name), Some(value), other, mask, changes);
    }
    for (name, value) in right
        .iter()
        .filter(|(name, _)| !left.iter().any(|(other, _)| other == name))
    {
        compare(&place.item(name), None, Some(value), mask, changes);
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

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Secret, Style, Tag};
    use serde_json::json;

    fn lines(object: &Object, live: &Value, wanted: &Value) -> Vec<String> {
        let redactor = Redactor::of([object]);
        let mask = Mask::new(object, wanted, &redactor);
        let show = |shown: &Option<Shown>| match shown {
            None => "-".to_owned(),
            Some(Shown::Masked) => "***".to_owned(),
            Some(Shown::Value(value)) => value.to_string(),
        };
        let changes = changes(live, wanted, &mask);
        let line = |change: &Change| {
            format!(
                "{}: {} → {}",
                change.path,
                show(&change.before),
                show(&change.after)
            )
        };
        changes.iter().map(line).collect()
    }

    fn plain() -> Object {
        Object {
            id: overlay::ObjectId::default(),
            node: Node::mapping(),
            origin: overlay::Origin::default(),
        }
    }

    #[test]
    fn list_items_are_paired_by_name_and_additions_are_leaves() {
        let live = json!({"metadata": {"uid": "1", "labels": {"a": "1"}}, "spec": {"containers": [
            {"name": "side", "image": "s:1"}, {"name": "api", "image": "a:1", "args": ["-v"]}]}});
        let wanted = json!({"metadata": {"uid": "2", "labels": {"a": "1", "app.io/b": "2"}}, "spec": {"containers": [
            {"name": "api", "image": "a:2", "args": ["-v", "-x"]}]}});
        assert_eq!(
            lines(&plain(), &live, &wanted),
            [
                "metadata.labels.\"app.io/b\": - → \"2\"",
                "spec.containers[side].name: \"side\" → -",
                "spec.containers[side].image: \"s:1\" → -",
                "spec.containers[api].image: \"a:1\" → \"a:2\"",
                "spec.containers[api].args[1]: - → \"-x\"",
            ]
        );
    }

    #[test]
    fn what_the_server_read_as_a_secret_is_masked() {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "b2xk"}, "type": "Opaque",
            "metadata": {"annotations": {LAST_APPLIED: "{}"}}});
        let wanted = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "bmV3", "b": "eA=="}, "type": "x"});
        assert_eq!(
            lines(&plain(), &live, &wanted),
            [
                "data.a: *** → ***",
                "data.b: - → ***",
                "type: \"Opaque\" → \"x\"",
                "metadata.annotations.\"kubectl.kubernetes.io/last-applied-configuration\": *** → -",
            ]
        );
    }

    #[test]
    fn marks_hide_the_value_before_and_values_hide_wherever_they_turn_up() {
        let mut object = plain();
        let secret = NodeValue::Secret(Secret::new("hunter22".into(), Tag::Str, Style::Plain));
        object
            .node
            .as_mapping_mut()
            .expect("mapping")
            .insert("password", secret.into());
        let live = json!({"password": "old-one", "url": "x"});
        let wanted = json!({"password": "hunter22", "url": "https://me:hunter22@example.org"});
        assert_eq!(
            lines(&object, &live, &wanted),
            ["password: *** → ***", "url: *** → ***"]
        );
    }

    #[test]
    fn drift_is_what_flux_calls_drift() {
        let live = json!({"metadata": {"uid": "1", "finalizers": ["x"], "labels": {"a": "1"}}, "spec": {"a": 1}, "status": 1});
        let table = [
            (
                json!({"metadata": {"labels": {"a": "1"}}, "spec": {"a": 1}}),
                false,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}, "annotations": {}}, "spec": {"a": 1}}),
                false,
            ),
            (
                json!({"metadata": {"labels": {"a": "2"}}, "spec": {"a": 1}}),
                true,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}}, "spec": {"a": 2}}),
                true,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}, "annotations": {"x": ""}}, "spec": {"a": 1}}),
                true,
            ),
        ];
        for (wanted, expected) in table {
            assert_eq!(differs(&live, &wanted), expected, "{wanted}");
        }
    }
}
