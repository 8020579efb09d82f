//! Texts that are compared with files; `WEIR_BLESS=1` writes these anew.

use std::fs;
use std::path::Path;

/// Compares a text with a golden file.
pub(crate) fn same(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/environments/golden")
        .join(file);
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{file} is other than\n{text}");
}
