//! Where fields got their values: a tree with a base, a stage, an environment and a component that uses each generator
//! and transformer, and the whole history of its objects. `WEIR_BLESS=1` writes it.

use std::fs;
use std::path::Path;

use overlay::build::{Build, Opened, Opener, Options, Sealed, build};
use overlay::history::Unanswered;
use overlay::yaml::{Secrets, to_json};
use overlay::{Error, MemTree};

const ENV: &str = "envs/prod-eu";

/// The token is a secret that an opener decrypted.
struct Token;

impl Opener for Token {
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, Error> {
        let opened = || Opened::Text(file.bytes.to_vec().into());
        Ok(file.path.ends_with("token.txt").then(opened))
    }
}

fn read_tree(folder: &Path, below: &str, tree: &mut MemTree) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("a type").is_dir() {
            read_tree(&entry.path(), &format!("{path}/"), tree);
        } else {
            tree.insert(&path, fs::read(entry.path()).expect("a file"));
        }
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history")
}

fn built(record_history: bool) -> Build {
    let mut tree = MemTree::new();
    read_tree(&folder().join("input"), "", &mut tree);
    let options = Options {
        record_history,
        opener: Some(&Token),
        ..Options::default()
    };
    build(&tree, ENV, &options).expect("it builds")
}

/// Each object, what changed it, and each field with all its changes.
fn told(build: &Build) -> String {
    let mut text = String::new();
    for (object, history) in build.objects.iter().zip(&build.history.objects) {
        text.push_str(&format!("{}\n", object.id));
        for cause in &history.causes {
            text.push_str(&format!("  by {cause}\n"));
        }
        for field in &history.fields {
            text.push_str(&format!("  {}\n", field.path));
            for change in &field.changes {
                let value = change.value.as_ref();
                let value = value.map(|value| to_json(value, Secrets::Masked).to_string());
                let place = change
                    .place
                    .as_ref()
                    .map(|place| format!("{}:{}", place.file, place.line));
                text.push_str(&format!(
                    "    {} at {} by {}\n",
                    value.as_deref().unwrap_or("removed"),
                    place.as_deref().unwrap_or("no place"),
                    change.cause
                ));
            }
        }
    }
    for removed in &build.history.removed {
        text.push_str(&format!("{} removed by {}\n", removed.id, removed.cause));
    }
    text
}

#[test]
fn every_field_says_what_set_it() {
    let have = told(&built(true));
    let want = folder().join("want");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(&want, &have).expect("written");
    }
    assert_eq!(fs::read_to_string(want).expect("the golden file"), have);
}

#[test]
fn recording_changes_nothing_and_is_off_unless_asked() {
    let (with, without) = (built(true), built(false));
    assert_eq!(with.to_yaml(), without.to_yaml());
    assert!(without.history.objects.is_empty() && without.history.removed.is_empty());
    for (object, history) in with.objects.iter().zip(&with.history.objects) {
        let leaves = history
            .fields
            .iter()
            .filter(|field| field.value().is_some());
        assert_eq!(leaves.count(), count_leaves(&object.node), "{}", object.id);
    }
}

fn count_leaves(node: &overlay::yaml::Node) -> usize {
    match (node.as_mapping(), node.as_sequence()) {
        (Some(mapping), _) if !mapping.is_empty() => {
            mapping.iter().map(|(_, value)| count_leaves(value)).sum()
        }
        (_, Some(items)) if !items.is_empty() => items.iter().map(count_leaves).sum(),
        _ => 1,
    }
}

#[test]
fn secrets_are_not_told() {
    let build = built(true);
    assert!(!told(&build).contains("aGlkZGVu"), "the token in base64");
    let answer = build
        .why("Secret/token:data.token", None)
        .expect("an answer");
    let value = answer.fields[0].value().expect("a value");
    assert_eq!(to_json(value, Secrets::Masked), "***");
}

#[test]
fn objects_and_fields_are_found_as_people_name_them() {
    let build = built(true);
    for (wanted, fields) in [
        ("Deployment/prod-shop-eu:spec.replicas", 1),
        ("deployment/shop:spec.replicas", 1),
        ("Deployment.apps/shop-eu/prod-shop-eu:spec.replicas", 1),
        ("Deployment/shop:spec.paused", 1),
        (
            "Deployment/shop:spec.template.spec.containers.[name=shop].image",
            1,
        ),
        ("Deployment/shop:spec.template.spec.containers[1].image", 1),
        ("Deployment/shop:spec.template.spec.containers.*.image", 2),
        ("Service/shop:spec.ports.[port=80].name", 1),
        ("Service/shop:metadata.annotations.[example.com/owner]", 1),
        (r"Service/shop:metadata.annotations.example\.com/owner", 1),
        ("Service/shop:spec.ports", 2),
        ("ConfigMap/settings:data", 4),
    ] {
        let answer = build.why(wanted, None);
        assert_eq!(
            answer.map(|answer| answer.fields.len()),
            Ok(fields),
            "{wanted}"
        );
    }
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let build = built(true);
    let cases = [
        (
            "Deploymnt/prod-shop-eu",
            "there is no Deploymnt/prod-shop-eu in the output",
            "did you mean Deployment/prod-shop-eu?",
        ),
        (
            "Service/web",
            "there is no Service/web in the output",
            "there is Service/prod-shop-eu",
        ),
        (
            "shop",
            "`shop` names no object",
            "KIND/NAME does, as in Deployment/shop, and KIND/NAMESPACE/NAME",
        ),
        (
            "Deployment/shop:spec.replica",
            "Deployment/shop-eu/prod-shop-eu has no field `spec.replica`",
            "did you mean `spec.replicas`?",
        ),
        (
            "ConfigMap/old",
            "ConfigMap/old is not in the output: patchesStrategicMerge[0] of stages/prod/kustomization.yaml:18 removed it",
            "",
        ),
    ];
    for (wanted, message, hint) in cases {
        let Err(Unanswered {
            message: have,
            hint: advice,
        }) = build.why(wanted, None)
        else {
            panic!("{wanted} is answered");
        };
        assert_eq!(
            (have.as_str(), advice.as_deref().unwrap_or_default()),
            (message, hint),
            "{wanted}"
        );
    }
}

#[test]
fn an_object_of_two_namespaces_must_be_told_apart() {
    let mut tree = MemTree::new();
    tree.insert("kustomization.yaml", *b"resources: [all.yaml]\n");
    tree.insert(
        "all.yaml",
        *b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: one}}\n---\n\
           {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: two}}\n---\n\
           {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: 'system:a'}}\n",
    );
    let options = Options {
        record_history: true,
        ..Options::default()
    };
    let build = build(&tree, "", &options).expect("it builds");
    let refused = build.why("ConfigMap/a", None).expect_err("two objects");
    assert_eq!(
        refused.message,
        "ConfigMap/a may mean any of ConfigMap/one/a, ConfigMap/two/a"
    );
    assert!(build.why("ConfigMap/a", Some("two")).is_ok());
    assert!(build.why("ConfigMap/one/a", None).is_ok());
    let role = build
        .why("ClusterRole/system:a:metadata.name", None)
        .expect("an answer");
    assert_eq!(role.fields.len(), 1);
}
