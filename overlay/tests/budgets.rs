//! Budgets: what asks for too much is refused soon, with the place, and without a crash.

use std::time::{Duration, Instant};

use overlay::build::{Budget, Options, build};
use overlay::{Errors, MemTree};

fn refused(files: &[(String, String)], budget: Budget) -> String {
    let mut tree = MemTree::new();
    for (path, text) in files {
        tree.insert(path, text.as_bytes());
    }
    let options = Options {
        budget,
        ..Options::default()
    };
    let start = Instant::now();
    let built = build(&tree, "0", &options);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    match built {
        Ok(_) => "it was built".to_owned(),
        Err(Errors(errors)) => errors[0].to_string(),
    }
}

fn file(path: impl Into<String>, text: impl Into<String>) -> (String, String) {
    (path.into(), text.into())
}

#[test]
fn chains_of_bases_end() {
    let chain: Vec<_> = (0..1000)
        .map(|link| {
            file(
                format!("{link}/kustomization.yaml"),
                format!("resources: [../{}]\n", link + 1),
            )
        })
        .collect();
    let error = refused(&chain, Budget::default());
    assert!(
        error.contains("64 kustomizations inside one another"),
        "{error}"
    );
}

#[test]
fn fan_out_ends() {
    let level = |level: usize| {
        let next = level + 1;
        let both = format!("resources: [../{next}, ../{next}b]\n");
        [
            file(format!("{level}/kustomization.yaml"), both.clone()),
            file(format!("{level}b/kustomization.yaml"), both),
        ]
    };
    let mut tree: Vec<_> = (0..40).flat_map(level).collect();
    tree.push(file("40/kustomization.yaml", "resources: []\n"));
    tree.push(file("40b/kustomization.yaml", "resources: []\n"));
    let error = refused(&tree, Budget::default());
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn bytes_files_objects_and_documents_are_counted() {
    let object = |name: usize| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{name}}}\n---\n")
    };
    let many: String = (0..50).map(object).collect();
    let files = [
        file("0/kustomization.yaml", "resources: [a.yaml, b.yaml]\n"),
        file("0/a.yaml", many),
        file("0/b.yaml", ""),
    ];
    let default = Budget::default();
    for (budget, want) in [
        (
            Budget {
                bytes: 1000,
                ..default
            },
            "bytes",
        ),
        (
            Budget {
                files: 2,
                ..default
            },
            "files",
        ),
        (
            Budget {
                objects: 49,
                ..default
            },
            "objects",
        ),
        (
            Budget {
                documents: 10,
                ..default
            },
            "documents",
        ),
        (
            Budget {
                nesting: 1,
                ..default
            },
            "nesting",
        ),
        (
            Budget {
                nodes: 20,
                ..default
            },
            "nodes",
        ),
    ] {
        let error = refused(&files, budget);
        assert!(error.contains(want), "{want}: {error}");
    }
}

#[test]
fn aliases_that_multiply_end() {
    let mut bomb =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\na0: &a0 [x, x]\n");
    for level in 1..60 {
        let below = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    let files = [
        file("0/kustomization.yaml", "resources: [a.yaml]\n"),
        file("0/a.yaml", bomb),
    ];
    let error = refused(&files, Budget::default());
    assert!(error.contains("nodes"), "{error}");
}

#[test]
fn expressions_that_grow_are_refused() {
    let target = "patches: [{target: {name: '(((a{100}){100}){100}){100}'}, patch: '- {op: add, path: /a, value: b}'}]\n";
    let files = [
        file(
            "0/kustomization.yaml",
            format!("resources: [a.yaml]\n{target}"),
        ),
        file(
            "0/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
        ),
    ];
    let error = refused(&files, Budget::default());
    assert!(error.contains("regular expression"), "{error}");
}
