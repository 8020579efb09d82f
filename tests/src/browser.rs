//! A page as a browser shows it: Chromium, without a screen and without a network.

use std::path::Path;
use std::process::Command;

/// What Chromium is called on various systems.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The document that a page in a file becomes once its scripts have run, at an address that ends so: `#search=web`.
pub fn document(page: &Path, fragment: &str) -> String {
    let profile = tempfile::tempdir().expect("create a folder for the browser");
    let address = format!("file://{}{fragment}", page.display());
    let run = |name: &&str| {
        let mut command = Command::new(name);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--virtual-time-budget=5000", "--dump-dom"])
            .arg(&address);
        command.output().ok()
    };
    let output = NAMES.iter().find_map(run);
    let output = output.unwrap_or_else(|| panic!("this test needs Chromium: one of {NAMES:?}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}
