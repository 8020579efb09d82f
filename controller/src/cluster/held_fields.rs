//! Whether an entry of managed fields still holds every field that an object sets: then nobody has changed any of
//! them since, and the object need not be asked about.
//!
//! `fieldsV1` is a tree of keys: `f:` a field, `k:` an item of a list by its key fields, `v:` an item by its value,
//! `.` the node itself. A node without any is held as a whole. Where the tree cannot be matched for certain, the
//! answer is no, and the object is dry-run.

use serde_json::{Map, Value};

/// Fields that name an object and are held by nobody.
const NAMES: [(&str, &[&str]); 2] = [
    ("", &["apiVersion", "kind"]),
    ("metadata", &["name", "namespace", "generateName"]),
];

/// Whether the entry holds all that the object sets.
pub(super) fn holds(fields: &Value, object: &Value) -> bool {
    let Some(fields) = fields.as_object() else {
        return false;
    };
    let sets = |parent: &str, map: &Map<String, Value>| -> Map<String, Value> {
        let names = NAMES.iter().find(|(section, _)| *section == parent);
        let names = names.map(|(_, names)| *names).unwrap_or_default();
        let kept = map.iter().filter(|(key, _)| !names.contains(&key.as_str()));
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let Some(root) = object.as_object() else {
        return false;
    };
    sets("", root).iter().all(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("metadata", Value::Object(map)) => Value::Object(sets("metadata", map)),
            _ => value.clone(),
        };
        field(fields, key).is_some_and(|node| holds_value(node, &value))
    })
}

fn field<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    fields.get(&format!("f:{key}"))
}

fn holds_value(node: &Value, value: &Value) -> bool {
    let Some(fields) = node.as_object() else {
        return false;
    };
    if fields.is_empty() {
        return true;
    }
    match value {
        Value::Object(map) => map
            .iter()
            .all(|(key, value)| field(fields, key).is_some_and(|node| holds_value(node, value))),
        Value::Array(items) => items.iter().all(|item| {
            let mut named = fields.iter().filter(|(name, _)| names(name, item));
            named
                .next()
                .is_some_and(|(_, node)| holds_value(node, item))
        }),
        _ => false,
    }
}

/// The fields that an object sets, that another's entry holds and that ours does not.
pub(super) fn taken(theirs: &Value, ours: &Value, object: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    collect(theirs, ours, object, "", &mut fields);
    fields
}

fn collect(theirs: &Value, ours: &Value, value: &Value, path: &str, fields: &mut Vec<String>) {
    let is_leaf = theirs.as_object().is_some_and(Map::is_empty);
    match value {
        _ if is_leaf && ours.is_null() => fields.push(path.trim_start_matches('.').to_owned()),
        _ if is_leaf => {}
        Value::Object(map) => {
            for (key, value) in map {
                let name = format!("f:{key}");
                if let Some(theirs) = theirs.get(&name) {
                    let path = format!("{path}.{key}");
                    collect(theirs, &ours[&name], value, &path, fields);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let theirs = theirs.as_object().into_iter().flatten();
                for (name, theirs) in theirs.filter(|(name, _)| names(name, item)) {
                    let index = item["name"]
                        .as_str()
                        .map_or(index.to_string(), str::to_owned);
                    let path = format!("{path}[{index}]");
                    collect(theirs, &ours[name], item, &path, fields);
                }
            }
        }
        _ => {}
    }
}

/// Whether `k:{…}` or `v:…` names an item.
pub(super) fn names(name: &str, item: &Value) -> bool {
    if let Some(keys) = name.strip_prefix("k:") {
        let keys = serde_json::from_str::<Map<String, Value>>(keys).unwrap_or_default();
        return !keys.is_empty() && keys.iter().all(|(key, value)| item.get(key) == Some(value));
    }
    let value = name.strip_prefix("v:").map(serde_json::from_str::<Value>);
    value.is_some_and(|value| value.is_ok_and(|value| value == *item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_held_and_what_is_not() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "labels": { "app": "web", "tier": "1" }, "finalizers": ["a/b", "c/d"] },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "volumes": [{ "name": "tmp", "emptyDir": {} }],
                "ports": [{ "port": 80, "protocol": "TCP", "name": "http" }, { "port": 81, "protocol": "TCP" }] },
        });
        let whole = json!({
            "f:metadata": { "f:labels": { "f:app": {}, "f:tier": {} }, "f:finalizers": { "v:\"a/b\"": {}, "v:\"c/d\"": {} } },
            "f:spec": { "f:replicas": {}, "f:selector": {},
                "f:volumes": { "k:{\"name\":\"tmp\"}": { ".": {}, "f:name": {}, "f:emptyDir": {} } },
                "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {}, "f:protocol": {}, "f:name": {} },
                    "k:{\"port\":81,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {}, "f:protocol": {} } } },
        });
        assert!(holds(&whole, &object));
        for lost in [
            "/f:metadata/f:labels/f:app",
            "/f:metadata/f:finalizers/v:\"a~1b\"",
            "/f:spec/f:replicas",
            "/f:spec/f:selector",
            "/f:spec/f:volumes/k:{\"name\":\"tmp\"}/f:emptyDir",
            "/f:spec/f:ports/k:{\"port\":80,\"protocol\":\"TCP\"}",
            "/f:spec/f:ports/k:{\"port\":80,\"protocol\":\"TCP\"}/f:name",
        ] {
            let (parent, key) = lost.rsplit_once('/').expect("a path");
            let mut fields = whole.clone();
            let parent = fields.pointer_mut(parent).and_then(Value::as_object_mut);
            let key = key.replace("~1", "/");
            assert!(parent.expect("a node").remove(&key).is_some(), "{lost}");
            assert!(!holds(&fields, &object), "{lost}");
        }
        assert!(!holds(&json!(null), &object));
    }
}
