//! What a command of Weir says.

use std::path::Path;

use weir_tests::{Repository, Weir};

/// Exit code and texts.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command in a folder.
pub(crate) fn weir(folder: &Path, arguments: &[&str]) -> Said {
    let output = Weir::command()
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// What a command prints that ends with this code.
pub(crate) fn printed(folder: &Path, arguments: &[&str], code: i32) -> String {
    let said = weir(folder, arguments);
    assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
    said.out
}

/// The same as JSON.
pub(crate) fn json(folder: &Path, arguments: &[&str], code: i32) -> serde_json::Value {
    let arguments = [arguments, &["-o", "json"]].concat();
    serde_json::from_str(&printed(folder, &arguments, code)).unwrap()
}

/// An empty repository.
pub(crate) fn repository() -> Repository {
    Repository::create("http://127.0.0.1:1/none.git", None)
}

/// A ConfigMap.
pub(crate) fn map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n---\n")
}

/// A Kustomization of Flux that builds a folder of its own repository.
pub(crate) fn kustomization(name: &str, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec:\n  interval: 1m\n  prune: true\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{rest}---\n"
    )
}

/// A file that SOPS encrypted, as far as anybody without the key can tell.
pub(crate) fn sealed(name: &str, values: &[(&str, &str)]) -> String {
    let values: String = values
        .iter()
        .map(|(key, value)| format!("  {key}: ENC[AES256_GCM,data:{value},iv:a,tag:b,type:str]\n"))
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n{values}sops:\n  lastmodified: \"2026-01-01T00:00:00Z\"\n  mac: ENC[AES256_GCM,data:c,iv:d,tag:e,type:str]\n"
    )
}

/// Whom secrets of these tests are encrypted for; nobody has the key.
pub(crate) const RECIPIENT: &str = "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8";

/// A Secret that SOPS encrypted, with keys that can be read as far as their recipients go.
pub(crate) fn encrypted(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{token: one}}\n"
    );
    std::fs::write(folder.path().join("plain.yaml"), text).unwrap();
    let arguments = [
        "secrets",
        "encrypt",
        "--age",
        RECIPIENT,
        "--encrypted-regex",
        "^(data|stringData)$",
        "plain.yaml",
    ];
    printed(folder.path(), &arguments, 0)
}
