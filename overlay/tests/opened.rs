//! Encrypted files: opened as they are read, secret from there to the end, and never quoted.

use overlay::build::{Build, Opened, Opener, Options, Purpose, Sealed, build};
use overlay::yaml::{Dialect, Node, Scalar, Secret, Value, read_documents};
use overlay::{Error, Errors, MemTree};

/// Files that begin with `#sealed` are encrypted; their text is its own key.
struct Openers;

impl Opener for Openers {
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, Error> {
        let Some(plain) = file.bytes.strip_prefix(b"#sealed\n") else {
            return Ok(None);
        };
        match file.purpose {
            Purpose::Resource | Purpose::Patch => {
                let documents = read_documents(plain, 0, Dialect::Kustomize)?;
                Ok(Some(Opened::Documents(
                    documents.into_iter().map(seal).collect(),
                )))
            }
            Purpose::GeneratorFile | Purpose::GeneratorEnvs => {
                Ok(Some(Opened::Text(plain.to_vec().into())))
            }
        }
    }
}

/// Marks every scalar secret.
fn seal(mut node: Node) -> Node {
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(|item| *item = seal(item.clone()));
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping
            .iter_mut()
            .for_each(|(_, value)| *value = seal(value.clone()));
    } else if let Value::Scalar(Scalar { text, tag, style }) = &node.value {
        node.value = Value::Secret(Secret::new(text.to_string(), *tag, *style));
    }
    node
}

fn built(files: &[(&str, &str)]) -> Result<Build, Errors> {
    let mut tree = MemTree::new();
    for (path, text) in files {
        tree.insert(path, text.as_bytes());
    }
    let options = Options {
        opener: Some(&Openers),
        ..Options::default()
    };
    build(&tree, "", &options)
}

const SECRET: &str = "#sealed
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: hunter2}
";

#[test]
fn resources_and_patches_are_opened_and_stay_secret() -> Result<(), Errors> {
    let patch = "#sealed
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {token: swordfish}
";
    let build = built(&[
        (
            "kustomization.yaml",
            "resources: [s.yaml, c.yaml]\npatches: [{path: p.yaml}]\nnamePrefix: a-\n",
        ),
        ("s.yaml", SECRET),
        (
            "c.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
        ),
        ("p.yaml", patch),
    ])?;
    let printed = build.to_yaml();
    assert!(
        printed.contains("name: a-keys") && printed.contains("name: a-settings"),
        "{printed}"
    );
    assert!(
        !printed.contains("hunter2") && !printed.contains("swordfish"),
        "{printed}"
    );
    assert!(!format!("{build:?}").contains("hunter2"));
    let token = build.objects[0].node.find(&["data", "token"]);
    assert!(
        matches!(token.map(|node| &node.value), Some(Value::Secret(secret)) if secret.expose() == "swordfish")
    );
    Ok(())
}

#[test]
fn secret_generators_open_their_inputs_and_hash_the_plaintext() -> Result<(), Errors> {
    let files = |key: &str, envs: &str| {
        built(&[
            (
                "kustomization.yaml",
                "secretGenerator: [{name: s, files: [key], envs: [e.env]}]\n",
            ),
            ("key", key),
            ("e.env", envs),
        ])
    };
    let opened = files("#sealed\nhunter2", "#sealed\nA=swordfish\n")?;
    let plain = files("hunter2", "A=swordfish\n")?;
    assert_eq!(opened.objects[0].id, plain.objects[0].id);
    assert_eq!(opened.objects[0].node, seal_data(&plain.objects[0].node));
    assert!(
        !opened.to_yaml().contains("aHVudGVyMg"),
        "{}",
        opened.to_yaml()
    );
    Ok(())
}

fn seal_data(object: &Node) -> Node {
    let mut object = object.clone();
    if let Some(data) = object.get_mut("data") {
        *data = seal(data.clone());
    }
    object
}

#[test]
fn config_maps_take_files_as_stored_and_say_so() -> Result<(), Errors> {
    let build = built(&[
        (
            "kustomization.yaml",
            "configMapGenerator: [{name: c, files: [key]}]\n",
        ),
        ("key", "#sealed\nhunter2"),
    ])?;
    assert!(build.to_yaml().contains("#sealed"));
    let warnings: Vec<String> = build.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("key is encrypted"), "{warnings:?}");
    Ok(())
}

#[test]
fn errors_do_not_quote_what_was_sealed() {
    let files = [
        (
            "kustomization.yaml",
            "resources: [s.yaml]\nsecretGenerator: [{name: s, envs: [e.env]}]\nvars: [{name: A, objref: {kind: Secret, version: v1, name: keys}, fieldref: {fieldPath: data.no}}]\n",
        ),
        ("s.yaml", SECRET),
        ("e.env", "#sealed\nhunter2=a\nhunter2=b\n"),
    ];
    let errors = built(&files)
        .err()
        .map(|errors| errors.to_string())
        .unwrap_or_default();
    assert!(
        errors.contains("a key is there twice") && !errors.contains("hunter2"),
        "{errors}"
    );
}
