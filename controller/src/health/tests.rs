//! Every document under `fixtures/` says in the annotation `expect` what its verdict is.

use std::path::Path;

use overlay::yaml::{Dialect, Secrets, read_documents, to_json};

use super::{assess, text};

#[test]
fn fixtures_get_the_verdicts_that_they_expect() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/health/fixtures");
    let mut documents = 0;
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("readable").path();
        let bytes = std::fs::read(&path).expect("readable");
        for node in read_documents(&bytes, 0, Dialect::Kubernetes).expect("valid YAML") {
            let object = to_json(&node, Secrets::Masked);
            let health = assess(&object);
            let verdict = format!("{}: {}", health.status, health.message);
            let expected = text(&object, "/metadata/annotations/expect");
            assert_eq!(verdict, expected, "in {}: {object}", path.display());
            documents += 1;
        }
    }
    assert!(documents > 50, "only {documents} documents were found");
}
