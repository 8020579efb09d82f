//! What an apply would make of a live object, told without asking the server to try: by the fields that its managers
//! hold, for accounts that may only read and for objects with values that are not known.
//!
//! Defaults and what admission adds stand in the live object already, so only what is wanted is put in, and only what
//! we hold and want no more is taken out. How a list is merged is read off the fields that anybody holds in it, and where
//! these do not tell, off the schema that the server publishes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::managed_fields::{all_fields, is_held_by_another, own_fields};
use super::published::{ListType, Shape};

/// Fields whose values are quantities: `1000m` is `1` there.
const QUANTITIES: [&str; 6] = ["limits", "requests", "hard", "capacity", "default", "max"];

/// The live object as it would be.
pub(super) struct Merged {
    pub(super) object: Value,
    /// Whether what the server publishes of the kind may make another one of it.
    pub(super) guesses: bool,
}

/// Merges what is wanted into what is there, with what the server publishes of the kind where that is at hand.
pub(super) fn merged(live: &Value, wanted: &Value, document: Option<&Value>) -> Merged {
    let wanted = without_string_data(wanted);
    let own = own_fields(live).and_then(|own| serde_json::from_str(&own).ok());
    let mut result = live.clone();
    if let Some(own) = own {
        let gone = Gone { live };
        gone.take_out(&mut result, &own, Some(&wanted), &mut Vec::new());
    }
    let shape = document.and_then(|document| Shape::of(document, live));
    let mut put = PutIn::default();
    put.put_in(&mut result, &wanted, &all_fields(live), shape, false);
    Merged {
        object: result,
        guesses: put.guesses,
    }
}

/// A Secret as the server stores it.
fn without_string_data(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    let Some(root) = wanted
        .as_object_mut()
        .filter(|root| root.get("kind") == Some(&"Secret".into()))
    else {
        return wanted;
    };
    if let Some(Value::Object(texts)) = root.remove("stringData") {
        let data = root
            .entry("data")
            .or_insert_with(|| Value::Object(Map::new()));
        for (key, text) in texts {
            data[key] = BASE64.encode(text.as_str().unwrap_or_default()).into();
        }
    }
    wanted
}

/// Takes out what we hold, want no more, and nobody else holds.
struct Gone<'a> {
    live: &'a Value,
}

impl Gone<'_> {
    fn take_out(
        &self,
        result: &mut Value,
        own: &Value,
        wanted: Option<&Value>,
        path: &mut Vec<String>,
    ) {
        let Some(fields) = own.as_object() else {
            return;
        };
        // What tells an item from others stays as long as the item does.
        let own_keys = path.last().and_then(|name| item_keys(name));
        let is_key = |name: &str| {
            let keys = own_keys.iter().flat_map(Map::keys);
            name.strip_prefix("f:")
                .is_some_and(|field| keys.into_iter().any(|key| key == field))
        };
        let fields = fields.iter();
        for (name, below) in fields.filter(|(name, _)| *name != "." && !is_key(name)) {
            path.push(name.clone());
            let other = wanted.and_then(|wanted| wanted_part(wanted, name));
            let is_leaf = below
                .as_object()
                .is_none_or(|map| map.keys().all(|key| key == "."));
            let goes = other.is_none() && !is_held_by_another(self.live, path);
            if goes && (is_leaf || item_keys(name).is_some()) {
                remove(result, name);
            } else if !is_leaf && let Some(inner) = part_mut(result, name) {
                self.take_out(inner, below, other, path);
                if goes && inner.as_object().is_some_and(Map::is_empty) {
                    remove(result, name);
                }
            }
            path.pop();
        }
    }
}

/// The fields that tell an item of a list from others, in a key of managed fields.
fn item_keys(name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(name.strip_prefix("k:")?).ok()
}

/// What a key of managed fields means in what is wanted, where a key field with a default may be left out.
fn wanted_part<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match (name.strip_prefix("f:"), item_keys(name), value) {
        (Some(field), _, Value::Object(map)) => map.get(field),
        (None, Some(keys), Value::Array(items)) => {
            let keys = Value::Object(keys);
            let is_it = |item: &&Value| {
                let mut names = keys.as_object().into_iter().flat_map(Map::keys);
                names.all(|key| same_key(&keys, item, key))
            };
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
    items
        .iter()
        .position(|item| super::held_fields::names(name, item))
}

/// What is wanted is put in with this.
#[derive(Default)]
struct PutIn {
    /// Whether a list was taken as a whole because nothing says how it is merged.
    guesses: bool,
}

impl PutIn {
    /// `fields` is what anybody holds there, `shape` what is published of it.
    fn put_in(
        &mut self,
        result: &mut Value,
        wanted: &Value,
        fields: &Value,
        shape: Option<Shape<'_>>,
        is_quantity: bool,
    ) {
        match (result, wanted) {
            (Value::Object(map), Value::Object(wanted)) => {
                for (key, wanted) in wanted {
                    let below = &fields[format!("f:{key}")];
                    let shape = shape.and_then(|shape| shape.field(key));
                    let is_quantity =
                        QUANTITIES.contains(&key.as_str()) || (is_quantity && !wanted.is_object());
                    match map.get_mut(key) {
                        Some(there) => self.put_in(there, wanted, below, shape, is_quantity),
                        // What is wanted to be nothing is not there.
                        None if wanted.is_null() => {}
                        None => drop(map.insert(key.clone(), wanted.clone())),
                    }
                }
            }
            (Value::Array(items), Value::Array(wanted)) => {
                self.put_in_list(items, wanted, fields, shape);
            }
            (there, wanted) => {
                if !is_same(there, wanted, is_quantity) {
                    *there = wanted.clone();
                }
            }
        }
    }

    fn put_in_list(
        &mut self,
        items: &mut Vec<Value>,
        wanted: &[Value],
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) {
        let inner = shape.and_then(Shape::items);
        match list_type(fields).or_else(|| shape.map(ListType::from)) {
            Some(ListType::Map(keys)) => {
                for wanted in wanted {
                    self.put_in_item(items, wanted, &keys, fields, inner);
                }
            }
            Some(ListType::Set) => {
                let new = wanted.iter().filter(|it| !items.contains(it));
                let new: Vec<Value> = new.cloned().collect();
                items.extend(new);
            }
            known => {
                if !covers(items, wanted) {
                    self.guesses |= known.is_none();
                    *items = wanted.to_vec();
                }
            }
        }
    }

    fn put_in_item(
        &mut self,
        items: &mut Vec<Value>,
        wanted: &Value,
        keys: &[String],
        fields: &Value,
        shape: Option<Shape<'_>>,
    ) {
        let is_it = |item: &&mut Value| keys.iter().all(|key| same_key(item, wanted, key));
        let Some(item) = items.iter_mut().find(is_it) else {
            items.push(wanted.clone());
            return;
        };
        let mut names = fields.as_object().into_iter().flat_map(Map::keys);
        let name = names.find(|name| super::held_fields::names(name, item));
        let below = name.map_or(&Value::Null, |name| &fields[name.as_str()]);
        self.put_in(item, wanted, below, shape, false);
    }
}

/// How a list is merged, as far as the fields that are held in it say so.
fn list_type(fields: &Value) -> Option<ListType> {
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

/// Whether two items have the same value of a key; one that an item does not say has its default, which is not known
/// here and taken for the same.
fn same_key(item: &Value, wanted: &Value, key: &str) -> bool {
    match (item.get(key), wanted.get(key)) {
        (Some(one), Some(other)) => is_same(one, other, false),
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

/// Whether a list that is held as a whole is what is wanted, with defaults filled in.
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
        (there, wanted) => is_same(there, wanted, false),
    }
}

/// Whether two scalars are the same: a number may be written as a text, and a quantity in several ways.
fn is_same(there: &Value, wanted: &Value, is_quantity: bool) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if there == wanted {
        return true;
    }
    match (text(there), text(wanted)) {
        (Some(one), Some(other)) if is_quantity => {
            let (one, other) = (quantity(&one), quantity(&other));
            one.is_some() && one == other
        }
        _ => false,
    }
}

/// A quantity in thousandths.
fn quantity(text: &str) -> Option<i128> {
    const UNITS: [(&str, i128); 14] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("m", 0),
        ("", 1),
    ];
    let (unit, times) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{fraction:0<3}");
    let whole: i128 = whole.parse().ok()?;
    let thousandths: i128 = digits.get(..3)?.parse().ok()?;
    let value = whole.checked_mul(1000)?.checked_add(thousandths)?;
    match *unit {
        "m" => Some(value / 1000),
        _ => value.checked_mul(*times),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A Deployment as a server keeps it, with what others hold.
    fn live() -> Value {
        let own = json!({
            "f:metadata": { "f:labels": { "f:app": {}, "f:old": {} } },
            "f:spec": { "f:replicas": {}, "f:paused": {}, "f:template": { "f:spec": { "f:containers": {
                "k:{\"name\":\"api\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                    "f:resources": { "f:limits": { "f:cpu": {} } },
                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } },
                "k:{\"name\":\"side\"}": { ".": {}, "f:name": {}, "f:image": {} } } } } },
        });
        let theirs = json!({ "f:spec": { "f:paused": {} } });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop", "labels": { "app": "shop", "old": "1", "theirs": "1" }, "managedFields": [
                { "manager": "kustomize-controller", "operation": "Apply", "fieldsV1": own },
                { "manager": "somebody", "operation": "Update", "fieldsV1": theirs } ] },
            "spec": { "replicas": 2, "paused": true, "strategy": { "type": "RollingUpdate" }, "template": { "spec": {
                "containers": [
                    { "name": "api", "image": "a:1", "args": ["-v"], "imagePullPolicy": "Always",
                      "resources": { "limits": { "cpu": "500m" } },
                      "ports": [{ "containerPort": 80, "protocol": "TCP" }] },
                    { "name": "side", "image": "s:1", "imagePullPolicy": "Always" } ] } } },
        })
    }

    fn wanted() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop", "labels": { "app": "shop" } },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [
                { "name": "api", "image": "a:1", "args": ["-v"], "resources": { "limits": { "cpu": 0.5 } },
                  "ports": [{ "containerPort": 80 }] } ] } } },
        })
    }

    #[test]
    fn what_is_wanted_no_more_goes_unless_somebody_else_holds_it() {
        let mut expected = live();
        expected["metadata"]["labels"]
            .as_object_mut()
            .expect("labels")
            .remove("old");
        let containers = expected.pointer_mut("/spec/template/spec/containers");
        containers
            .and_then(Value::as_array_mut)
            .expect("containers")
            .remove(1);
        assert_eq!(merged(&live(), &wanted(), None).object, expected);
    }

    #[test]
    fn what_is_wanted_is_put_in_where_it_belongs() {
        let mut wanted = wanted();
        wanted["spec"]["replicas"] = json!(3);
        let container = &mut wanted["spec"]["template"]["spec"]["containers"][0];
        container["args"] = json!(["-v", "-x"]);
        container["resources"]["limits"]["cpu"] = json!("1");
        container["ports"] =
            json!([{ "containerPort": 81 }, { "containerPort": 80, "name": "http" }]);
        let result = merged(&live(), &wanted, None).object;
        let api = &result["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(result["spec"]["replicas"], 3);
        assert_eq!(
            (&api["args"], &api["image"]),
            (&json!(["-v", "-x"]), &json!("a:1"))
        );
        assert_eq!(api["resources"]["limits"]["cpu"], "1");
        assert_eq!(
            api["ports"],
            json!([{ "containerPort": 80, "protocol": "TCP", "name": "http" }, { "containerPort": 81 }])
        );
        assert_eq!(api["imagePullPolicy"], "Always");
    }

    /// Somebody has wiped the managed fields: what the server publishes tells items apart.
    #[test]
    fn a_list_of_which_nobody_holds_fields_is_merged_as_it_is_published() {
        let list = |kind: Value| {
            json!({ "allOf": [{ "$ref": "#/components/schemas/list" }], "x-kubernetes-list-type": kind,
            "x-kubernetes-list-map-keys": ["name"] })
        };
        let document = json!({ "components": { "schemas": {
            "thing": {
                "x-kubernetes-group-version-kind": [{ "group": "example.com", "version": "v1", "kind": "Thing" }],
                "properties": { "map": list(json!("map")), "set": list(json!("set")), "whole": list(json!("atomic")) } },
            "list": { "items": { "properties": { "inner": { "x-kubernetes-list-type": "set" } } } },
        } } });
        let thing = |map: Value, set: Value, whole: Value| json!({ "apiVersion": "example.com/v1", "kind": "Thing", "map": map, "set": set, "whole": whole });
        let live = thing(
            json!([{ "name": "a", "inner": [1] }, { "name": "b" }]),
            json!([1]),
            json!([1]),
        );
        let wanted = thing(
            json!([{ "name": "a", "inner": [2] }]),
            json!([2]),
            json!([2]),
        );
        let guessed = merged(&live, &wanted, None);
        assert!(guessed.guesses && guessed.object == wanted);
        let known = merged(&live, &wanted, Some(&document));
        assert!(!known.guesses);
        let expected = thing(
            json!([{ "name": "a", "inner": [1, 2] }, { "name": "b" }]),
            json!([1, 2]),
            json!([2]),
        );
        assert_eq!(known.object, expected);
    }

    #[test]
    fn a_secret_is_compared_as_it_is_stored() {
        let live = json!({ "kind": "Secret", "data": { "a": "aHVudGVyMg==" } });
        let same = json!({ "kind": "Secret", "stringData": { "a": "hunter2" } });
        let other = json!({ "kind": "Secret", "stringData": { "a": "hunter3" } });
        assert_eq!(merged(&live, &same, None).object, live);
        assert_eq!(
            merged(&live, &other, None).object["data"]["a"],
            BASE64.encode("hunter3")
        );
    }

    #[test]
    fn quantities_are_the_same_however_they_are_written() {
        for (one, other) in [
            ("1000m", "1"),
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            ("1k", "1000"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one}");
            assert!(quantity(one).is_some());
        }
        assert_ne!(quantity("1G"), quantity("1Gi"));
        assert_eq!(quantity("much"), None);
    }
}
