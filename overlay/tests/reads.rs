//! The read set: while what it names is unchanged, so is the output, whatever else changes in the tree.

use overlay::build::{Additions, Build, Options, Read, build};
use overlay::{Errors, MemTree, Tree};
use proptest::prelude::*;

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";

fn options(flux: bool) -> Options<'static> {
    Options {
        flux,
        record_reads: true,
        additions: Additions {
            components: if flux {
                vec!["../maybe".to_owned()]
            } else {
                Vec::new()
            },
            ignore_missing_components: true,
            ..Additions::default()
        },
        ..Options::default()
    }
}

fn tree() -> MemTree {
    let mut tree = MemTree::new();
    for (path, text) in [
        (
            "app/kustomization.yaml",
            "resources: [../base, link.yaml]\nconfigMapGenerator: [{name: g, files: [f.txt]}]\n",
        ),
        ("app/f.txt", "text"),
        ("app/real.yaml", CONFIG_MAP),
        ("base/kustomization.yaml", "resources: [b.yaml]\n"),
        (
            "base/b.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
        ),
        ("bare/a.yaml", CONFIG_MAP),
        ("bare/sub/kustomization.yaml", "resources: [x.yaml]\n"),
        (
            "bare/sub/x.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
        ),
        ("other/unread.yaml", "a: b\n"),
    ] {
        tree.insert(path, text.as_bytes());
    }
    tree.insert_link("app/link.yaml", "real.yaml");
    tree
}

fn holds(tree: &MemTree, built: &Build) -> bool {
    built.reads.paths.iter().all(|(path, read)| {
        let id = tree.id(path).ok().flatten();
        match read {
            Read::Absent => id.is_none(),
            Read::File(want) | Read::Folder(want) | Read::Link(want) => id == Some(*want),
        }
    })
}

#[test]
fn every_look_at_the_tree_is_recorded() -> Result<(), Errors> {
    let built = build(&tree(), "app", &options(false))?;
    let paths: Vec<&str> = built.reads.paths.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "app/Kustomization",
            "app/f.txt",
            "app/kustomization.yaml",
            "app/kustomization.yml",
            "app/link.yaml",
            "app/real.yaml",
            "base/Kustomization",
            "base/b.yaml",
            "base/kustomization.yaml",
            "base/kustomization.yml",
        ]
    );
    assert!(matches!(built.reads.paths["app/link.yaml"], Read::Link(_)));
    assert_eq!(built.reads.paths["app/kustomization.yml"], Read::Absent);
    Ok(())
}

#[test]
fn a_bare_folder_is_read_with_its_listing() -> Result<(), Errors> {
    let built = build(&tree(), "bare", &options(true))?;
    assert!(matches!(built.reads.paths["bare"], Read::Folder(_)));
    assert_eq!(built.reads.paths["maybe"], Read::Absent);
    assert_eq!(built.objects.len(), 2);
    Ok(())
}

#[test]
fn options_have_a_digest_of_their_own() -> Result<(), Errors> {
    let one = build(&tree(), "base", &options(false))?;
    let mut other = options(false);
    other.managed_by_label = true;
    assert_ne!(
        one.reads.options,
        build(&tree(), "base", &other)?.reads.options
    );
    assert_eq!(
        one.reads.options,
        build(&tree(), "base", &options(false))?.reads.options
    );
    Ok(())
}

/// What may happen to a tree.
#[derive(Clone, Debug)]
enum Edit {
    Write(String, String),
    Link(String, String),
    Remove(String),
}

fn edit() -> impl Strategy<Value = Edit> {
    let folder = prop::sample::select(vec!["app", "base", "bare", "bare/sub", "maybe", "other"]);
    let name = prop::sample::select(vec![
        "kustomization.yaml",
        "kustomization.yml",
        "Kustomization",
        "f.txt",
        "real.yaml",
        "link.yaml",
        "a.yaml",
        "b.yaml",
        "x.yaml",
        "new.yaml",
    ]);
    let text = prop::sample::select(vec![
        "resources: [b.yaml]\n",
        "namePrefix: p-\n",
        "kind: Component\nnamePrefix: q-\n",
        CONFIG_MAP,
        "text",
    ]);
    let target = prop::sample::select(vec!["real.yaml", "../base/b.yaml", "../other", "f.txt"]);
    (folder, name, text, target, 0..3).prop_map(|(folder, name, text, target, act)| {
        let path = format!("{folder}/{name}");
        match act {
            0 => Edit::Write(path, text.to_owned()),
            1 => Edit::Link(path, target.to_owned()),
            _ => Edit::Remove(path),
        }
    })
}

proptest! {
    #[test]
    fn while_the_reads_hold_the_output_is_the_same(edits in prop::collection::vec(edit(), 1..4), flux: bool) {
        let (mut tree, path) = (tree(), if flux { "bare" } else { "app" });
        let before = build(&tree, path, &options(flux)).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        for edit in edits {
            match edit {
                Edit::Write(path, text) => tree.insert(&path, text.as_bytes()),
                Edit::Link(path, target) => tree.insert_link(&path, &target),
                Edit::Remove(path) => drop(tree.remove(&path)),
            }
        }
        if holds(&tree, &before) {
            let after = build(&tree, path, &options(flux)).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
            prop_assert_eq!(before.to_yaml(), after.to_yaml());
            prop_assert_eq!(before.reads, after.reads);
        }
    }
}
