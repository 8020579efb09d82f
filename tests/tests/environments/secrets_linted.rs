//! `weir lint` and secrets that lie where one does not look for them.

use serde_json::Value;
use weir_tests::Repository;

use crate::said::{encrypted, json, repository, sealed};

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

fn secret(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{password: hunter2}}\n"
    )
}

#[test]
fn secrets_are_found_in_lists_in_patches_and_beside_encrypted_ones() {
    let work = repository();
    work.write(
        "one/list.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: listed}, data: {key: aHVudGVyMg==}}\n",
    );
    let data = encrypted("partly").replace("stringData", "data");
    let partly = data.replace("\ndata:", "\nstringData: {password: hunter2}\ndata:");
    assert!(
        partly.contains("stringData: {password: hunter2}"),
        "{partly}"
    );
    work.write("one/partly.yaml", &partly);
    work.write(
        "one/two.yaml",
        format!("{}---\n{}", encrypted("first"), secret("second")),
    );
    work.write(
        "one/kustomization.yaml",
        "resources: [list.yaml, partly.yaml, two.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: merged}\n    stringData: {other: hunter2}\n- target: {kind: Secret, name: second}\n  patch: |-\n    - {op: add, path: /stringData/more, value: hunter2}\n    - {op: remove, path: /stringData/password}\n",
    );
    work.commit("first");
    let ends = "can be read by all who can read the repository";
    let want = [
        ("one/kustomization.yaml", "Secret merged: stringData.other"),
        ("one/kustomization.yaml", "Secret: stringData.more"),
        ("one/list.yaml", "Secret listed: data.key"),
        ("one/partly.yaml", "Secret partly: stringData.password"),
        ("one/two.yaml", "Secret second: stringData.password"),
    ];
    let want = want.map(|(file, what)| (file.to_owned(), format!("{what} {ends}")));
    assert_eq!(told(&work, 3), want);
}

#[test]
fn what_is_encrypted_removed_or_a_variable_is_no_secret_to_be_read() {
    let work = repository();
    work.write("one/sealed.yaml", sealed("sealed", &[("a", "b")]));
    work.write("one/encrypted.yaml", encrypted("whole"));
    let chosen = sealed("chosen", &[("password", "b")])
        .replace("stringData:\n", "stringData:\n  user: admin\n")
        + "  encrypted_regex: ^password$\n";
    work.write("one/chosen.yaml", chosen);
    work.write(
        "one/kustomization.yaml",
        "resources: [sealed.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: sealed}\n    stringData: {a: null, b: '${token}', c: ''}\n- target: {kind: ConfigMap}\n  patch: |-\n    - {op: add, path: /data/more, value: text}\n",
    );
    work.commit("first");
    assert_eq!(told(&work, 0), []);
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
