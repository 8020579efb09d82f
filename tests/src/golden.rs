//! Texts that are compared with files; `WEIR_BLESS=1` writes these anew.

use std::fs;
use std::path::Path;

/// Compares a text with a golden file.
pub fn same(path: &Path, text: &str) {
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    }
    let want = fs::read_to_string(path).unwrap_or_default();
    assert!(want == text, "{} is other than\n{text}", path.display());
}
