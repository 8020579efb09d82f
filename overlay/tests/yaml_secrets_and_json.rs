//! What printers show of a secret, and the JSON that the API server gets.

use overlay::yaml::{
    Dialect, Mapping, Node, Secret, Secrets, Style, Tag, Value, from_json, read_documents, to_json,
    write_documents, write_documents_revealed,
};
use serde_json::json;

fn read_one(text: &str) -> Node {
    let mut nodes = read_documents(text.as_bytes(), 0, Dialect::Kustomize).expect("a document");
    nodes.remove(0)
}

fn with_secret() -> Node {
    let mut mapping = Mapping::default();
    let secret = Secret::new("pass: word\n".to_owned(), Tag::Str, Style::Literal);
    mapping.insert("password", Value::Secret(secret).into());
    let pin = Secret::new("0755".to_owned(), Tag::Int, Style::Plain);
    mapping.insert("pin", Value::Secret(pin).into());
    mapping.insert("user", Node::string("admin"));
    mapping.into()
}

#[test]
fn printers_mask_secrets() {
    let node = with_secret();
    let printed = write_documents(&[&node]);
    assert_eq!(printed, "password: '***'\npin: '***'\nuser: admin\n");
    assert_eq!(
        to_json(&node, Secrets::Masked),
        json!({"password": "***", "pin": "***", "user": "admin"})
    );
    assert!(!format!("{node:?}").contains("pass: word"));
}

#[test]
fn the_apply_serializer_reveals_secrets() {
    let node = with_secret();
    let printed = write_documents_revealed(&[&node]);
    assert_eq!(
        printed.as_str(),
        "password: |\n  pass: word\npin: 493\nuser: admin\n"
    );
    let expected = json!({"password": "pass: word\n", "pin": 493, "user": "admin"});
    assert_eq!(to_json(&node, Secrets::Revealed), expected);
}

#[test]
fn numbers_become_what_kubernetes_sends() {
    let table = [
        ("0755", "493"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("1.5", "1.5"),
        ("18446744073709551615", "18446744073709551615"),
        ("9007199254740993", "9007199254740993"),
        ("~", "null"),
        ("True", "true"),
        ("2020-01-01", "\"2020-01-01T00:00:00Z\""),
        ("!!binary aGk=", "\"hi\""),
        ("yes", "\"yes\""),
        ("\"1\"", "\"1\""),
    ];
    for (text, expected) in table {
        let node = read_one(&format!("k: {text}\n"));
        let json = to_json(&node, Secrets::Masked);
        assert_eq!(json["k"].to_string(), expected, "{text}");
    }
}

#[test]
fn json_makes_the_same_nodes_as_text() {
    let json = json!({
        "text": "yes", "number": 1.5, "large": 18_446_744_073_709_551_615_u64, "truth": true,
        "none": null, "list": [1, -2, "3", []], "mapping": {"é": {}},
    });
    let node = from_json(json.clone());
    assert_eq!(to_json(&node, Secrets::Masked), json);
    let read = read_one(&json.to_string());
    assert_eq!(write_documents(&[&node]), write_documents(&[&read]));
}

#[test]
fn documents_are_joined_and_empty_ones_dropped() {
    let nodes = read_documents(
        b"---\na: 1\n---\n# b\n---\nnull\n---\nc: []\n",
        7,
        Dialect::Kustomize,
    );
    let nodes = nodes.expect("documents");
    assert_eq!(
        write_documents(&nodes.iter().collect::<Vec<_>>()),
        "a: 1\n---\nc: []\n"
    );
    assert_eq!((nodes[1].mark.file, nodes[1].mark.line), (7, 8));
}

#[test]
fn keys_are_printed_in_natural_order() {
    let keys = [
        "x10", "x9", "X1", "x1", "_a", "-b", "1a", "a-1", "a1", "aa", "a.b", "é", "ab/c", "a", "B",
    ];
    let mut mapping = Mapping::default();
    for key in keys {
        mapping.insert(key, Node::null());
    }
    let printed = write_documents(&[&Node::from(mapping)]);
    let order: Vec<&str> = printed
        .lines()
        .map(|line| line.trim_end_matches(": null"))
        .collect();
    let expected = [
        "-b", "_a", "1a", "B", "X1", "a", "a-1", "a.b", "a1", "aa", "ab/c", "x1", "x9", "x10", "é",
    ];
    assert_eq!(order, expected);
}
