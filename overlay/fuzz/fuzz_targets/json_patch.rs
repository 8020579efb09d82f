//! Any JSON patch on any object: as block YAML, as inline text, and in the old field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_overlay_fuzz::{build_twice, pieces};

const WAYS: [&str; 2] = [
    "resources: [object.yaml]\npatches: [{path: patch.yaml, target: {kind: .*}}]\n",
    "resources: [object.yaml]\npatchesJson6902: [{path: patch.yaml, target: {version: v1, kind: ConfigMap, name: a}}]\n",
];

fuzz_target!(|input: &str| {
    let (object, patch) = pieces(input);
    for way in WAYS {
        build_twice(&[
            ("kustomization.yaml", way),
            ("object.yaml", object),
            ("patch.yaml", patch),
        ]);
    }
    let mut inline =
        String::from("resources: [object.yaml]\npatches:\n- target: {kind: .*}\n  patch: |\n");
    for line in patch.lines() {
        inline.push_str("    ");
        inline.push_str(line);
        inline.push('\n');
    }
    build_twice(&[("kustomization.yaml", &inline), ("object.yaml", object)]);
});
