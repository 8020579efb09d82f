//! What holds for any object and any text.

use proptest::prelude::*;

use super::expand::expand;
use super::steps::Steps;
use super::{Variables, substitute};
use crate::object::{Object, ObjectId, Origin};
use crate::yaml::{Mapping, Node, Secrets, Tag, to_json, write_documents};

const SECRET: &str = "S3CR3T";

fn variables() -> Variables {
    let mut variables = Variables::default();
    variables.set("open", "seen: [a]", false, "inline");
    variables.set("hidden", SECRET, true, "Secret/s");
    variables.set("list", "[S3CR3T, b]", true, "Secret/s");
    variables.set("quote", "\"'", false, "inline");
    variables
}

/// Pieces of templates, put together at random.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("${open}"),
        Just("${hidden}"),
        Just("${list}"),
        Just("${quote}"),
        Just("${unset:=x}"),
        Just("${unset:=${hidden}}"),
        Just("${hidden:0:3}"),
        Just("${hidden#?}"),
        Just("${#hidden}"),
        Just("${"),
        Just("}"),
        Just("$$"),
        Just("$"),
        Just(":"),
        Just(": "),
        Just("#"),
        Just(" "),
        Just("\n"),
        Just("'"),
        Just("\""),
        Just("\\"),
        Just("- "),
        Just("a"),
        Just("é"),
        Just("5"),
    ];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn node(text: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Node> {
    let scalar = text.clone().prop_map(Node::string);
    scalar.prop_recursive(4, 24, 4, move |inner| {
        let fields = prop::collection::vec((text.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Node::sequence),
            fields.prop_map(|fields| {
                let mut mapping = Mapping::default();
                for (key, value) in fields {
                    mapping.insert(
                        key.replace("hidden", "open")
                            .replace("list", "open")
                            .as_str(),
                        value,
                    );
                }
                mapping.into()
            }),
        ]
    })
}

fn object(data: Node) -> Object {
    let mut metadata = Mapping::default();
    metadata.insert("name", Node::string("thing"));
    let mut mapping = Mapping::default();
    mapping.insert("apiVersion", Node::string("v1"));
    mapping.insert("kind", Node::string("Thing"));
    mapping.insert("metadata", metadata.into());
    mapping.insert("count", Node::scalar("5", Tag::Int));
    mapping.insert("data", data);
    let node: Node = mapping.into();
    Object {
        id: ObjectId::of(&node).unwrap_or_default(),
        node,
        origin: Origin::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_text_expands_or_is_refused(text in template()) {
        let _ = expand(&text, &variables(), true, &Steps::new(10_000));
        let _ = expand(&text, &variables(), false, &Steps::new(10_000));
    }

    #[test]
    fn text_without_expressions_stays(text in "[a-z${ }:\n-]{0,20}") {
        prop_assume!(!text.contains("${") && !text.contains("$$"));
        let expanded = expand(&text, &variables(), true, &Steps::new(10_000));
        prop_assert_eq!(expanded.map(|text| text.to_string()), Ok(text));
    }

    #[test]
    fn objects_without_expressions_stay(data in node("[a-z$ :#\n'0-9-]{0,12}".boxed())) {
        let before = object(data);
        let printed = write_documents(&[&before.node]);
        prop_assume!(!printed.contains("$$"));
        let after = substitute(vec![before.clone()], &variables(), true);
        let after = after.expect("nothing to refuse").remove(0);
        let json = |node: &Node| to_json(node, Secrets::Revealed);
        prop_assert_eq!(json(&after.node), json(&before.node));
    }

    #[test]
    fn secret_values_are_never_printed(data in node(template().boxed())) {
        if let Ok(objects) = substitute(vec![object(data)], &variables(), false) {
            let printed = write_documents(&[&objects[0].node]);
            prop_assert!(!printed.contains(SECRET), "{}", printed);
        }
    }

    #[test]
    fn secret_values_are_in_no_error(data in node(template().boxed())) {
        if let Err(errors) = substitute(vec![object(data)], &variables(), true) {
            prop_assert!(!errors.to_string().contains(SECRET), "{}", errors);
        }
    }
}
