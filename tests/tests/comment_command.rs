//! `weir comment` as a CI job runs it: against a forge's API, with a clone of both branches.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::process::Output;

use weir_tests::forge_server::{ForgeServer, Kind, PullRequest, REPOSITORY, TOKEN};
use weir_tests::objects::{config_map, kustomization_file};
use weir_tests::scene::workspace;
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
        let job = job(kind, &api);
        let job: Vec<(&str, &str)> = job.iter().map(|(name, value)| (*name, &**value)).collect();
        let output = run(&repository, &job, &[]);
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
            said(&run(&repository, &job, &[])),
            "comment says so already: https://forge/1\n"
        );
        let next = repository
            .write("base/settings.yaml", config_map("settings", "size", "two"))
            .commit("smaller");
        server.state().requests[0].commit = next;
        let output = run(&repository, &job, &[]);
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

/// The environment of a job, in the words of its forge.
fn job(kind: Kind, api: &str) -> Vec<(&'static str, String)> {
    let named: &[(&str, &str)] = match kind {
        Kind::GitLab => &[
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", api),
            ("CI_MERGE_REQUEST_PROJECT_PATH", REPOSITORY),
            ("CI_MERGE_REQUEST_IID", "1"),
            ("GITLAB_TOKEN", TOKEN),
        ],
        Kind::GitHub | Kind::Gitea => &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", api),
            ("GITHUB_REPOSITORY", REPOSITORY),
            ("GITHUB_REF", "refs/pull/1/merge"),
            ("GITHUB_TOKEN", TOKEN),
        ],
    };
    let named = named.iter();
    named
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

/// Encrypts a ConfigMap for the key of the example, which the job has.
fn seal(repository: &Repository, path: &str, value: &str) {
    let key = workspace().join("examples/flux-structure/age.agekey");
    let text = std::fs::read_to_string(key).unwrap();
    let recipient = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    repository.write("plain", config_map("sealed", "token", value));
    let output = Weir::command()
        .args(["secrets", "encrypt", "--age", recipient.unwrap()])
        .args(["--encrypted-regex", "^data$", "--format", "yaml", "plain"])
        .current_dir(repository.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    std::fs::remove_file(repository.path().join("plain")).unwrap();
    repository.write(path, output.stdout);
}

#[test]
fn a_pull_request_from_a_fork_is_told_without_a_cluster_and_without_keys() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let (repository, _) = repository();
        repository.write(
            "base/kustomization.yaml",
            kustomization_file(&["settings.yaml", "sealed.yaml"]),
        );
        seal(&repository, "base/sealed.yaml", "hunter2-one");
        repository.commit("sealed");
        repository.git(&["branch", "--force", "main"]);
        seal(&repository, "base/sealed.yaml", "hunter2-two");
        let head = repository.commit("another one");
        let server = forge(kind, &head);
        server.state().requests[0].repository = "mallory/fleet".to_owned();
        let key = workspace().join("examples/flux-structure/age.agekey");
        let mut job = job(kind, &server.api());
        job.push(("SOPS_AGE_KEY", std::fs::read_to_string(&key).unwrap()));
        let job: Vec<(&str, &str)> = job.iter().map(|(name, value)| (*name, &**value)).collect();
        // The kubeconfig is not even read.
        let flags = ["--kubeconfig", "absent.yaml"];
        let output = run(&repository, &job, &flags);
        assert!(output.status.success(), "{kind:?}: {}", said(&output));
        let comment = server.state().comments[0].2.clone();
        for told in [
            "From a fork: told without keys and without a cluster.",
            "Plan: 2 may change",
            "may change: (known after apply: encrypted in base/sealed.yaml)",
        ] {
            assert!(comment.contains(told), "{kind:?}: {told}: {comment}");
        }
        assert!(!comment.contains("hunter2"), "{comment}");

        // One of the repository itself is asked for, and then it is missed.
        server.state().requests[0].repository = REPOSITORY.to_owned();
        let output = run(&repository, &job, &flags);
        assert_eq!(output.status.code(), Some(1), "{kind:?}: {}", said(&output));
        assert!(said(&output).contains("absent.yaml"), "{}", said(&output));
    }
}
