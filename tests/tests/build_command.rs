//! `weir build` as a program: folders of revisions, and what its flags print of them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::path::Path;

use weir_tests::{Repository, Weir};

/// What the program says, and whether it succeeded.
struct Said {
    success: bool,
    out: String,
    err: String,
}

fn build(folder: &Path, arguments: &[&str]) -> Said {
    let output = Weir::command()
        .arg("build")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        success: output.status.success(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn printed(folder: &Path, arguments: &[&str]) -> String {
    let said = build(folder, arguments);
    assert!(said.success, "{arguments:?}: {}", said.err);
    said.out
}

/// A base, an environment, and the state of each commit in the data.
fn fleet() -> (Repository, String, String) {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    work.write("base/kustomization.yaml", "resources: [map.yaml]\n")
        .write(
            "base/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {state: first}\n",
        )
        .write(
            "envs/prod/kustomization.yaml",
            "resources: [../../base]\nnamePrefix: prod-\n",
        )
        .write("envs/bare/map.yaml", BARE);
    let first = work.commit("first");
    work.tag("v1.0.0");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {state: second}\n";
    let second = work.write("base/map.yaml", text).commit("second");
    (work, first, second)
}

const BARE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\n";

fn shop(state: &str) -> String {
    format!(
        "apiVersion: v1\ndata:\n  state: {state}\nkind: ConfigMap\nmetadata:\n  name: prod-shop\n"
    )
}

#[test]
fn a_revision_is_built_whatever_is_checked_out() {
    let (work, first, second) = fleet();
    work.write("base/map.yaml", "not: [committed")
        .remove("envs");
    for revision in ["v1.0.0", "main~1", &first, &first[..8]] {
        let out = printed(work.path(), &["--rev", revision, "envs/prod"]);
        assert_eq!(out, shop("first"), "{revision}");
    }
    for revision in ["main", "HEAD", &second[..7]] {
        let out = printed(work.path(), &["--rev", revision, "envs/prod"]);
        assert_eq!(out, shop("second"), "{revision}");
    }
}

#[test]
fn a_revision_is_built_from_any_folder_and_from_a_bare_repository() {
    let (work, _, _) = fleet();
    let want = shop("second");
    let from_base = work.path().join("base");
    assert_eq!(
        printed(&from_base, &["--rev", "HEAD", "../envs/prod"]),
        want
    );
    let from_env = work.path().join("envs/prod");
    assert_eq!(printed(&from_env, &["--rev", "HEAD"]), want);
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = work.path().join("envs/prod");
    let absolute = absolute.to_str().unwrap();
    assert_eq!(
        printed(elsewhere.path(), &["--rev", "HEAD", absolute]),
        want
    );
    let bare = elsewhere.path().join("fleet.git");
    work.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    assert_eq!(printed(&bare, &["--rev", "main", "envs/prod"]), want);
    let named = ["--git-dir", "fleet.git", "--rev", "main", "envs/prod"];
    assert_eq!(printed(elsewhere.path(), &named), want);
}

#[test]
fn what_cannot_be_found_is_told_with_what_there_is() {
    let (work, _, _) = fleet();
    let said = build(work.path(), &["--rev", "mian", "envs/prod"]);
    assert!(!said.success);
    assert!(said.err.contains("has no revision `mian`"), "{}", said.err);
    assert!(said.err.contains("did you mean `main`?"), "{}", said.err);
    let said = build(work.path(), &["--rev", "release", "envs/prod"]);
    assert!(
        said.err.contains("hint: it has main, v1.0.0"),
        "{}",
        said.err
    );
    let said = build(work.path(), &["--rev", "main", "envs/nowhere"]);
    assert!(
        said.err.contains("there is no folder envs/nowhere"),
        "{}",
        said.err
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let said = build(elsewhere.path(), &["--rev", "main", "envs/prod"]);
    assert!(said.err.contains("is in no Git repository"), "{}", said.err);
    assert!(said.err.contains("--git-dir"), "{}", said.err);
}

#[test]
fn the_other_flags_hold_for_a_revision_too() {
    let (work, _, _) = fleet();
    work.remove("envs");
    let bare = printed(work.path(), &["--rev", "main", "--flux", "envs/bare"]);
    assert_eq!(
        bare,
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bare\n"
    );
    let reads = printed(work.path(), &["--rev", "v1.0.0", "--reads", "envs/prod"]);
    let blob = work.git(&["rev-parse", "v1.0.0:base/map.yaml"]);
    assert!(
        reads.contains(&format!("{blob} file   base/map.yaml")),
        "{reads}"
    );
    let said = build(work.path(), &["--rev", "main", "--stats", "envs/prod"]);
    assert!(said.err.starts_with("1 objects, "), "{}", said.err);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    printed(work.path(), &["--rev", "main", "-o", folder, "envs/prod"]);
    let file = out.path().join("v1_configmap_prod-shop.yaml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), shop("second"));
}

#[test]
fn encrypted_files_of_a_revision_are_opened_with_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("age.agekey");
    let made = Weir::command()
        .args(["secrets", "keygen", "-o"])
        .arg(&key)
        .output()
        .unwrap();
    let said = String::from_utf8(made.stderr).unwrap();
    let recipient = said.trim().strip_prefix("public key: ").unwrap();
    let repository = Repository::create("http://127.0.0.1:1/none.git", None);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: s\nstringData:\n    password: of-the-revision\n";
    repository
        .write("env/kustomization.yaml", "resources: [secret.yaml]\n")
        .write("env/secret.yaml", secret);
    let encrypted = Weir::command()
        .args([
            "secrets",
            "encrypt",
            "-i",
            "--encrypted-regex",
            "^stringData$",
            "--age",
        ])
        .args([recipient, "env/secret.yaml"])
        .current_dir(repository.path())
        .status();
    assert!(encrypted.unwrap().success());
    let commit = repository.commit("encrypted");
    repository.write("env/secret.yaml", "not even a manifest\n");
    let key = key.to_str().unwrap();
    let closed = printed(repository.path(), &["--rev", &commit, "env"]);
    assert!(closed.contains("password: ENC["), "{closed}");
    let masked = printed(repository.path(), &["--rev", &commit, "--key", key, "env"]);
    assert!(masked.contains("password: '***'"), "{masked}");
    let shown = printed(
        repository.path(),
        &["--rev", &commit, "--key", key, "--reveal", "env"],
    );
    assert!(shown.contains("password: of-the-revision"), "{shown}");
}

#[test]
fn the_controller_s_view_has_no_links() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("app/kustomization.yaml", "resources: [base]\n");
    write("app/base/kustomization.yaml", "resources: [real.yaml]\n");
    write("app/base/linked/a.yaml", &shop("one"));
    let link = folder.path().join("app/base/real.yaml");
    std::os::unix::fs::symlink("linked/a.yaml", link).unwrap();
    let text = printed(folder.path(), &["app"]);
    assert!(text.contains("kind: "), "{text}");
    let said = build(folder.path(), &["app", "--flux"]);
    assert!(!said.success, "{}", said.out);
    let told = "symbolic links are left out of sources, as in Flux: ";
    assert!(said.err.contains(told), "{}", said.err);
}

#[test]
fn a_field_says_where_it_comes_from() {
    let (work, _, _) = fleet();
    let out = printed(
        work.path(),
        &[
            "--rev",
            "v1.0.0",
            "--why",
            "ConfigMap/shop:metadata.name",
            "envs/prod",
        ],
    );
    assert_eq!(
        out,
        "ConfigMap/prod-shop metadata.name\n\
         VALUE      SET AT                          BY\n\
         shop       base/map.yaml:3                 resources[0] of base/kustomization.yaml:1\n\
         prod-shop  envs/prod/kustomization.yaml:2  namePrefix of envs/prod/kustomization.yaml:2\n"
    );
    let table = printed(work.path(), &["--why", "ConfigMap/shop", "envs/prod"]);
    let row = table
        .lines()
        .find(|line| line.starts_with("data.state"))
        .unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells[1..4],
        ["second", "base/map.yaml:4", "resources[0]"],
        "{table}"
    );
    let json = printed(
        work.path(),
        &["--why", "ConfigMap/shop:data", "-o", "json", "envs/prod"],
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let change = &json[0]["fields"][0]["changes"][0];
    assert_eq!(change["value"], "second");
    assert_eq!(change["at"]["file"], "base/map.yaml");
    assert_eq!(change["by"]["at"]["line"], 1);
    let said = build(work.path(), &["--why", "ConfigMap/shp", "envs/prod"]);
    assert!(
        said.err.contains("there is no ConfigMap/shp"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("hint: there is ConfigMap/prod-shop"),
        "{}",
        said.err
    );
    let said = build(
        work.path(),
        &["--why", "ConfigMap/shop", "-o", "xml", "envs/prod"],
    );
    assert!(said.err.contains("no format for --why"), "{}", said.err);
}

#[test]
fn what_a_secret_holds_is_not_told() {
    let (work, _, _) = fleet();
    work.write(
        "envs/bare/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {token: hidden}\n",
    );
    for format in ["table", "json"] {
        let arguments = ["--flux", "--why", "Secret/token", "-o", format, "envs/bare"];
        let out = printed(work.path(), &arguments);
        assert!(out.contains("***") && !out.contains("hidden"), "{out}");
    }
}
