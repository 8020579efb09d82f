//! What holds for every merge, on trees made at random and written in more than one form.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Base, Choice, Rules, Side, merge};

/// A value as a mapping of a few keys, so that versions often meet.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..4_i64).prop_map(|number| json!(number)),
        prop_oneof!["x", "yes", "a: b", "# c", "", "two\nlines", "two\nlines\n"]
            .prop_map(Value::from),
        Just(json!(null)),
        Just(json!(true)),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            mapping(inner),
        ]
    });
    mapping(value)
}

fn mapping(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop_oneof!["a", "b", "env", "name", "resources", "odd key"];
    prop::collection::btree_map(key, value, 1..4)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

/// A tree as people write it: lists flush or indented, comments above keys and behind values.
fn written(value: &Value, form: u8) -> String {
    if form == 0 {
        return format!("{value:#}\n");
    }
    let mut out = String::from("# head\n");
    block(&mut out, value, 0, form);
    out
}

fn block(out: &mut String, value: &Value, indent: usize, form: u8) {
    let blanks = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                if form == 2 {
                    out.push_str(&format!("{blanks}# about it\n"));
                }
                out.push_str(&format!("{blanks}{}:", json!(key)));
                child(out, value, indent, form);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("{blanks}-"));
                child(out, item, indent, form);
            }
        }
        other => out.push_str(&format!("{blanks}{other}\n")),
    }
}

fn child(out: &mut String, value: &Value, indent: usize, form: u8) {
    let step = if form == 1 { 2 } else { 4 };
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            block(out, value, indent + step, form);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, indent + step, form);
        }
        other => out.push_str(&format!(" {other} # value\n")),
    }
}

fn read(text: &str) -> Value {
    let nodes = overlay::yaml::read_documents(text.as_bytes(), 0, Default::default());
    let nodes = nodes.expect("a merge gives YAML");
    nodes.first().map_or(json!(null), |node| {
        overlay::yaml::to_json(node, overlay::yaml::Secrets::Masked)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn equal_sides_change_nothing(base in tree(), both in tree(), forms in (0..3_u8, 0..3_u8)) {
        let target = written(&both, forms.1);
        let source = written(&both, forms.0);
        let result = merge(Base::Was(&written(&base, 1)), &source, &target, &Rules::default());
        prop_assert_eq!(result.map(|merged| (merged.text, merged.findings)), Ok((target, vec![])));
    }

    #[test]
    fn a_target_as_at_the_base_becomes_the_source(base in tree(), source in tree(), forms in (0..3_u8, 0..3_u8, 0..3_u8)) {
        let target = written(&base, forms.2);
        let result = merge(Base::Was(&written(&base, forms.0)), &written(&source, forms.1), &target, &Rules::default());
        let merged = result.expect("mergeable");
        prop_assert_eq!(read(&merged.text), source);
        prop_assert!(merged.findings.iter().all(|finding| !finding.is_open()));
    }

    #[test]
    fn a_source_as_at_the_base_leaves_every_byte(base in tree(), target in tree(), forms in (0..3_u8, 0..3_u8)) {
        let target = written(&target, forms.1);
        let source = written(&base, forms.0);
        let result = merge(Base::Was(&written(&base, 1)), &source, &target, &Rules::default());
        prop_assert_eq!(result.map(|merged| merged.text), Ok(target));
    }

    #[test]
    fn chosen_sides_leave_nothing_open(base in tree(), source in tree(), target in tree(), forms in (0..3_u8, 0..3_u8)) {
        for side in [Side::Source, Side::Target] {
            let rules = Rules {
                choices: vec![Choice { path: String::new(), side }],
                ..Rules::default()
            };
            let (from, to) = (written(&source, forms.0), written(&target, forms.1));
            let merged = merge(Base::Was(&written(&base, 1)), &from, &to, &rules).expect("mergeable");
            prop_assert!(merged.findings.iter().all(|finding| !finding.is_open()));
            if side == Side::Source {
                prop_assert_eq!(read(&merged.text), source.clone());
            }
        }
    }
}
