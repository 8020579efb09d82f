//! The table of built-in kinds that `weir lint` checks fields with is what the API server publishes.
//! `WEIR_BLESS=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};
use weir_tests::ControlPlane;

const TABLE: &str = "../controller/src/lint/schema/built_in.txt";

/// What the names of definitions begin with.
const PREFIXES: [&str; 4] = [
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
];

#[tokio::test]
async fn the_table_of_built_in_kinds_is_what_the_api_server_publishes() {
    let client = ControlPlane::shared()
        .client(ControlPlane::ADMINISTRATOR)
        .await;
    let request = hyper::Request::get("/openapi/v2").body(Vec::new()).unwrap();
    let published: Value = client.request(request).await.unwrap();
    let table = table(published["definitions"].as_object().unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = have
        .lines()
        .zip(table.lines())
        .find(|(have, want)| have != want);
    assert!(
        have == table,
        "the table is another one, from here on: {difference:?}"
    );
}

/// The definitions that the kinds of users are made of.
fn table(definitions: &Map<String, Value>) -> String {
    let (mut lines, mut due) = (BTreeMap::new(), BTreeSet::new());
    // The definitions that other tests bring are not built in.
    let is_built_in = |name: &String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    for (name, definition) in definitions.iter().filter(|(name, _)| is_built_in(name)) {
        if let Some(kind) = kind(definition) {
            due.insert(name.as_str());
            lines.insert(short(name), format!(" @{kind}"));
        }
    }
    let mut done = BTreeSet::new();
    while let Some(name) = due.pop_first() {
        if !done.insert(name) {
            continue;
        }
        let line = lines.entry(short(name)).or_default();
        for (field, schema) in properties(&definitions[name]).into_iter().flatten() {
            let _ = write!(
                line,
                " {field}:{}",
                field_type(definitions, schema, &mut due)
            );
        }
    }
    let lines = lines.iter().map(|(name, rest)| format!("{name}{rest}\n"));
    lines.collect()
}

/// `apiVersion/Kind` of a kind whose objects people write: one version, with metadata, and no list.
fn kind(definition: &Value) -> Option<String> {
    let kinds = definition
        .get("x-kubernetes-group-version-kind")?
        .as_array()?;
    let [kind] = kinds.as_slice() else {
        return None;
    };
    let text = |field: &str| kind[field].as_str().unwrap();
    let is_object =
        properties(definition)?.contains_key("metadata") && !text("kind").ends_with("List");
    // Definitions that other tests install are not the server's own.
    let is_own = !text("group").ends_with(".fluxcd.io") && !text("group").ends_with("example.com");
    let version = match text("group") {
        "" => text("version").to_owned(),
        group => format!("{group}/{}", text("version")),
    };
    (is_object && is_own).then(|| format!("{version}/{}", text("kind")))
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    definition.get("properties")?.as_object()
}

fn short(name: &str) -> &str {
    let cut = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    cut.unwrap_or(name)
}

fn field_type<'a>(
    definitions: &'a Map<String, Value>,
    schema: &'a Value,
    due: &mut BTreeSet<&'a str>,
) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        if name.ends_with(".resource.Quantity") {
            return "quantity".to_owned();
        }
        if properties(&definitions[name]).is_none() {
            return field_type(definitions, &definitions[name], due);
        }
        due.insert(name);
        return short(name).to_owned();
    }
    let inner =
        |field: &str, due: &mut BTreeSet<&'a str>| field_type(definitions, &schema[field], due);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("[{}", inner("items", due)),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("{{{}", inner("additionalProperties", due))
        }
        (Some("object") | None, _) => "any".to_owned(),
        (Some(_), Some("int-or-string")) => "int-or-string".to_owned(),
        (Some(plain), _) => plain.to_owned(),
    }
}
