//! `weir lint` and secrets that lie where one does not look for them.

use serde_json::Value;
use weir_tests::Repository;

use crate::said::{json, repository};

const RULE: [&str; 3] = ["lint", "--rule", "plaintext-secret"];

fn told(work: &Repository, code: i32) -> Vec<(String, String)> {
    let found = json(work.path(), &RULE, code);
    let text = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
    let findings = found["findings"].as_array().unwrap().iter();
    let told: Vec<_> = findings
        .map(|it| (text(it, "file"), text(it, "message")))
        .collect();
    assert!(!found.to_string().contains("hunter2"), "{found}");
    told
}

#[test]
fn private_keys_are_found_in_files_of_tools_too_and_not_in_those_of_git() {
    let work = repository();
    for path in [".env", ".tools/age.txt", ".sops.yaml"] {
        work.write(path, "age: AGE-SECRET-KEY-1QQQQ\n");
    }
    work.commit("first");
    work.write(".git/mine", "AGE-SECRET-KEY-1QQQQ\n");
    let told = told(&work, 3);
    let files: Vec<&str> = told.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(files, [".env", ".sops.yaml", ".tools/age.txt"]);
}
