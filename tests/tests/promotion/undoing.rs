//! `weir rollback` and `weir history`.

use crate::fleet::{HELM, PROD, STAGING, edit, exists, fleet, promote, read, weir};
use crate::past::clone;
use weir_tests::{GitServer, GitServerOptions, Repository};

/// Promotes a tag.
fn release(work: &Repository, old: &str, new: &str) {
    edit(
        work,
        STAGING,
        &format!("tag: {old}"),
        &format!("tag: {new}"),
    );
    work.commit(new);
    promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
}

fn rollback(work: &Repository, arguments: &[&str]) -> crate::fleet::Said {
    let all: Vec<&str> = std::iter::once("rollback")
        .chain(arguments.iter().copied())
        .collect();
    weir(work.path(), &all)
}

#[test]
fn a_rollback_keeps_later_edits_and_the_fix_goes_through() {
    let work = fleet();
    release(&work, "v1", "v2");
    work.write(
        "stages/staging/shop/new.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n",
    );
    edit(
        &work,
        "stages/staging/shop/kustomization.yaml",
        "- helm.yaml\n",
        "- helm.yaml\n- new.yaml\n",
    );
    release(&work, "v2", "v3");
    let refused = work.git(&["rev-parse", "HEAD^"]);
    edit(&work, PROD, "replicas: 2", "replicas: 7 # load");
    work.commit("hotfix after the promotion");

    let shown = rollback(&work, &["prod-eu", "shop"]).with(2);
    assert!(
        shown.out.contains("spec.values.image.tag: v3 → v2"),
        "{}",
        shown.out
    );
    assert!(
        shown.out.contains("No health is known here"),
        "{}",
        shown.out
    );
    rollback(
        &work,
        &["prod", "shop", "--reason", "checkout fails", "--commit"],
    )
    .with(0);
    assert_eq!(
        read(&work, PROD),
        HELM.replace("tag: v1", "tag: v2")
            .replace("replicas: 2", "replicas: 7 # load")
    );
    assert!(!exists(&work, "stages/prod/shop/new.yaml"));
    assert!(!read(&work, "stages/prod/shop/kustomization.yaml").contains("new.yaml"));
    let record: serde_json::Value =
        serde_json::from_str(&read(&work, ".weir/promotions/prod/shop.json")).unwrap();
    assert_eq!(record["hold"]["refused"], refused.as_str());
    assert_eq!(record["hold"]["who"], "Ada <ada@example.org>");
    assert_eq!(record["hold"]["why"], "checkout fails");

    edit(&work, STAGING, "tag: v3", "tag: v4");
    work.commit("the fix");
    let fixed = promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert!(
        fixed.out.contains("~ spec.values.image.tag: v2 → v4"),
        "{}",
        fixed.out
    );
    assert_eq!(
        read(&work, PROD),
        HELM.replace("tag: v1", "tag: v4")
            .replace("replicas: 2", "replicas: 7 # load")
    );
    assert!(
        exists(&work, "stages/prod/shop/new.yaml"),
        "what the refused version brought comes with the fix"
    );
    assert!(
        !read(&work, ".weir/promotions/prod/shop.json").contains("hold"),
        "a promotion ends the hold"
    );

    let table = weir(work.path(), &["history", "prod"]).with(0).out;
    let what: Vec<&str> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(3))
        .collect();
    assert_eq!(
        what,
        [
            "promotion",
            "rollback",
            "edit",
            "promotion",
            "promotion",
            "edit"
        ],
        "{table}"
    );
}

#[test]
fn rollbacks_go_further_back_and_not_too_far() {
    let work = fleet();
    release(&work, "v1", "v2");
    release(&work, "v2", "v3");
    release(&work, "v3", "v4");
    rollback(&work, &["prod", "shop", "--commit"]).with(0);
    assert!(read(&work, PROD).contains("tag: v3"));
    rollback(&work, &["prod", "shop", "--commit"]).with(0);
    assert!(
        read(&work, PROD).contains("tag: v2"),
        "after a rollback the one before what it restored is meant"
    );
    let said = rollback(&work, &["prod", "shop", "--commit"]).with(1);
    assert!(
        said.err.contains("no promotion into prod that is 1 before"),
        "{}",
        said.err
    );

    let work = fleet();
    release(&work, "v1", "v2");
    release(&work, "v2", "v3");
    release(&work, "v3", "v4");
    rollback(&work, &["prod", "shop", "--to", "2", "--commit"]).with(0);
    assert!(read(&work, PROD).contains("tag: v2"));
    rollback(&work, &["prod", "shop", "--lift", "--commit"]).with(0);
    assert!(!read(&work, ".weir/promotions/prod/shop.json").contains("hold"));
    assert!(
        read(&work, PROD).contains("tag: v2"),
        "to lift a hold changes no version"
    );
}

#[test]
fn a_rollback_of_all_apps_leaves_those_out_that_are_held() {
    let work = fleet();
    let map = |version: u32| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: search}}\ndata: {{version: v{version}}}\n"
        )
    };
    for stage in ["staging", "prod"] {
        edit(
            &work,
            &format!("stages/{stage}/kustomization.yaml"),
            "- shop\n",
            "- shop\n- search\n",
        );
        let folder = format!("stages/{stage}/search");
        work.write(
            &format!("{folder}/kustomization.yaml"),
            "resources: [map.yaml]\n",
        )
        .write(&format!("{folder}/map.yaml"), map(1));
    }
    work.commit("search");
    let search = || read(&work, "stages/prod/search/map.yaml");
    for version in [2, 3] {
        work.write("stages/staging/search/map.yaml", map(version));
        let [old, new] = [version - 1, version].map(|version| format!("tag: v{version}"));
        edit(&work, STAGING, &old, &new);
        work.commit("the next version of both");
        promote(&work, &["staging", "prod", "--commit"]).with(0);
    }
    rollback(&work, &["prod", "search", "--commit"]).with(0);
    rollback(&work, &["prod", "--commit"]).with(0);
    assert_eq!(search(), map(2), "held already");
    assert!(read(&work, PROD).contains("tag: v2"));
    let said = rollback(&work, &["prod", "--commit"]).with(1);
    assert!(said.err.contains("held already"), "{}", said.err);
    rollback(&work, &["prod", "shop", "--lift", "--commit"]).with(0);
    rollback(&work, &["prod", "--lift", "--commit"]).with(0);
    for app in ["shop", "search"] {
        let record = read(&work, &format!(".weir/promotions/prod/{app}.json"));
        assert!(!record.contains("hold"), "{record}");
    }
    let said = rollback(&work, &["prod", "--lift"]).with(1);
    assert!(said.err.contains("prod is not held"), "{}", said.err);
}

#[test]
fn what_somebody_changed_since_is_not_undone() {
    let work = fleet();
    release(&work, "v1", "v2");
    release(&work, "v2", "v3");
    edit(&work, PROD, "tag: v3", "tag: v3-patched");
    let commit = work.commit("patched in prod");
    let said = rollback(&work, &["prod", "shop", "--commit"]).with(1);
    assert!(
        said.err
            .contains("stages/prod/shop/helm.yaml:spec.values.image.tag"),
        "{}",
        said.err
    );
    assert_eq!(work.head(), commit);
}

#[test]
fn a_rollback_is_pushed_like_a_promotion() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    crate::fleet::fill(&work);
    work.commit("first");
    release(&work, "v1", "v2");
    release(&work, "v2", "v3");
    work.push();
    rollback(&work, &["prod", "shop", "--push"]).with(0);
    assert!(
        read(&work, PROD).contains("tag: v3"),
        "the work tree is left alone"
    );
    let other = clone(&server, &[]);
    assert!(read(&other, PROD).contains("tag: v2"));
}

#[test]
fn the_matrix_says_how_each_app_stands_to_the_stage_before() {
    let work = fleet();
    release(&work, "v1", "v2");
    let state = || {
        let table = weir(work.path(), &["envs", "--matrix"]).with(0).out;
        let line = table
            .lines()
            .find(|line| line.starts_with("staging → prod"))
            .unwrap()
            .to_owned();
        line.split("shop").nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(state(), "the same");
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("behind, and a hotfix");
    assert_eq!(state(), "1 place behind, 1 edit of its own");
    edit(&work, PROD, "tag: v2", "tag: v2-patched");
    work.commit("diverged");
    assert_eq!(state(), "1 place diverged, 1 edit of its own");
    let pin = [
        "staging",
        "prod",
        "shop",
        "--commit",
        "--pin",
        "shop/helm.yaml:spec.values",
        "--reason",
        "prod's own",
    ];
    promote(&work, &pin).with(0);
    assert_eq!(state(), "1 place pinned");
    let json = weir(work.path(), &["envs", "--matrix", "-o", "json"])
        .with(0)
        .out;
    let values: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(values.last().unwrap()["pinned"], 1, "{json}");
}
