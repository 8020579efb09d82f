//! Golden files of this test.

use std::path::Path;

/// Compares a text with a golden file.
pub(crate) fn same(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/environments/golden")
        .join(file);
    weir_tests::golden::same(&path, text);
}
