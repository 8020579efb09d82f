//! `weir comment` as a CI job runs it: against a forge's API, with a clone of both branches.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::process::Output;

use weir_tests::forge_server::{ForgeServer, Kind, PullRequest, REPOSITORY, TOKEN};
use weir_tests::objects::{config_map, kustomization_file};
use weir_tests::{Repository, Weir};

const MARKER: &str = "<!-- weir plan -->";

/// A repository with two environments, and a branch that changes what both have.
fn repository() -> (Repository, String) {
    let repository = Repository::create("https://forge.invalid/acme/fleet.git", None);
    for name in ["prod-eu", "prod-us"] {
        repository.write(
            &format!("envs/{name}/kustomization.yaml"),
            kustomization_file(&["../../base"]),
        );
    }
    repository
        .write(
            "base/kustomization.yaml",
            kustomization_file(&["settings.yaml"]),
        )
        .write("base/settings.yaml", config_map("settings", "size", "one"))
        .commit("first");
    repository.branch("larger");
    let head = repository
        .write(
            "base/settings.yaml",
            config_map("settings", "size", "@ada ```\\n<b>"),
        )
        .commit("larger");
    // Meanwhile the other branch has gone on: that is not the doing of this one.
    repository.switch("main");
    repository
        .write("envs/prod-us/kustomization.yaml", kustomization_file(&[]))
        .commit("Empty");
    repository.switch("larger");
    (repository, head)
}

fn forge(kind: Kind, commit: &str) -> ForgeServer {
    let server = ForgeServer::start(kind);
    server.state().requests.push(PullRequest {
        source: "larger".to_owned(),
        target: "main".to_owned(),
        commit: commit.to_owned(),
        repository: REPOSITORY.to_owned(),
        ..PullRequest::default()
    });
    server
}

/// Runs the command in a job's environment.
fn run(repository: &Repository, job: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Weir::command();
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(job.iter().copied())
        .current_dir(repository.path())
        .arg("comment")
        .args(arguments);
    command.output().expect("run weir")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_job_of_each_forge_writes_one_comment_and_keeps_it_up_to_date() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (repository, head) = repository();
        let server = forge(kind, &head);
        let api = server.api();
        let job: &[(&str, &str)] = match kind {
            Kind::GitLab => &[
                ("GITLAB_CI", "true"),
                ("CI_API_V4_URL", &api),
                ("CI_MERGE_REQUEST_PROJECT_PATH", REPOSITORY),
                ("CI_MERGE_REQUEST_IID", "1"),
                ("GITLAB_TOKEN", TOKEN),
            ],
            Kind::GitHub | Kind::Gitea => &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_API_URL", &api),
                ("GITHUB_REPOSITORY", REPOSITORY),
                ("GITHUB_REF", "refs/pull/1/merge"),
                ("GITHUB_TOKEN", TOKEN),
            ],
        };
        let output = run(&repository, job, &[]);
        assert!(output.status.success(), "{kind:?}: {}", said(&output));
        assert_eq!(said(&output), "comment written: https://forge/1\n");
        let comment = server.state().comments[0].2.clone();
        assert!(
            comment.starts_with(&format!("{MARKER}\n### Plan: ")),
            "{comment}"
        );
        // No prune among them: what the other branch lost is its own doing.
        let counts = "Plan: 2 change · 2 of 2 environments";
        assert!(comment.contains(counts), "{comment}");

        assert_eq!(
            said(&run(&repository, job, &[])),
            "comment says so already: https://forge/1\n"
        );
        let next = repository
            .write("base/settings.yaml", config_map("settings", "size", "two"))
            .commit("smaller");
        server.state().requests[0].commit = next;
        let output = run(&repository, job, &[]);
        assert_eq!(
            said(&output),
            "comment brought up to date: https://forge/1\n"
        );
        let comments = server.state().comments.clone();
        assert_eq!(comments.len(), 1, "{comments:?}");
        assert!(
            comments[0].2.contains("data.size: one → two"),
            "{}",
            comments[0].2
        );
    }
}

#[test]
fn by_hand_the_flags_say_all_and_several_comments_stand_side_by_side() {
    let (repository, head) = repository();
    let server = forge(Kind::Gitea, &head);
    let api = server.api();
    let flags = [
        "--forge=gitea",
        &*format!("--forge-api={api}"),
        "--forge-repository=acme/fleet",
        "--pull-request=1",
    ];
    for name in ["--name=eu", "--name=us", "--name=eu"] {
        let arguments: Vec<&str> = flags.iter().copied().chain([name]).collect();
        let output = run(&repository, &[("WEIR_FORGE_TOKEN", TOKEN)], &arguments);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(server.state().comments.len(), 2);

    // Without a token nothing is sent; a wrong one is no secret's place in a message.
    let calls = server.state().calls.len();
    let output = run(&repository, &[], &flags);
    assert!(
        said(&output).contains("no token for the forge"),
        "{}",
        said(&output)
    );
    assert_eq!(server.state().calls.len(), calls);
    let output = run(&repository, &[("WEIR_FORGE_TOKEN", "wrong-4711")], &flags);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("the forge answered 401: Bad credentials"),
        "{}",
        said(&output)
    );
    assert!(!said(&output).contains("4711"), "{}", said(&output));
}

#[test]
fn an_environment_that_no_longer_builds_is_told_there_and_is_an_error() {
    let (repository, _) = repository();
    let head = repository
        .write("base/settings.yaml", "kind: [\n")
        .commit("broken");
    let server = forge(Kind::GitHub, &head);
    let api = server.api();
    let job = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &*api),
        ("GITHUB_REPOSITORY", REPOSITORY),
        ("GITHUB_REF", "refs/pull/1/merge"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    let output = run(&repository, &job, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let comment = server.state().comments[0].2.clone();
    assert!(comment.contains("does not build any more"), "{comment}");
}

#[test]
fn a_pull_request_from_a_fork_is_told_without_a_cluster() {
    let (repository, head) = repository();
    let server = forge(Kind::GitHub, &head);
    server.state().requests[0].repository = "mallory/fleet".to_owned();
    let api = server.api();
    let job = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &*api),
        ("GITHUB_REPOSITORY", REPOSITORY),
        ("GITHUB_REF", "refs/pull/1/merge"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    // The kubeconfig is not even read.
    let flags = ["--kubeconfig", "absent.yaml"];
    let output = run(&repository, &job, &flags);
    assert!(output.status.success(), "{}", said(&output));
    let comment = server.state().comments[0].2.clone();
    let note = "From a fork: told without keys and without a cluster.";
    assert!(
        comment.contains(note) && comment.contains("Plan: 2 change"),
        "{comment}"
    );

    // One of the repository itself is, and then it is missed.
    server.state().requests[0].repository = REPOSITORY.to_owned();
    let output = run(&repository, &job, &flags);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("absent.yaml"), "{}", said(&output));
}
