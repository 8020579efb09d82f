//! Commits and pushes by the user's own git: hooks, races, branches.

use std::os::unix::fs::PermissionsExt;
use std::thread;

use weir_tests::{Credentials, GitServer, GitServerOptions, Repository, SshKey};

use crate::fleet::{HELM, PROD, STAGING, edit, fill, fleet, promote, read};
use crate::past::clone;

fn hook(work: &Repository, name: &str, script: &str) {
    work.write(
        &format!(".git/hooks/{name}"),
        format!("#!/bin/sh\n{script}\n"),
    );
    let path = work.path().join(".git/hooks").join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn hooks_run_and_a_refusal_leaves_the_work_tree_as_it_was() {
    let work = fleet();
    edit(&work, STAGING, "tag: v1", "tag: v2");
    let commit = work.commit("v2");
    hook(&work, "pre-commit", "echo not on a Friday >&2; exit 1");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(said.err.contains("not on a Friday"), "{}", said.err);
    assert_eq!(
        (work.head(), work.git(&["status", "--porcelain"])),
        (commit, String::new())
    );
    hook(&work, "pre-commit", "exit 0");
    hook(&work, "commit-msg", "echo 'Reviewed-by: hook' >> \"$1\"");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        work.git(&["log", "-1", "--format=%B"])
            .contains("Reviewed-by: hook")
    );
}

#[test]
fn what_is_not_committed_is_not_promoted_and_other_changes_are_left_alone() {
    let work = fleet();
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2");
    work.write("README.md", "mine\n");
    work.git(&["add", "README.md"]);
    edit(&work, STAGING, "tag: v2", "tag: v3");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        said.err
            .contains("stages/staging/shop/helm.yaml has changes that are not committed"),
        "{}",
        said.err
    );
    work.git(&["checkout", "--quiet", "--", STAGING]);
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert_eq!(work.git(&["status", "--porcelain"]), "A  README.md");
    assert!(
        !work
            .git(&["show", "--name-only", "--format=", "HEAD"])
            .contains("README.md")
    );
}

#[test]
fn a_push_writes_the_servers_branch_and_leaves_the_work_tree_alone() {
    let credentials = Credentials {
        username: "ada".to_owned(),
        password: "right".to_owned(),
    };
    let options = GitServerOptions {
        credentials: Some(credentials),
        tls: true,
    };
    let server = GitServer::start(options);
    let work = server.create_repository("fleet");
    fill(&work);
    work.publish("first");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    let commit = work.publish("v2");
    edit(&work, PROD, "tag: v1", "tag: mine");
    let said = promote(&work, &["staging", "prod", "--push"]).with(0);
    assert!(said.out.contains("to main of origin"), "{}", said.out);
    assert_eq!(work.head(), commit);
    assert!(read(&work, PROD).contains("tag: mine"));
    assert!(
        work.git(&["show", &format!("origin/main:{PROD}")])
            .contains("tag: v2")
    );
    assert_eq!(
        work.git(&["worktree", "list"]).lines().count(),
        1,
        "nothing is left behind"
    );
    assert!(
        work.git(&["log", "--format=%s", "origin/main", "-1"])
            .contains("Promote shop from staging to prod")
    );
}

#[test]
fn the_configured_credential_helper_and_signing_key_are_used() {
    let credentials = Credentials {
        username: "ada".to_owned(),
        password: "right".to_owned(),
    };
    let options = GitServerOptions {
        credentials: Some(credentials),
        tls: false,
    };
    let server = GitServer::start(options);
    let work = server.create_repository("fleet");
    fill(&work);
    work.publish("first");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.publish("v2");
    work.git(&["remote", "set-url", "origin", &server.url("fleet")]);
    let refused = promote(&work, &["staging", "prod", "--push"]).with(1);
    assert!(refused.err.contains("git fetch failed"), "{}", refused.err);

    let helper = "!f() { echo username=ada; echo password=right; }; f";
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, SshKey::generate("ed25519", "").private).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (name, value) in [
        ("credential.helper", helper),
        ("gpg.format", "ssh"),
        ("user.signingKey", key.to_str().unwrap()),
        ("commit.gpgSign", "true"),
    ] {
        work.git(&["config", name, value]);
    }
    promote(&work, &["staging", "prod", "--push"]).with(0);
    let commit = work.git(&["cat-file", "commit", "origin/main"]);
    assert!(
        commit.contains("gpgsig -----BEGIN SSH SIGNATURE"),
        "{commit}"
    );
    assert!(
        commit.contains("Promote shop from staging to prod"),
        "{commit}"
    );
}

#[test]
fn a_branch_of_its_own_is_brought_up_to_date() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    fill(&work);
    work.publish("first");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.publish("v2");
    let branch = "weir/promote/shop/staging-prod";
    let tip = || work.git(&["ls-remote", "origin", &format!("refs/heads/{branch}")]);
    let said = promote(&work, &["staging", "prod", "shop", "--branch"]).with(0);
    assert!(said.out.contains(branch), "{}", said.out);
    let first = tip();
    let said = promote(&work, &["staging", "prod", "shop", "--branch"]).with(0);
    assert!(said.out.contains("up to date"), "{}", said.out);
    assert_eq!(tip(), first);
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.publish("v3");
    promote(&work, &["staging", "prod", "shop", "--branch"]).with(0);
    assert_ne!(tip(), first);
    let file = format!("origin/{branch}:{PROD}");
    work.git(&["fetch", "--quiet", "origin"]);
    assert_eq!(
        work.git(&["show", &file]),
        HELM.replace("tag: v1", "tag: v3").trim_end()
    );
    assert!(
        work.git(&["show", &format!("origin/main:{PROD}")])
            .contains("tag: v1")
    );
}

/// Rounds of the race; each side promotes its own app in each.
const ROUNDS: usize = 25;

#[test]
fn two_promoters_who_race_fifty_times_lose_nothing() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    fill(&work);
    for stage in ["staging", "prod"] {
        for app in ["left", "right"] {
            work.write(
                &format!("stages/{stage}/{app}/kustomization.yaml"),
                "resources: [map.yaml]\n",
            )
            .write(&format!("stages/{stage}/{app}/map.yaml"), map(app, 0));
        }
        work.write(
            &format!("stages/{stage}/kustomization.yaml"),
            "resources:\n- shop\n- left\n- right\n",
        );
    }
    work.publish("first");
    for round in 1..=ROUNDS {
        for app in ["left", "right"] {
            work.write(&format!("stages/staging/{app}/map.yaml"), map(app, round));
        }
        work.git(&[
            "pull",
            "--quiet",
            "--rebase",
            "--autostash",
            "origin",
            "main",
        ]);
        work.publish(&format!("round {round}"));
        let clones = [clone(&server, &[]), clone(&server, &[])];
        thread::scope(|scope| {
            for (app, clone) in ["left", "right"].into_iter().zip(&clones) {
                scope.spawn(move || promote(clone, &["staging", "prod", app, "--push"]).with(0));
            }
        });
    }
    let last = clone(&server, &[]);
    for app in ["left", "right"] {
        assert_eq!(
            read(&last, &format!("stages/prod/{app}/map.yaml")),
            map(app, ROUNDS)
        );
        let count = last.git(&[
            "log",
            "--oneline",
            "--grep",
            &format!("Weir-Promotion: app={app} "),
        ]);
        assert_eq!(count.lines().count(), ROUNDS, "{app}");
    }
}

fn map(app: &str, round: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {app}\ndata:\n  round: \"{round}\"\n"
    )
}
