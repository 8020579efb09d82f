//! Any value into any field: a build ends, and gives the same when it is made again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::{MemTree, Options, build};

fuzz_target!(|input: (bool, u8, &str, &str, &str, &str)| {
    let (create, index, delimiter, from, to, object) = input;
    let quoted = |text: &str| {
        let escaped: String = text.chars().flat_map(char::escape_unicode).collect();
        escaped
            .split("\\u{")
            .filter_map(|code| code.strip_suffix('}'))
            .fold(String::from("\""), |text, code| {
                text + &format!("\\U{code:0>8}")
            })
            + "\""
    };
    let kustomization = format!(
        "resources: [object.yaml]\nreplacements:\n- source: {{fieldPath: {}}}\n  targets:\n  - select: {{kind: .*}}\n    fieldPaths: [{}]\n    options: {{create: {create}, index: {}, delimiter: {}}}\n",
        quoted(from),
        quoted(to),
        i16::from(index) - 2,
        quoted(delimiter),
    );
    let mut tree = MemTree::new();
    tree.insert("kustomization.yaml", kustomization.into_bytes());
    tree.insert("object.yaml", object.as_bytes());
    let once = build(&tree, "", &Options::default()).map(|built| built.to_yaml());
    let again = build(&tree, "", &Options::default()).map(|built| built.to_yaml());
    assert_eq!(once, again);
});
