//! The default branch: its `weir.yaml` counts, and copies by hand count once they are on it.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_tests::{GitServer, GitServerOptions, Repository};

use crate::automatic::served;
use crate::fleet::{PROD, STAGING, edit, fill, fleet, promote, read, weir};

const FROZEN: &str =
    "freezes:\n- {name: holidays, from: 2020-01-01T00:00:00Z, to: 2100-01-01T00:00:00Z}\n";

/// A repository in which prod is frozen, and a branch on which it is not and staging has a version 2.
fn frozen(work: &Repository) {
    fill(work);
    work.write("weir.yaml", FROZEN);
    work.commit("frozen");
    work.branch("topic");
    work.write("weir.yaml", "freezes: []\n");
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.commit("version 2, and no freeze");
}

fn is_refused(work: &Repository, more: &[&str]) {
    let said = promote(work, &[&["staging", "prod"], more].concat()).with(1);
    assert!(
        said.err.contains("refused (freeze)"),
        "{more:?}: {}",
        said.err
    );
    assert!(!said.err.contains("warning"), "{more:?}: {}", said.err);
}

#[test]
fn a_branch_does_not_change_the_rules_by_which_it_is_promoted() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    frozen(&work);
    work.git(&["push", "--quiet", "origin", "main", "topic"]);
    for how in [&[][..], &["--commit"], &["--push"], &["--branch"]] {
        is_refused(&work, how);
    }
    // Somebody who stands on the default branch goes by what it is here.
    work.switch("main");
    work.git(&["merge", "--quiet", "--ff-only", "topic"]);
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(read(&work, PROD).contains("tag: v2"));
}

#[test]
fn a_branch_names_no_keys_that_states_are_believed_by() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    work.branch("topic");
    let text = read(work, "weir.yaml");
    let mut policy: Value = serde_json::from_str(&text).unwrap();
    policy["environments"]["staging"]["key"] = json!(fleet.ada.public);
    work.write("weir.yaml", policy.to_string());
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.commit("version 2, and another key");
    fleet.says(Some(&fleet.ada), 0, true);
    let said = promote(work, &["staging", "prod", "shop", "--commit"]).with(1);
    let refused = "refused (health): staging publishes a state that its key has not signed";
    assert!(said.err.contains(refused), "{}", said.err);
    fleet.says(Some(&fleet.staging), 0, true);
    promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
}

#[test]
fn a_branch_names_no_keys_that_a_rollback_goes_by() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    for (old, new) in [("v1", "v2"), ("v2", "v3"), ("v3", "v4")] {
        edit(
            work,
            STAGING,
            &format!("tag: {old}"),
            &format!("tag: {new}"),
        );
        work.commit(new);
        fleet.says(Some(&fleet.staging), 0, true);
        promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    }
    work.push();
    let second = work.git(&["rev-parse", "HEAD~4:stages/prod/shop"]);
    let now = Timestamp::now().to_string();
    let state = json!({
        "version": 1, "environment": "prod-eu", "at": now, "intervalSeconds": 300,
        "folders": {"stages/prod/shop": {"tree": null}}, "proven": {"stages/prod/shop": [second]},
    });
    work.branch("topic");
    let mut policy: Value = serde_json::from_str(&read(work, "weir.yaml")).unwrap();
    policy["environments"]["prod-eu"]["key"] = json!(fleet.ada.public);
    work.write("weir.yaml", policy.to_string());
    work.commit("another key");
    let shown = || weir(work.path(), &["rollback", "prod", "shop"]).with(2).out;
    fleet.publishes(Some(&fleet.ada), &state);
    assert!(shown().contains("v4 → v3"), "{}", shown());
    fleet.publishes(Some(&fleet.europe), &state);
    assert!(shown().contains("v4 → v2"), "{}", shown());
}

#[test]
fn the_clone_remembers_the_default_branch_or_it_is_named() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    work.git(&["branch", "--quiet", "--move", "trunk"]);
    frozen(&work);
    work.git(&["push", "--quiet", "origin", "trunk", "topic"]);
    is_refused(&work, &["--default-branch", "trunk"]);
    let said = promote(&work, &["staging", "prod", "--default-branch", "turnk"]).with(1);
    assert!(
        said.err.contains("this clone has no branch `turnk`"),
        "{}",
        said.err
    );
    let said = promote(&work, &["staging", "prod"]).with(2);
    let told =
        "warning: which branch is the default is not known here, so the weir.yaml of HEAD counts";
    assert!(said.err.contains(told), "{}", said.err);
    work.git(&["remote", "set-head", "origin", "trunk"]);
    is_refused(&work, &[]);
}

#[test]
fn a_copy_by_hand_counts_once_it_is_on_the_default_branch() {
    let work = fleet();
    work.branch("topic");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("version 2");
    work.write(PROD, read(&work, STAGING));
    work.commit("copied by hand");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("version 3");
    let said = promote(&work, &["staging", "prod"]).with(1);
    let both = "! spec.values.image.tag: was v1, staging made it v3, prod made it v2";
    assert!(said.out.contains(both), "{}", said.out);
    work.switch("main");
    work.git(&["merge", "--quiet", "--ff-only", "topic"]);
    let said = promote(&work, &["staging", "prod"]).with(2);
    let line = "~ spec.values.image.tag: v2 → v3";
    assert!(said.out.contains(line), "{}", said.out);
}

#[test]
fn a_copy_by_hand_that_a_branch_has_merged_counts_on_it() {
    let work = fleet();
    work.branch("topic");
    work.write("README.md", "a fleet\n");
    work.commit("a file");
    work.switch("main");
    for file in [STAGING, PROD] {
        edit(&work, file, "tag: v1", "tag: v2");
    }
    work.commit("version 2 everywhere");
    work.switch("topic");
    work.git(&["merge", "--quiet", "--no-edit", "main"]);
    edit(&work, STAGING, "tag: v2", "tag: v3");
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    work.commit("version 3, and a hotfix");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        said.out.contains("~ spec.values.image.tag: v2 → v3")
            && said.out.contains("prod keeps its own 5"),
        "{}",
        said.out
    );
}
