//! What is printed is read back, and printed the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::yaml::{Dialect, Node, read_documents, write_documents};

fuzz_target!(|bytes: &[u8]| {
    let Ok(nodes) = read_documents(bytes, 0, Dialect::Kustomize) else {
        return;
    };
    // Raw U+2028 and U+2029 are line breaks to go-yaml, whose printing is followed, and text to YAML 1.2.
    if String::from_utf8_lossy(bytes).contains(['\u{2028}', '\u{2029}']) {
        return;
    }
    let printed = write_documents(&nodes.iter().collect::<Vec<&Node>>());
    let again = read_documents(printed.as_bytes(), 0, Dialect::Kustomize).expect("printed text");
    assert_eq!(
        write_documents(&again.iter().collect::<Vec<&Node>>()),
        printed
    );
});
