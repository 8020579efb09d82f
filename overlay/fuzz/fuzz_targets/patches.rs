//! Any patch on any object: a build ends, and gives the same when it is made again. What the first line of the
//! input is decides how the patch is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::{MemTree, Options, build};

const WAYS: [&str; 4] = [
    "patches: [{path: patch.yaml}]\n",
    "patches: [{path: patch.yaml, target: {kind: .*}}]\n",
    "patchesStrategicMerge: [patch.yaml]\n",
    "patches: [{path: patch.yaml, target: {name: a}, options: {allowNameChange: true, allowKindChange: true}}]\n",
];

fuzz_target!(|input: (u8, &str, &str)| {
    let (way, object, patch) = input;
    let way = WAYS[usize::from(way) % WAYS.len()];
    let mut tree = MemTree::new();
    tree.insert(
        "kustomization.yaml",
        format!("resources: [object.yaml]\n{way}").into_bytes(),
    );
    tree.insert("object.yaml", object.as_bytes());
    tree.insert("patch.yaml", patch.as_bytes());
    let once = build(&tree, "", &Options::default()).map(|built| built.to_yaml());
    let again = build(&tree, "", &Options::default()).map(|built| built.to_yaml());
    assert_eq!(once, again);
});
