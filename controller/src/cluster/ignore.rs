//! Fields of live objects that are left to others (`spec.ignore`): what is there takes the place of what Git says.

use overlay::yaml::{Node, Secret, Style, Tag, Value as NodeValue};
use overlay::{Object, TargetMatcher};
use serde_json::Value;

use super::managed_fields::is_applied_by_another;
use super::redact::is_secret;

/// Which fields of which objects are left to others.
#[derive(Clone, Debug)]
pub struct IgnoreRule {
    /// The objects.
    pub target: TargetMatcher,
    /// The fields.
    pub paths: Vec<Pointer>,
}

/// A JSON pointer (RFC 6901), taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer; none when the text is not one, or means the whole object.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.strip_prefix('/')?.split('/');
        let parts: Vec<String> = parts
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect();
        Some(Self(parts))
    }
}

/// The fields of an object that are left to others.
pub(super) fn ignored(rules: &[IgnoreRule], object: &Object) -> Vec<Pointer> {
    let matching = rules
        .iter()
        .filter(|rule| rule.target.accepts(&object.id, &object.node));
    matching
        .flat_map(|rule| rule.paths.iter().cloned())
        .collect()
}

/// Makes what is sent agree with what is there, as far as it is left to others: a field that another manager
/// applies is not sent at all, so that it stays that manager's; any other has the live value, as to leave it out
/// would take it away.
pub(super) fn adopt(object: &mut Object, live: &Value, paths: &[Pointer]) {
    let secret = is_secret(object);
    for Pointer(path) in paths {
        let there = path.iter().try_fold(live, |value, part| match value {
            Value::Object(fields) => fields.get(part),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        });
        let value = there.filter(|_| !is_applied_by_another(live, path));
        let value = value.map(|value| node(value, secret));
        put(&mut object.node, path, value);
    }
}

/// An object without the fields that are left to others.
pub(super) fn without(mut object: Value, paths: &[Pointer]) -> Value {
    for Pointer(path) in paths {
        let Some((last, parents)) = path.split_last() else {
            continue;
        };
        let parent = parents
            .iter()
            .try_fold(&mut object, |value, part| match value {
                Value::Object(fields) => fields.get_mut(part),
                Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
                _ => None,
            });
        if let Some(Value::Object(fields)) = parent {
            fields.remove(last);
        }
    }
    object
}

/// Replaces or takes away what a pointer leads to; nothing happens where it leads nowhere.
fn put(node: &mut Node, path: &[String], value: Option<Node>) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut parent = node;
    for part in parents {
        match child(parent, part) {
            Some(next) => parent = next,
            None => return,
        }
    }
    match (value, child(parent, last)) {
        (Some(value), Some(own)) => *own = value,
        // What Git does not set needs no adoption: it is not sent.
        (_, None) => {}
        (None, Some(_)) => remove(parent, last),
    }
}

fn child<'a>(node: &'a mut Node, part: &str) -> Option<&'a mut Node> {
    match &node.value {
        NodeValue::Sequence(_) => node.as_sequence_mut()?.get_mut(part.parse::<usize>().ok()?),
        _ => node.get_mut(part),
    }
}

fn remove(parent: &mut Node, part: &str) {
    if let Some(mapping) = parent.as_mapping_mut() {
        mapping.remove(part);
    } else if let Some(items) = parent.as_sequence_mut()
        && let Ok(index) = part.parse::<usize>()
        && index < items.len()
    {
        items.remove(index);
    }
}

/// A live value as it is sent; that of a Secret keeps the mark.
fn node(value: &Value, secret: bool) -> Node {
    let scalar = |text: String, tag: Tag| match secret {
        true => NodeValue::Secret(Secret::new(text, tag, Style::Plain)).into(),
        false => Node::scalar(text, tag),
    };
    match value {
        Value::Null => Node::null(),
        Value::Bool(truth) => scalar(truth.to_string(), Tag::Bool),
        Value::Number(number) if number.is_f64() => scalar(number.to_string(), Tag::Float),
        Value::Number(number) => scalar(number.to_string(), Tag::Int),
        Value::String(text) => scalar(text.clone(), Tag::Str),
        Value::Array(items) => {
            Node::sequence(items.iter().map(|item| node(item, secret)).collect())
        }
        Value::Object(fields) => {
            let mut mapping = Node::mapping();
            if let Some(entries) = mapping.as_mapping_mut() {
                for (key, value) in fields {
                    entries.insert(key.as_str(), node(value, secret));
                }
            }
            mapping
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, Secrets, read_documents, to_json};
    use overlay::{ObjectId, Origin};
    use serde_json::json;

    fn object(kind: &str, yaml: &str) -> Object {
        let node = read_documents(yaml.as_bytes(), 0, Dialect::Kubernetes)
            .expect("valid")
            .remove(0);
        let id = ObjectId {
            kind: kind.to_owned(),
            version: "v1".to_owned(),
            ..ObjectId::default()
        };
        Object {
            id,
            node,
            origin: Origin::default(),
        }
    }

    fn adopted(yaml: &str, live: Value, path: &str) -> Value {
        let mut object = object("Thing", yaml);
        adopt(
            &mut object,
            &live,
            &[Pointer::parse(path).expect("a pointer")],
        );
        to_json(&object.node, Secrets::Revealed)
    }

    #[test]
    fn the_live_value_takes_the_place_of_git_s() {
        let yaml = "spec: {replicas: 2, list: [{a: 1}, {a: 2}], note: git}";
        for (live, path, expected) in [
            (
                json!({"spec": {"replicas": 7}}),
                "/spec/replicas",
                json!({"replicas": 7, "list": [{"a": 1}, {"a": 2}], "note": "git"}),
            ),
            (
                json!({"spec": {"list": [{}, {"a": "x"}]}}),
                "/spec/list/1/a",
                json!({"replicas": 2, "list": [{"a": 1}, {"a": "x"}], "note": "git"}),
            ),
            (
                json!({"spec": {}}),
                "/spec/note",
                json!({"replicas": 2, "list": [{"a": 1}, {"a": 2}]}),
            ),
            (
                json!({"spec": {"other": 1}}),
                "/spec/other",
                json!({"replicas": 2, "list": [{"a": 1}, {"a": 2}], "note": "git"}),
            ),
            (
                json!({"spec": {"note": {"deep": [true, null, 1.5]}}}),
                "/spec/note",
                json!({"replicas": 2, "list": [{"a": 1}, {"a": 2}], "note": {"deep": [true, null, 1.5]}}),
            ),
        ] {
            assert_eq!(adopted(yaml, live, path)["spec"], expected, "{path}");
        }
    }

    #[test]
    fn what_another_manager_applies_is_not_sent() {
        let live = json!({
            "metadata": {"managedFields": [
                {"manager": "scaler", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "writer", "operation": "Update", "fieldsV1": {"f:spec": {"f:note": {}}}},
            ]},
            "spec": {"replicas": 7, "note": "theirs"},
        });
        let yaml = "spec: {replicas: 2, note: ours}";
        assert_eq!(
            adopted(yaml, live.clone(), "/spec/replicas"),
            json!({"spec": {"note": "ours"}})
        );
        assert_eq!(adopted(yaml, live, "/spec/note")["spec"]["note"], "theirs");
    }

    #[test]
    fn adopted_secrets_are_not_shown() {
        let mut secret = object("Secret", "data: {password: Z2l0}");
        adopt(
            &mut secret,
            &json!({"data": {"password": "bGl2ZQ=="}}),
            &[Pointer::parse("/data/password").expect("valid")],
        );
        assert_eq!(
            to_json(&secret.node, Secrets::Masked),
            json!({"data": {"password": "***"}})
        );
        assert_eq!(
            to_json(&secret.node, Secrets::Revealed),
            json!({"data": {"password": "bGl2ZQ=="}})
        );
    }

    #[test]
    fn pointers_are_unescaped() {
        let parts = |parts: &[&str]| {
            Some(Pointer(
                parts.iter().map(|part| (*part).to_owned()).collect(),
            ))
        };
        assert_eq!(
            Pointer::parse("/metadata/annotations/a~1b~0c"),
            parts(&["metadata", "annotations", "a/b~c"])
        );
        assert_eq!(Pointer::parse("spec/replicas"), None);
        assert_eq!(Pointer::parse(""), None);
    }
}
