//! Any strategic merge patch on any object, with and without a target.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_overlay_fuzz::{build_twice, pieces};

const WAYS: [&str; 3] = [
    "resources: [object.yaml]\npatchesStrategicMerge: [patch.yaml]\n",
    "resources: [object.yaml]\npatches: [{path: patch.yaml, target: {kind: .*}}]\n",
    "resources: [object.yaml]\npatches: [{path: patch.yaml, target: {name: a}, options: {allowNameChange: true, allowKindChange: true}}]\n",
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
});
