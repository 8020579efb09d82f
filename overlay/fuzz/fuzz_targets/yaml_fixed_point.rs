//! What is printed is read back, and printed the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use overlay::yaml::{Dialect, Node, read_documents, write_documents};

fuzz_target!(|bytes: &[u8]| {
    let Ok(nodes) = read_documents(bytes, 0, Dialect::Kustomize) else {
        return;
    };
    let printed = write_documents(&nodes.iter().collect::<Vec<&Node>>());
    let again = read_documents(printed.as_bytes(), 0, Dialect::Kustomize).expect("printed text");
    assert_eq!(
        write_documents(&again.iter().collect::<Vec<&Node>>()),
        printed
    );
});
