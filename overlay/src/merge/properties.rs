//! What holds for any target and any patch.

use proptest::prelude::*;

use super::json6902;
use super::schema::Schema;
use super::strategic::merge;
use super::through_json::through_json;
use crate::budget::Steps;
use crate::field_path::{self, Leaf};
use crate::yaml::{Mapping, Node, Scalar, Secret, Style, Tag, Value};

fn scalar() -> impl Strategy<Value = Node> {
    let text = prop_oneof![
        Just(("a", Tag::Str)),
        Just(("b", Tag::Str)),
        Just(("5", Tag::Str)),
        Just(("5", Tag::Int)),
        Just(("1.5", Tag::Float)),
        Just(("true", Tag::Bool)),
        Just(("null", Tag::Null)),
        Just(("", Tag::Null)),
        Just(("TCP", Tag::Str)),
        Just(("delete", Tag::Str)),
        Just(("replace", Tag::Str)),
    ];
    let style = prop_oneof![
        Just(Style::Plain),
        Just(Style::Double),
        Just(Style::Literal)
    ];
    (text, style, 0..8u8).prop_map(|((text, tag), style, secret)| {
        let value = if secret == 0 {
            Value::Secret(Secret::new(text.to_owned(), tag, style))
        } else {
            let text = text.into();
            Value::Scalar(Scalar { text, tag, style })
        };
        value.into()
    })
}

/// Field names that mean something to the schema, and directives when they are wanted.
fn name(directives: bool) -> impl Strategy<Value = &'static str> {
    let plain = [
        "spec",
        "template",
        "containers",
        "ports",
        "env",
        "name",
        "containerPort",
        "protocol",
        "metadata",
        "finalizers",
        "x",
    ];
    (0..if directives { 13 } else { 11usize }).prop_map(move |index| match index {
        11 | 12 => "$patch",
        index => plain[index],
    })
}

fn node(directives: bool) -> impl Strategy<Value = Node> {
    scalar().prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::sequence),
            prop::collection::vec((name(directives), inner), 0..6).prop_map(mapping_of),
        ]
    })
}

fn mapping_of(fields: Vec<(&'static str, Node)>) -> Node {
    let mut mapping = Mapping::default();
    for (name, value) in fields {
        mapping.insert(name, value);
    }
    mapping.into()
}

/// An object of a kind with merge keys, with something at the fields that matter.
fn deployment(directives: bool) -> impl Strategy<Value = Node> {
    let inner = || node(directives);
    let containers = prop::collection::vec(inner(), 0..4).prop_map(Node::sequence);
    (containers, inner(), inner()).prop_map(|(containers, finalizers, other)| {
        let pod = mapping_of(vec![("containers", containers), ("x", other)]);
        let template = mapping_of(vec![("spec", pod)]);
        mapping_of(vec![
            ("apiVersion", Node::string("apps/v1")),
            ("kind", Node::string("Deployment")),
            ("metadata", mapping_of(vec![("finalizers", finalizers)])),
            ("spec", mapping_of(vec![("template", template)])),
        ])
    })
}

/// A list whose elements have one key each, with different values.
fn keyed(
    key: &'static str,
    field: &'static str,
    inner: BoxedStrategy<Node>,
) -> BoxedStrategy<Node> {
    let names = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    let values = prop::collection::vec(inner, 3);
    (names, values)
        .prop_map(move |(names, values)| {
            let element = |(name, value): (&str, Node)| {
                mapping_of(vec![(key, Node::string(name)), (field, value)])
            };
            Node::sequence(names.into_iter().zip(values).map(element).collect())
        })
        .boxed()
}

/// A deployment whose lists are as the API wants them: each element has its own key.
fn orderly_deployment() -> impl Strategy<Value = Node> {
    let container = (
        keyed("containerPort", "x", scalar().boxed()),
        keyed("name", "value", scalar().boxed()),
        node(false),
    )
        .prop_map(|(ports, env, other)| {
            mapping_of(vec![("ports", ports), ("env", env), ("x", other)])
        });
    keyed("name", "template", container.boxed()).prop_map(|mut containers| {
        for container in containers.as_sequence_mut().into_iter().flatten() {
            let inner = container
                .as_mapping_mut()
                .and_then(|fields| fields.remove("template"));
            let fields = inner.as_ref().and_then(Node::as_mapping);
            for (key, value) in fields.into_iter().flat_map(Mapping::iter) {
                if let Some(container) = container.as_mapping_mut() {
                    container.insert(key.clone(), value.clone());
                }
            }
        }
        let pod = mapping_of(vec![("containers", containers)]);
        let template = mapping_of(vec![("spec", pod)]);
        mapping_of(vec![
            ("apiVersion", Node::string("apps/v1")),
            ("kind", Node::string("Deployment")),
            ("spec", mapping_of(vec![("template", template)])),
        ])
    })
}

fn merged(target: &Node, patch: &Node) -> Option<Node> {
    let done = merge(
        target.clone(),
        patch.clone(),
        &Schema::default(),
        &mut Steps::new(1_000_000),
    );
    done.ok().and_then(|merged| merged.node)
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("spec"),
        Just("x"),
        Just("containers"),
        Just("name"),
        Just("0"),
        Just("1"),
        Just("-"),
        Just("*"),
        Just("[name=a]"),
        Just("[=a]"),
        Just("[x]"),
        Just("["),
        Just(""),
        Just("\\"),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn any_merge_ends_without_panic(target in deployment(false), patch in deployment(true)) {
        let _ = merge(
            target,
            patch,
            &Schema::default(),
            &mut Steps::new(1_000_000),
        );
    }

    #[test]
    fn an_object_merged_with_itself_stays(target in orderly_deployment()) {
        if let Some(once) = merged(&target, &target) {
            prop_assert_eq!(merged(&once, &once), Some(once.clone()));
        }
    }

    #[test]
    fn a_trip_through_json_is_made_once(target in node(false)) {
        let mut once = target;
        through_json(&mut once);
        let mut twice = once.clone();
        through_json(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn operations_end_without_panic(target in node(false), patch in node(false), path in path()) {
        let path = format!("/{}", path.replace('.', "/"));
        for op in ["add", "remove", "replace", "move", "copy", "test", "x"] {
            let operation = mapping_of(vec![
                ("op", Node::string(op)),
                ("path", Node::string(path.as_str())),
                ("from", Node::string(path.as_str())),
                ("value", patch.clone()),
            ]);
            if let Ok(operations) = json6902::parse(&Node::sequence(vec![operation])) {
                let _ = json6902::apply(
                    target.clone(),
                    &operations,
                    &mut Steps::new(1_000_000),
                );
            }
        }
        let _ = json6902::parse(&patch);
    }

    #[test]
    fn field_paths_end_without_panic(mut target in node(false), path in path(), create in any::<bool>()) {
        let parts = field_path::split(&path);
        let _ = field_path::find(&target, &parts);
        let leaf = create.then_some(Leaf::Scalar);
        let _ = field_path::each(&mut target, &parts, leaf, &mut |field, _| {
            *field = Node::string("new");
            Ok(())
        });
    }
}
