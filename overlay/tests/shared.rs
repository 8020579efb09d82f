//! What builds share changes nothing but the time they take; and neither do threads.

use overlay::build::{Opened, Opener, Options, Purpose, Sealed, build};
use overlay::yaml::{Dialect, Node, Secret, Style, Tag, Value, read_documents};
use overlay::{Error, MemTree, Shared};
use proptest::prelude::*;

fn object(kind: &str, name: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n---\n")
}

/// Environments over bases that lean on one another; some of them are wrong.
fn environments() -> MemTree {
    let mut tree = MemTree::new();
    let files = [
        (
            "base/kustomization.yaml",
            "resources: [a.yaml, ../deep]\nnamePrefix: b-\ncommonLabels: {l: v}\n",
        ),
        (
            "deep/kustomization.yaml",
            "resources: [d.yaml]\nconfigMapGenerator: [{name: g, literals: [a=b]}]\nvars: [{name: V, objref: {apiVersion: v1, kind: ConfigMap, name: d}}]\n",
        ),
        ("other/kustomization.yaml", "resources: [o.yaml]\n"),
        ("up/kustomization.yaml", "resources: [../one]\n"),
        (
            "bad/kustomization.yaml",
            "resources: [missing.yaml, ../deep]\nnamePrefx: x\n",
        ),
        (
            "twice/kustomization.yaml",
            "resources: [../base, ../deep]\n",
        ),
        (
            "one/kustomization.yaml",
            "resources: [../base]\nnamespace: one\n",
        ),
        (
            "two/kustomization.yaml",
            "resources: [../base, ../other]\nnameSuffix: -2\npatches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {\"v\": \"$(V)\"}}]'}]\n",
        ),
        (
            "three/kustomization.yaml",
            "resources: [../one, ../other]\n",
        ),
        (
            "origins/kustomization.yaml",
            "resources: [../base]\nbuildMetadata: [originAnnotations]\n",
        ),
        (
            "schema/kustomization.yaml",
            "resources: [../base]\nopenapi: {version: v1.21.2}\n",
        ),
    ];
    for (path, text) in files {
        tree.insert(path, text.as_bytes());
    }
    for (path, name) in [
        ("base/a.yaml", "a"),
        ("deep/d.yaml", "d"),
        ("other/o.yaml", "o"),
    ] {
        tree.insert(path, object("ConfigMap", name).as_bytes());
    }
    tree
}

const FOLDERS: [&str; 11] = [
    "one", "two", "three", "up", "bad", "twice", "base", "deep", "other", "origins", "schema",
];

/// All that a caller sees of a build.
fn outcome(tree: &MemTree, path: &str, options: &Options<'_>) -> String {
    match build(tree, path, options) {
        Ok(built) => format!(
            "{}\n{:?}\n{:?}",
            built.to_yaml(),
            built.reads,
            built.warnings
        ),
        Err(errors) => errors.to_string(),
    }
}

proptest! {
    #[test]
    fn builds_that_share_are_builds_alone(
        order in prop::collection::vec((prop::sample::select(&FOLDERS[..]), any::<(bool, bool)>()), 1..20),
        limit in prop::sample::select(vec![0, 100, 1 << 20]),
    ) {
        let tree = environments();
        let shared = Shared::new(limit);
        for (path, (flux, record_reads)) in order {
            let alone = Options { flux, record_reads, ..Options::default() };
            let together = Options { flux, record_reads, shared: Some(&shared), ..Options::default() };
            prop_assert_eq!(outcome(&tree, path, &together), outcome(&tree, path, &alone));
        }
    }
}

#[test]
fn what_is_closed_keeps_nothing_and_gives_the_same() {
    let tree = environments();
    let shared = Shared::default();
    let together = Options {
        shared: Some(&shared),
        ..Options::default()
    };
    let outcomes = || FOLDERS.map(|path| outcome(&tree, path, &together));
    let open = outcomes();
    assert!(shared.held_bytes() > 0);
    shared.close();
    assert_eq!(outcomes(), open);
    assert_eq!(shared.held_bytes(), 0);
}

/// Opens files that begin with its key.
struct Key(&'static str);

impl Opener for Key {
    fn open(&self, file: &Sealed<'_>) -> Result<Option<Opened>, Error> {
        let text = String::from_utf8_lossy(file.bytes);
        if !text.contains("sealed") {
            return Ok(None);
        }
        if !text.contains(self.0) {
            return Err(Error::new("another key is needed"));
        }
        let mut documents = read_documents(file.bytes, 0, Dialect::Kustomize)?;
        let sealed = Secret::new(format!("opened by {}", self.0), Tag::Str, Style::Plain);
        for data in documents.iter_mut().filter_map(|node| node.get_mut("data")) {
            if let Some(mapping) = data.as_mapping_mut() {
                mapping.insert("sealed", Node::from(Value::Secret(sealed.clone())));
            }
        }
        Ok(Some(Opened::Documents(documents)))
    }
}

#[test]
fn what_one_key_opened_no_other_caller_gets() {
    let mut tree = MemTree::new();
    tree.insert("env/kustomization.yaml", *b"resources: [../base]\n");
    tree.insert(
        "base/kustomization.yaml",
        *b"resources: [plain.yaml, s.yaml]\n",
    );
    tree.insert("base/plain.yaml", object("ConfigMap", "a").as_bytes());
    let sealed = format!(
        "{}data: {{sealed: for-red}}\n",
        object("Secret", "s").trim_end_matches("---\n")
    );
    tree.insert("base/s.yaml", sealed.as_bytes());
    let shared = Shared::default();
    let (red, blue) = (Key("red"), Key("blue"));
    let openers: [Option<&dyn Opener>; 3] = [Some(&red), Some(&blue), None];
    for first in openers {
        for then in openers {
            for opener in [first, then] {
                let alone = Options {
                    opener,
                    ..Options::default()
                };
                let together = Options {
                    opener,
                    shared: Some(&shared),
                    ..Options::default()
                };
                let wanted = outcome(&tree, "env", &alone);
                assert_eq!(outcome(&tree, "env", &together), wanted);
                assert_eq!(wanted.contains("for-red"), opener.is_none());
            }
        }
    }
    assert_eq!(
        red.open(&Sealed {
            path: "",
            name: "",
            bytes: b"",
            purpose: Purpose::Patch
        })
        .map(|it| it.is_none()),
        Ok(true)
    );
}

/// Enough text for threads.
fn large(folder: &str) -> String {
    (0..3000)
        .map(|number| object("ConfigMap", &format!("{folder}-{number}")))
        .collect()
}

#[test]
fn threads_change_neither_output_nor_errors() {
    let mut tree = environments();
    let folders = ["p", "q", "r", "s", "t"];
    for folder in folders {
        let also = match folder {
            "r" => "../bad",
            "s" => "../p",
            _ => "../deep",
        };
        let text = format!("resources: [a.yaml, {also}]\nnamePrefix: {folder}-\n");
        tree.insert(&format!("{folder}/kustomization.yaml"), text.as_bytes());
        tree.insert(&format!("{folder}/a.yaml"), large(folder).as_bytes());
    }
    for (root, list) in [
        ("good", "[../p, ../q, ../t]"),
        ("wrong", "[../p, ../q, ../r, ../s, ../t, ../missing]"),
        ("again", "[../p, ../q, ../p]"),
    ] {
        tree.insert(
            &format!("{root}/kustomization.yaml"),
            format!("resources: {list}\n").as_bytes(),
        );
        let options = |record_history| Options {
            record_history,
            record_reads: true,
            ..Options::default()
        };
        // The history of fields is recorded on one thread.
        let (threads, one) = (
            outcome(&tree, root, &options(false)),
            outcome(&tree, root, &options(true)),
        );
        assert!(threads == one, "{root}: {threads:.500}\n\n{one:.500}");
        assert_eq!(outcome(&tree, root, &options(false)), threads);
    }
}
