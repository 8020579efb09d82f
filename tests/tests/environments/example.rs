//! The sixth shape: the example repository, with a platform under its applications.

use std::path::{Path, PathBuf};

use weir_tests::Repository;

use crate::golden::same;
use crate::said::{json, printed, repository, weir};

/// The example as a repository.
pub(crate) fn example() -> Repository {
    let work = repository();
    work.copy(&folder(), "");
    work.commit("first");
    work
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flux-structure")
}

#[test]
fn its_environments_are_listed_with_their_versions() {
    let work = example();
    same("envs.txt", &printed(work.path(), &["envs"], 0));
    same(
        "matrix.txt",
        &printed(
            work.path(),
            &["envs", "--matrix", "--against", "staging"],
            0,
        ),
    );
    let list = printed(work.path(), &["envs", "-o", "json"], 0);
    same("envs.json", &list);
    // A stage stands for the first of its environments.
    let against = ["envs", "--matrix", "--against", "prod", "-o", "json"];
    same("matrix.json", &printed(work.path(), &against, 0));
    let list = printed(work.path(), &["envs", "-o", "yaml"], 0);
    assert!(
        list.contains("platform/monitoring/long-retention"),
        "{list}"
    );
    let said = weir(work.path(), &["envs", "--matrix", "--against", "stging"]);
    assert!(said.err.contains("did you mean `staging`?"), "{}", said.err);
    let inside = printed(&folder(), &["envs", "--root", "."], 0);
    assert_eq!(
        inside,
        printed(work.path(), &["envs"], 0),
        "a folder of another repository"
    );
}

#[test]
fn a_profile_s_patch_changes_that_service_in_the_clusters_with_that_profile() {
    let work = example();
    let file = "clusters/_profiles/prod/kustomization.yaml";
    let text = std::fs::read_to_string(work.path().join(file)).unwrap();
    work.write(
        file,
        text + "  - target: {kind: Kustomization, name: ingress-nginx}\n    patch: |\n      - op: add\n        path: /spec/components\n        value: [../nodeport]\n",
    );
    work.commit("node ports in production");
    let sides = ["--from", "main~1", "--to", "main"];
    let plan = [&["plan"], &sides[..]].concat();
    same("profile.txt", &printed(work.path(), &plan, 2));
    let affected = [&["affected"], &sides[..]].concat();
    same("profile-affected.txt", &printed(work.path(), &affected, 2));
}

#[test]
fn an_environment_that_nothing_leads_to_is_shown_and_built() {
    let work = example();
    work.write(
        "envs/lab/kustomization.yaml",
        "resources: [../../stages/staging]\n",
    );
    let list = json(work.path(), &["envs"], 0);
    let lab = list
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "lab")
        .unwrap();
    assert_eq!(
        (&lab["kind"], &lab["stages"][0]),
        (&"unreached".into(), &"staging".into())
    );
    work.write(
        "envs/lab/kustomization.yaml",
        "resources: [../../stages/none]\n",
    );
    let said = weir(work.path(), &["envs"]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("lab, envs/lab does not build:"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("1 environment does not build"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_not_committed_is_compared_too() {
    let work = example();
    work.write("stages/staging/shop/app-config.yaml", "kind: [");
    assert_eq!(weir(work.path(), &["plan", "--from", "main"]).code, 1);
    work.git(&["checkout", "--quiet", "stages"]);
    assert_eq!(
        printed(work.path(), &["plan"], 0),
        "Plan: nothing changes · 3 environments\n"
    );
}
