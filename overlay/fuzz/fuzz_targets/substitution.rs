//! Any object, any values: substitution ends, secret values are not printed, and an object without an
//! expression stays as it is. The first line of the input is the value, the rest is the object.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::vars::{Variables, substitute};
use overlay::yaml::{Dialect, Node, Value, read_documents, write_documents};
use overlay::{Object, ObjectId, Origin};

const SECRET: &str = "S3CR3T";

/// Keys and identities are shown, whatever they are made of; values are not.
fn values_hide(object: &Node) -> bool {
    fn hides(node: &Node) -> bool {
        match &node.value {
            Value::Scalar(scalar) => !scalar.text.contains(SECRET),
            Value::Secret(_) => true,
            Value::Sequence(items) => items.iter().all(hides),
            Value::Mapping(mapping) => mapping.iter().all(|(_, value)| hides(value)),
        }
    }
    let Some(fields) = object.as_mapping() else {
        return hides(object);
    };
    fields.iter().all(|(key, value)| match key.text.as_str() {
        "apiVersion" | "kind" | "metadata" => true,
        _ => hides(value),
    })
}

fuzz_target!(|input: &str| {
    let (value, text) = input.split_once('\n').unwrap_or(("", input));
    let strict = value.len() % 2 == 1;
    if text.contains(SECRET) || value.contains(SECRET) {
        return;
    }
    let Ok(nodes) = read_documents(text.as_bytes(), 1, Dialect::Kustomize) else {
        return;
    };
    let Some((node, id)) = nodes
        .into_iter()
        .find_map(|node| ObjectId::of(&node).map(|id| (node, id)))
    else {
        return;
    };
    let mut variables = Variables::default();
    variables.set("a", value, false, "inline");
    variables.set("s", &format!("{value}{SECRET}"), true, "Secret/s");
    let printed = write_documents(&[&node]);
    let object = Object {
        id,
        node,
        origin: Origin::default(),
    };
    match substitute(vec![object], &variables, strict) {
        Ok(objects) => {
            let after = write_documents(&[&objects[0].node]);
            if !printed.contains('$') {
                assert_eq!(after, printed);
            }
            assert!(values_hide(&objects[0].node), "{after}");
        }
        Err(errors) => assert!(!errors.to_string().contains(SECRET)),
    }
});
