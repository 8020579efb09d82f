//! Fields that a built-in kind does not have. Server-side apply refuses them; Flux reads such objects into Go types
//! first, which drops them without a word. Here they are dropped with a warning, so that a repository that
//! works under Flux works, and a typing mistake is told.

use overlay::Object;
use overlay::yaml::Node;

use super::error::Refusal;
use super::normalise::BUILT_IN;

/// How the API server begins when an object does not fit its schema. It answers 500 then.
const UNTYPED: &str = "failed to create typed patch object";
const UNDECLARED: &str = ": field not declared in schema";

/// One step of a path into an object.
#[derive(Debug, PartialEq, Eq)]
enum Element<'a> {
    Key(&'a str),
    Index(usize),
    /// The item of a list whose fields have these values.
    Item(Vec<(&'a str, &'a str)>),
}

/// Whether a refusal says that the object does not fit its schema.
pub(super) fn is_untyped(message: &str) -> bool {
    message.starts_with(UNTYPED)
}

/// The undeclared fields that a refusal names; empty unless they are all that it objects to.
pub(super) fn fields(refusal: &Refusal) -> Vec<&str> {
    let complaints = refusal
        .message
        .split_once("): ")
        .filter(|_| is_untyped(&refusal.message));
    let Some((_, complaints)) = complaints else {
        return Vec::new();
    };
    let complaints = complaints.strip_prefix("errors:\n").unwrap_or(complaints);
    let fields = complaints
        .lines()
        .map(|line| line.trim().strip_suffix(UNDECLARED));
    fields.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Drops the undeclared fields that a refusal names from an object of a built-in kind; gives back a warning for
/// each. None when that does not answer the refusal.
pub(super) fn drop_fields(object: &mut Object, refusal: Option<&Refusal>) -> Option<Vec<String>> {
    let fields = fields(refusal?);
    if fields.is_empty() || !BUILT_IN.contains(&object.id.group.as_str()) {
        return None;
    }
    let mut warnings = Vec::new();
    for field in fields {
        let path = parse(field)?;
        if !remove(&mut object.node, &path) {
            return None;
        }
        warnings.push(format!("unknown field {field} is not applied"));
    }
    Some(warnings)
}

/// Reads `.spec.containers[name="web"].extra`.
fn parse(path: &str) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']')?;
            elements.push(item(inside)?);
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            elements.push(Element::Key(&after[..end]));
            rest = &after[end..];
        }
    }
    Some(elements)
}

fn item(inside: &str) -> Option<Element<'_>> {
    if let Ok(index) = inside.parse() {
        return Some(Element::Index(index));
    }
    // Sorting out commas inside quotes is not worth it: a name that has one is not found, and nothing is dropped.
    let pair = |pair| str::split_once(pair, '=').map(|(key, value)| (key, value.trim_matches('"')));
    inside
        .split(',')
        .map(pair)
        .collect::<Option<Vec<_>>>()
        .map(Element::Item)
}

fn remove(node: &mut Node, path: &[Element<'_>]) -> bool {
    match path {
        [Element::Key(key)] => node
            .as_mapping_mut()
            .is_some_and(|mapping| mapping.remove(key).is_some()),
        [first, rest @ ..] => child(node, first).is_some_and(|child| remove(child, rest)),
        [] => false,
    }
}

fn child<'a>(node: &'a mut Node, element: &Element<'_>) -> Option<&'a mut Node> {
    match element {
        Element::Key(key) => node.get_mut(key),
        Element::Index(index) => node.as_sequence_mut()?.get_mut(*index),
        Element::Item(pairs) => {
            let is_it = |item: &&mut Node| {
                pairs
                    .iter()
                    .all(|(key, value)| item.find_str(&[key]) == Some(value))
            };
            node.as_sequence_mut()?.iter_mut().find(is_it)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, Secrets, read_documents, to_json};
    use overlay::{ObjectId, Origin};
    use serde_json::json;

    fn object(group: &str) -> Object {
        let yaml = "spec:\n  typo: 1\n  containers:\n  - {name: a}\n  - name: web\n    foo: {a: 1}\n    \
                    ports: [{containerPort: 80, protocol: TCP, extra: 1}]\n";
        Object {
            id: ObjectId {
                group: group.into(),
                ..ObjectId::default()
            },
            node: read_documents(yaml.as_bytes(), 0, Dialect::Kustomize)
                .expect("valid")
                .remove(0),
            origin: Origin::default(),
        }
    }

    fn refusal(complaints: &str) -> Refusal {
        let message = format!(
            "failed to create typed patch object (default/web; apps/v1, Kind=X): {complaints}"
        );
        Refusal {
            code: 500,
            message,
            ..Refusal::default()
        }
    }

    #[test]
    fn undeclared_fields_of_built_in_kinds_go() {
        let refusal = refusal(
            "errors:\n  .spec.typo: field not declared in schema\n  \
             .spec.containers[name=\"web\"].foo: field not declared in schema\n  \
             .spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].extra: field not declared in schema",
        );
        let mut object = object("apps");
        let warnings = drop_fields(&mut object, Some(&refusal)).expect("all are dropped");
        assert_eq!(warnings.len(), 3);
        assert_eq!(warnings[0], "unknown field .spec.typo is not applied");
        assert_eq!(
            to_json(&object.node, Secrets::Masked),
            json!({"spec": {"containers": [{"name": "a"},
                {"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}})
        );
    }

    #[test]
    fn nothing_else_is_answered_by_dropping() {
        let undeclared = ".spec.typo: field not declared in schema";
        let mixed = format!(
            "errors:\n  {undeclared}\n  .data.a: expected string, got &value.valueUnstructured{{Value:1}}"
        );
        assert_eq!(
            drop_fields(&mut object("example.org"), Some(&refusal(undeclared))),
            None
        );
        assert_eq!(
            drop_fields(&mut object("apps"), Some(&refusal(&mixed))),
            None
        );
        assert_eq!(
            drop_fields(
                &mut object("apps"),
                Some(&refusal(".spec.gone: field not declared in schema"))
            ),
            None
        );
        let other = Refusal {
            code: 500,
            message: "etcd is away".into(),
            ..Refusal::default()
        };
        assert_eq!(drop_fields(&mut object("apps"), Some(&other)), None);
    }
}
