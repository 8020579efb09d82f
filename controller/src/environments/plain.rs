//! Differences that are the same whatever the values of variables are.

use overlay::ObjectId;
use overlay::vars::has_expression;
use overlay::yaml::{Key, Node, Value};

/// Whether no variable is in what an object is called.
pub(super) fn is_plainly_named(id: &ObjectId) -> bool {
    !id.name.contains('$') && !id.namespace.contains('$')
}

/// Whether two nodes differ in nothing that holds an expression, nor in an item of a list that is called by one.
pub(super) fn differs_plainly(old: &Node, new: &Node) -> bool {
    let are_plain = || !has_expression(old) && !has_expression(new);
    match (&old.value, &new.value) {
        _ if old == new => true,
        (Value::Mapping(before), Value::Mapping(after)) => {
            let is_plain = |(key, value): (&Key, &Node)| {
                let other = after.get(&key.text);
                let is_plain = || {
                    other.map_or_else(
                        || !has_expression(value),
                        |other| differs_plainly(value, other),
                    )
                };
                other == Some(value) || (!key.text.contains('$') && is_plain())
            };
            let mut added = after
                .iter()
                .filter(|(key, _)| before.get(&key.text).is_none());
            before.iter().all(is_plain)
                && added.all(|(key, value)| !key.text.contains('$') && !has_expression(value))
        }
        (Value::Sequence(before), Value::Sequence(after)) if before.len() == after.len() => {
            let is_plain = |(old, new): (&Node, &Node)| {
                old == new
                    || ([old, new].into_iter().all(is_plainly_called) && differs_plainly(old, new))
            };
            before.iter().zip(after.iter()).all(is_plain)
        }
        _ => are_plain(),
    }
}

/// Whether no value that an item of a list could be called by holds an expression.
fn is_plainly_called(item: &Node) -> bool {
    let mapping = item.as_mapping();
    let mut values = mapping.into_iter().flat_map(|mapping| mapping.iter());
    values.all(|(_, value)| {
        value.as_mapping().is_some() || value.as_sequence().is_some() || !has_expression(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Source, read};

    fn node(text: &str) -> Node {
        let mut documents = read(text.as_bytes(), &Source::default()).expect("YAML");
        documents.remove(0)
    }

    #[test]
    fn only_what_holds_no_expression_may_differ() {
        for (old, new, expected) in [
            ("a: 1", "a: 2", true),
            ("a: 1\nb: ${x}", "a: 2\nb: ${x}", true),
            ("a: ${x}", "a: ${y}", false),
            ("a: ${x}", "a: 1", false),
            ("a: 1", "a: 1\nb: ${x}", false),
            ("a: 1\nb: ${x}", "a: 1", false),
            ("a: 1", "a: {b: '${x}'}", false),
            ("${x}: {a: 1}", "${x}: {a: 2}", false),
            ("${x}: {a: 1}\nb: 1", "${x}: {a: 1}\nb: 2", true),
            ("a: [{name: x, b: 1}]", "a: [{name: x, b: 2}]", true),
            (
                "a: [{name: '${x}', b: 1}]",
                "a: [{name: '${x}', b: 2}]",
                false,
            ),
            (
                "a: [{name: x, b: 1, c: [{d: '${x}'}]}]",
                "a: [{name: x, b: 2, c: [{d: '${x}'}]}]",
                true,
            ),
            ("a: ['${x}', b]", "a: ['${x}', c]", true),
            ("a: ['${x}']", "a: [b, '${x}']", false),
        ] {
            let seen = differs_plainly(&node(old), &node(new));
            assert_eq!(seen, expected, "{old} | {new}");
        }
    }
}
