//! Definitions in a repository are read as the API server reads them.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::ControlPlane;
use weir_tests::scene::{documents_of, install};

use super::linted::linted;
use super::probes::{Probe, Wrong, ask};

const DEFINITION: &str = include_str!("gauges.yaml");

/// What of every object is as it should be.
const SPEC: &str = "color: Red, parts: [{name: a}], nothing: null";

/// Specs that the server accepts.
const ACCEPTED: [&str; 44] = [
    "color: Red, parts: [{name: a}], nothing: null",
    "color: Green, parts: [], nothing: b",
    "SPEC, count: 2",
    "SPEC, filled: null",
    "SPEC, filled: two",
    "SPEC, port: 80",
    "SPEC, port: http",
    "SPEC, anything: [1, {a: b}]",
    "SPEC, anything: {a: {b: c}}",
    "SPEC, empty: {}",
    "SPEC, empty: {a: b}",
    "SPEC, lists: [[1], [2, 3]]",
    "SPEC, named: {a: {port: 80}, b: {port: http, tls: true}}",
    "SPEC, labels: {a: null, b: c}",
    "SPEC, rest: {id: a, more: [1]}",
    "SPEC, deep: {}",
    "SPEC, deep: {level: debug}",
    "SPEC, template: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {a: b}}",
    "color: Red, parts: [{name: a, form: Round}], nothing: null",
    "SPEC, named: {}",
    "SPEC, name: a-1",
    "SPEC, name: abcdefgh",
    "SPEC, loose: 'ab[cd'",
    "SPEC, words: a_1",
    "SPEC, share: 1",
    "SPEC, share: 100",
    "SPEC, part: 0.5",
    "SPEC, part: 0.0001",
    "SPEC, even: 4",
    "SPEC, even: -2",
    "SPEC, even: 0",
    "SPEC, small: 2147483647",
    "SPEC, small: -2147483648",
    "SPEC, large: 2147483648",
    "SPEC, few: [a]",
    "SPEC, few: [a, b]",
    "SPEC, some: {a: b}",
    "SPEC, some: {a: b, c: d}",
    "SPEC, amount: 7",
    "SPEC, amount: 7m",
    "SPEC, amount: '7'",
    "SPEC, share: 0x10",
    "SPEC, share: 010",
    "SPEC, loose: 'äb[c'",
];

/// Specs that it refuses.
const REFUSED: [&str; 50] = [
    "parts: [], nothing: null",
    "color: null, parts: [], nothing: null",
    "color: red, parts: [], nothing: null",
    "color: Blue, parts: [], nothing: null",
    "color: Red, nothing: null",
    "color: Red, parts: null, nothing: null",
    "color: Red, parts: []",
    "color: Red, parts: [{}], nothing: null",
    "color: Red, parts: [{name: a, form: round}], nothing: null",
    "SPEC, count: 3",
    "SPEC, count: '2'",
    "SPEC, filled: three",
    "SPEC, port: {a: b}",
    "SPEC, port: [80]",
    "SPEC, empty: [a]",
    "SPEC, lists: [[a]]",
    "SPEC, lists: [1]",
    "SPEC, named: {a: {}}",
    "SPEC, named: {a: {port: 80, tls: 'true'}}",
    "SPEC, named: {a: {port: 80, tlss: true}}",
    "SPEC, rest: {}",
    "SPEC, rest: {id: 7}",
    "SPEC, deep: {level: trace}",
    "SPEC, count: null",
    "color: Red, parts: [{name: a, form: null}], nothing: null",
    "SPEC, rest: null",
    "SPEC, colour: Red",
    "SPEC, name: A",
    "SPEC, name: a-",
    "SPEC, name: abcdefghi",
    "SPEC, name: ''",
    "SPEC, loose: 'abc['",
    "SPEC, loose: 'b[c'",
    "SPEC, words: a-1",
    "SPEC, words: 'a b'",
    "SPEC, share: 0",
    "SPEC, share: 101",
    "SPEC, share: -5",
    "SPEC, part: 0",
    "SPEC, part: 1",
    "SPEC, part: -0.5",
    "SPEC, even: 3",
    "SPEC, small: 2147483648",
    "SPEC, small: -2147483649",
    "SPEC, few: []",
    "SPEC, few: [a, b, c]",
    "SPEC, few: ['']",
    "SPEC, some: {}",
    "SPEC, amount: 7x",
    "SPEC, some: {a: b, c: d, e: f}",
];

fn gauge(number: usize, spec: &str) -> Value {
    let spec = spec.replace("SPEC", SPEC);
    let text = format!(
        "apiVersion: lint.example.com/v1\nkind: Gauge\nmetadata: {{name: gauge-{number}}}\nspec: {{{spec}}}\n"
    );
    documents_of(Path::new(&spec), text.as_bytes()).remove(0)
}

fn probe(object: Value, about: &str) -> Probe {
    Probe {
        field: (String::new(), about.to_owned()),
        wrong: Wrong::Nothing,
        object,
        refusal: None,
    }
}

#[tokio::test]
async fn lint_says_of_custom_kinds_what_the_server_refuses() {
    let client = ControlPlane::shared()
        .client(ControlPlane::ADMINISTRATOR)
        .await;
    let definition = documents_of(Path::new("gauges.yaml"), DEFINITION.as_bytes()).remove(0);
    install(&client, &definition).await;
    let specs = ACCEPTED.iter().chain(&REFUSED).enumerate();
    let mut probes: Vec<Probe> = specs
        .map(|(number, spec)| probe(gauge(number, spec), spec))
        .collect();
    let mut told = gauge(100, "SPEC");
    told["status"] = json!({ "phase": "Nonsense" });
    probes.insert(0, probe(told, "a status that the server does not take"));
    let mut bare = gauge(101, "SPEC");
    bare.as_object_mut().unwrap().remove("spec");
    probes.push(probe(bare, "no spec"));

    let probes = ask(&client, probes).await;
    let found = linted(&probes, DEFINITION);
    for (number, (probe, found)) in probes.iter().zip(found).enumerate() {
        let (about, refusal) = (&probe.field.1, &probe.refusal);
        let is_refused = number > ACCEPTED.len();
        assert_eq!(refusal.is_some(), is_refused, "{about}: {refusal:?}");
        assert_eq!(
            !found.is_empty(),
            is_refused,
            "{about}: {found:?} {refusal:?}"
        );
    }
}
