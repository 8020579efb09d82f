//! The jobs that the documentation tells people to write: what they run is taken from its pages, and run in clones as CI
//! servers make them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::{Command, Output};

use weir_tests::forge_server::{ForgeServer, Kind, PullRequest, REPOSITORY, TOKEN};
use weir_tests::objects::{config_map, kustomization_file};
use weir_tests::scene::workspace;
use weir_tests::{Repository, Weir};

/// A page of the documentation.
fn page(name: &str) -> String {
    std::fs::read_to_string(workspace().join("docs").join(name)).unwrap()
}

/// The part of a page below a heading.
fn below<'t>(page: &'t str, heading: &str) -> &'t str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The shell lines of the first block of YAML: the entries of `script`, or what `run` says.
fn lines(text: &str) -> Vec<String> {
    let (_, block) = text.split_once("```yaml\n").unwrap();
    let block = block.split("```").next().unwrap();
    let mut lines = Vec::new();
    let mut is_script = false;
    for line in block.lines().map(str::trim) {
        match line.strip_prefix("- run: ") {
            Some(run) => lines.push(run.to_owned()),
            None if is_script => lines.extend(line.strip_prefix("- ").map(str::to_owned)),
            None => {}
        }
        is_script |= line == "script:";
    }
    assert!(!lines.is_empty(), "{block}");
    lines
}

/// The repository on the server: a branch that changes an app, and one that has gone on meanwhile.
struct Server {
    repository: Repository,
    head: String,
    forge: ForgeServer,
}

fn server(kind: Kind) -> Server {
    let repository = Repository::create("https://forge.invalid/acme/fleet.git", None);
    repository
        .write(
            "envs/prod/kustomization.yaml",
            kustomization_file(&["settings.yaml"]),
        )
        .write(
            "envs/prod/settings.yaml",
            config_map("settings", "size", "one"),
        )
        .commit("first");
    repository.branch("larger");
    let head = repository
        .write(
            "envs/prod/settings.yaml",
            config_map("settings", "size", "two"),
        )
        .commit("larger");
    repository.switch("main");
    repository.write("README.md", "new").commit("elsewhere");
    // As forges have it: a commit is given to whoever can name it.
    repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let forge = ForgeServer::start(kind);
    forge.state().requests.push(PullRequest {
        source: "larger".to_owned(),
        target: "main".to_owned(),
        commit: head.clone(),
        repository: REPOSITORY.to_owned(),
        ..PullRequest::default()
    });
    Server {
        repository,
        head,
        forge,
    }
}

/// Runs Git, or a job's lines, in a folder with nothing but a job's environment.
fn run(folder: &Path, program: &[&str], job: &[(&str, &str)]) -> Output {
    let weir = Weir::command().get_program().to_owned();
    let bin = Path::new(&weir).parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new(program[0])
        .args(&program[1..])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", folder)
        .envs(job.iter().copied())
        .output()
        .unwrap()
}

fn shell(folder: &Path, lines: &[String], job: &[(&str, &str)]) -> String {
    let output = run(folder, &["sh", "-euc", &lines.join("\n")], job);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{lines:?}: {said}");
    said
}

/// A clone as a job gets it: made by these calls of Git.
fn clone(server: &Server, calls: &[&[&str]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", server.repository.path().display());
    let first: &[&[&str]] = &[&["init", "--quiet"], &["remote", "add", "origin", &url]];
    for call in [first, calls].concat() {
        let output = run(folder.path(), &[&["git"], call].concat(), &[]);
        assert!(output.status.success(), "{call:?}: {output:?}");
    }
    folder
}

fn comment(server: &Server) -> String {
    let comments = server.forge.state().comments.clone();
    assert_eq!(comments.len(), 1, "{comments:?}");
    comments[0].2.clone()
}

#[test]
fn a_job_of_github_writes_the_comment() {
    let page = page("pull-requests.md");
    let lines = lines(below(&page, "GitHub"));
    let server = server(Kind::GitHub);
    let api = server.forge.api();
    let job = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &*api),
        ("GITHUB_REPOSITORY", REPOSITORY),
        ("GITHUB_REF", "refs/pull/1/merge"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    // What `actions/checkout` does with `fetch-depth: 0` and `ref`.
    let branches = "+refs/heads/*:refs/remotes/origin/*";
    let all: &[&str] = &["fetch", "--quiet", "--tags", "origin", branches];
    let work = clone(
        &server,
        &[all, &["checkout", "--quiet", "--detach", &server.head]],
    );
    let said = shell(work.path(), &lines, &job);
    assert_eq!(said, "comment written: https://forge/1\n");
    assert!(
        comment(&server).contains("data.size: one → two"),
        "{}",
        comment(&server)
    );

    // On `pull_request_target`: the other branch is checked out, and the commit of the fork is fetched by its id.
    server.forge.state().requests[0].repository = "mallory/fleet".to_owned();
    let main: &[&str] = &[
        "fetch",
        "--quiet",
        "origin",
        "+main:refs/remotes/origin/main",
    ];
    let work = clone(
        &server,
        &[main, &["checkout", "--quiet", "--detach", "origin/main"]],
    );
    let (_, text) = page.split_once("fetch the commits with `").unwrap();
    let fetch = text.split('`').next().unwrap();
    let fetch = fetch.replace("${{ github.event.pull_request.head.sha }}", &server.head);
    let lines = [&[fetch][..], &lines].concat();
    let said = shell(work.path(), &lines, &job);
    assert!(said.contains("comment brought up to date"), "{said}");
    let text = comment(&server);
    assert!(
        text.contains("data.size: one → two") && text.contains("From a fork: told without keys"),
        "{text}"
    );
    let settings = work.path().join("envs/prod/settings.yaml");
    let text = std::fs::read_to_string(settings).unwrap();
    assert!(!text.contains("two"), "nothing of the fork is checked out");
}

#[test]
fn a_job_of_gitlab_writes_the_comment() {
    let page = page("pull-requests.md");
    let lines = lines(below(&page, "GitLab"));
    let server = server(Kind::GitLab);
    let api = server.forge.api();
    let job = [
        ("GITLAB_CI", "true"),
        ("CI_API_V4_URL", &*api),
        ("CI_MERGE_REQUEST_PROJECT_PATH", REPOSITORY),
        ("CI_MERGE_REQUEST_IID", "1"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("GITLAB_TOKEN", TOKEN),
    ];
    // A runner fetches the one ref of the merge request, with all of its history as GIT_DEPTH is 0.
    let one = format!("+{}:refs/pipelines/1", server.head);
    let work = clone(
        &server,
        &[
            &["fetch", "--quiet", "--no-tags", "origin", &one],
            &["checkout", "--quiet", "--detach", &server.head],
        ],
    );
    let said = shell(work.path(), &lines, &job);
    assert!(
        said.contains("comment written: https://forge/1\n"),
        "{said}"
    );
    let text = comment(&server);
    assert!(text.contains("data.size: one → two"), "{text}");
}

#[test]
fn other_tools_get_the_plan_and_the_findings_as_files() {
    let server = server(Kind::GitHub);
    let branches = "+refs/heads/*:refs/remotes/origin/*";
    let work = clone(
        &server,
        &[
            &["fetch", "--quiet", "origin", branches],
            &["checkout", "--quiet", "--detach", &server.head],
        ],
    );
    let page_of_plan = page("plan.md");
    let text = below(&page_of_plan, "On a pull request");
    let (_, block) = text.split_once("```sh\n").unwrap();
    let line = block.split("```").next().unwrap().trim().to_owned();
    shell(work.path(), &[line], &[("TARGET_BRANCH", "main")]);
    let text = std::fs::read_to_string(work.path().join("comment.md")).unwrap();
    assert!(
        text.starts_with("<!-- weir plan -->\n") && text.contains("data.size: one → two"),
        "{text}"
    );

    let page_of_lint = page("lint.md");
    let found = lines(below(&page_of_lint, "In a forge"));
    let settings = work.path().join("envs/prod/settings.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    for (text, count) in [
        (text.clone(), 0),
        (text.replace("\"data\"", "\"daata\""), 1),
    ] {
        std::fs::write(&settings, text).unwrap();
        shell(work.path(), &found, &[]);
        let text = std::fs::read(work.path().join("lint.sarif")).unwrap();
        let sarif: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), count, "{sarif:#}");
    }
}
