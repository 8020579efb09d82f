//! The fast reader is held to the slower one: the same nodes, places and problems, for any text.

use overlay::yaml::{
    Dialect, Node, Source, Tag, Value, read, read_by_events, read_documents, write_documents,
};
use proptest::prelude::*;

/// Everything that a node is, places included.
fn describe(node: &Node, out: &mut String) {
    let mark = node.mark;
    out.push_str(&format!("{}:{}:{} ", mark.file, mark.line, mark.column));
    match &node.value {
        Value::Scalar(scalar) => out.push_str(&format!("{scalar:?}")),
        Value::Secret(_) => out.push_str("***"),
        Value::Sequence(items) => {
            out.push('[');
            items.iter().for_each(|item| describe(item, out));
            out.push(']');
        }
        Value::Mapping(mapping) => {
            out.push('{');
            for (key, value) in mapping.iter() {
                out.push_str(&format!("{key:?} "));
                describe(value, out);
            }
            out.push('}');
        }
    }
    out.push('\n');
}

fn describe_all(nodes: &[Node]) -> String {
    let mut out = String::new();
    nodes.iter().for_each(|node| describe(node, &mut out));
    out
}

fn check_readers(text: &str) {
    for dialect in [Dialect::Kustomize, Dialect::Kubernetes] {
        let source = Source {
            file: 3,
            dialect,
            ..Source::default()
        };
        let fast = read(text.as_bytes(), &source).map(|nodes| describe_all(&nodes));
        let slow = read_by_events(text.as_bytes(), &source).map(|nodes| describe_all(&nodes));
        assert_eq!(fast, slow, "{text}");
    }
}

/// What is printed is read back, and printed the same.
fn check_fixed_point(text: &str) {
    let Ok(nodes) = read_documents(text.as_bytes(), 0, Dialect::Kustomize) else {
        return;
    };
    let printed = write_documents(&nodes.iter().collect::<Vec<_>>());
    let again = read_documents(printed.as_bytes(), 0, Dialect::Kustomize).expect("printed text");
    assert_eq!(
        write_documents(&again.iter().collect::<Vec<_>>()),
        printed,
        "{text}"
    );
}

const SAMPLES: &[&str] = &[
    "",
    "\n",
    "# nothing\n",
    "---\n",
    "---\n---\na: 1\n---\n# b\n---\nc: 2",
    "a: 1\n---",
    "a: 1\n...\n",
    "a:\n",
    "a:",
    "a:   # c\nb: # d\n\n  # e\n  c: 1\n",
    "a: b # c\n# d\n  \nb: c#d\n",
    "a:\n- b\n- c\nd:\n  - e\n  -\n  - f: 1\n    g: 2\n-\n",
    "-\n- \n-   # c\n- - a\n  - - b\n- c: 1\n  d:\n  - e\n",
    "a:\n-\n- b\n",
    "a: |\n  x\n\n   y\n  z\n\n\nb: |-\n  x\n\nc: |+\n  x\n\nd: >\n  x\n  y\n\n  z\ne: >-\n  x\n",
    "a: |\n\n  x\nb: |2\n    x\nc: |\nd: 1\n",
    "a: |\n  x",
    "a: |\n  x\n # y\n",
    "a: |+\n  x\n\n",
    "- a\r b\n",
    "a: b\r\r\nc: d\n",
    "{\"\\u0085a \": \"\\u0085a \\u0085\\u0085b\"}\n",
    "a: |\n  x\n  ",
    "a: |-\n  x\n ",
    "a: |+\n  x\n  ",
    "a: >\n  x\n   ",
    "a: |\n  x\n   ",
    "a: x\n  y\n\n  z # c\nb:\n  x\n  y\n- a\n",
    "a: 'x''y'\nb: \"x\\ty\\u00e9\\x41\\\"\"\nc: 'x\n\n  y'\nd: \"x \\\n  y\"\ne: \"x\\ \n  z\"\n",
    "'a': 1\n\"b c\": 2\nc d: 3\ne:f: 4\n",
    "a: [b, 'c', \"d\", 1, {e: f}, []]\ng: {h: i, j: [k]}\nl: {}\nm: [a,]\nn: {a, b: }\n",
    "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
    "a: 1\na: 2\n",
    "1: a\n",
    "~: a\n",
    "yes: a\n",
    "a: b: c\n",
    "a:\n  b: 1\n c: 2\n",
    "a:\n\tb: 1\n",
    "a: \"x\ty\"\n",
    "a: 'x",
    "? a\n: b\n",
    "é: ü\nü: [é, ä]\n",
    "a: .inf\n",
    "%YAML 1.1\n---\na: 1\n",
    "a: !!str 1\nb: !x y\n",
    "a: 1\n--- b\n",
    "a:\r\n  b: |\r\n    c\r\n",
    "\u{feff}a: 1\n",
    "a: x\u{2028}y\nb: 'x \u{2028} y'\n",
    "a: \u{7f}\n",
    "a: \"\\x7f\"\n",
    "a: - b\n",
    "a: @b\n",
    "a\n",
    "- a\nb: 1\n",
    "a: {b: 1}\n  c: 2\n",
    "a: 'b' c\n",
    "\"a\": {\"b\": [\"c\", 1, null, true, {\"d\": \"e\"}]}\n",
    "{\"a\": {\"b\": [\"c\", 1, null]}}",
];

#[test]
fn both_readers_agree_on_samples() {
    SAMPLES.iter().for_each(|text| check_readers(text));
}

#[test]
fn printing_is_a_fixed_point_on_samples() {
    SAMPLES.iter().for_each(|text| check_fixed_point(text));
}

/// Lines that make and break block style.
fn line() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("a: 1"),
        Just("b:"),
        Just("- c"),
        Just("-"),
        Just("- d: e"),
        Just("f: |"),
        Just("g: >-"),
        Just("h: 'i'"),
        Just("\"j\": k # l"),
        Just("# m"),
        Just(""),
        Just("n: {o: p}"),
        Just("q: [r, s]"),
        Just("text that goes on"),
        Just("\"open"),
        Just("close\""),
        Just("- - t"),
        Just("---"),
        Just("u: &v w"),
        Just("x: *v"),
        Just("y: \"a\\tb\\"),
        Just("é: ü"),
        Just("- |"),
        Just("  "),
        Just("z :"),
        Just("..."),
        Just("{"),
        Just("}"),
        Just("c: - d"),
        Just("? e"),
        Just("'f': g"),
        Just("- 'h"),
        Just("i'"),
        Just("\tj: k"),
    ];
    (
        0..5_usize,
        parts,
        prop_oneof![9 => Just(""), 1 => Just("\t"), 1 => Just(" #")],
    )
        .prop_map(|(depth, part, end)| format!("{}{part}{end}\n", " ".repeat(depth)))
}

/// Any tree that manifests can hold.
fn tree() -> impl Strategy<Value = Node> {
    let text = prop_oneof![
        "[a-z0-9 :#'\"-]{0,12}",
        "[ -~\\n\\t]{0,40}",
        "\\PC{0,20}",
        "([a-z]{1,9} ){8,30}",
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Node::string),
        1 => any::<i64>().prop_map(|number| Node::scalar(number.to_string(), Tag::Int)),
        1 => any::<bool>().prop_map(|value| Node::scalar(value.to_string(), Tag::Bool)),
        1 => Just(Node::null()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::sequence),
            prop::collection::vec(("[a-z0-9./-]{1,20}|\\PC{1,5}", inner), 0..5).prop_map(
                |entries| {
                    let mut mapping = overlay::yaml::Mapping::default();
                    for (key, value) in entries {
                        mapping.insert(key.as_str(), value);
                    }
                    mapping.into()
                }
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_lines(lines in prop::collection::vec(line(), 0..14)) {
        let text = lines.concat();
        check_readers(&text);
        check_readers(text.trim_end_matches('\n'));
        check_fixed_point(&text);
    }

    #[test]
    fn trees_are_read_back(value in tree()) {
        let mut mapping = overlay::yaml::Mapping::default();
        mapping.insert("root", value);
        let node = Node::from(mapping);
        let printed = write_documents(&[&node]);
        let again = read_documents(printed.as_bytes(), 0, Dialect::Kustomize).expect("printed text");
        check_readers(&printed);
        prop_assert_eq!(write_documents(&again.iter().collect::<Vec<_>>()), printed);
    }
}
