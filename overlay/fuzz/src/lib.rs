//! Builds of small trees for the targets: they end, and give the same when they are made again.

use overlay::{MemTree, Options, build};

/// The pieces of an input, which stand in one text as documents do, so that seeds can be read.
pub fn pieces(input: &str) -> (&str, &str) {
    input.split_once("\n---\n").unwrap_or((input, ""))
}

/// Builds the root of a tree twice in each mode.
pub fn build_twice(files: &[(&str, &str)]) {
    let mut tree = MemTree::new();
    for (path, text) in files {
        tree.insert(path, text.as_bytes());
    }
    for flux in [false, true] {
        let options = Options {
            flux,
            ..Options::default()
        };
        let once = build(&tree, "", &options).map(|built| built.to_yaml());
        let again = build(&tree, "", &options).map(|built| built.to_yaml());
        assert_eq!(once, again);
    }
}
