//! Looking up and fetching: every form of reference, what travels when, and what failures are called.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use controller::source::{
    Access, Credentials as SourceCredentials, Fetched, Reference, Remote, RemoteUrl, Repositories,
    SourceError, recall, refresh,
};
use overlay::Tree;
use tempfile::TempDir;
use weir_tests::{Credentials, GitServer, GitServerOptions};

/// Weir's side: a storage folder and how to get in.
struct Client {
    storage: TempDir,
    repositories: Arc<Repositories>,
    access: Access,
}

impl Client {
    fn new() -> Self {
        let storage = tempfile::tempdir().unwrap();
        let repositories = Arc::new(Repositories::new(storage.path().to_owned()));
        Self {
            storage,
            repositories,
            access: Access::default(),
        }
    }

    /// The same storage after a restart.
    fn restart(&mut self) {
        self.repositories = Arc::new(Repositories::new(self.storage.path().to_owned()));
    }

    async fn look(&self, url: &str, reference: Reference) -> Result<Fetched, SourceError> {
        let remote = Remote {
            url: RemoteUrl::parse(url)?.0,
            access: self.access.clone(),
            timeout: Duration::from_secs(20),
        };
        refresh(&self.repositories, "ns/name", &remote, &reference).await
    }

    /// The one cache on disk.
    fn cache(&self) -> PathBuf {
        let owner = only(&self.storage.path().join("git"));
        only(&owner)
    }

    /// The repository in it.
    fn repository(&self) -> PathBuf {
        only(&self.cache())
    }
}

/// The one thing in a folder.
fn only(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    let first = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "more than one in {folder:?}");
    first
}

fn branch(name: &str) -> Reference {
    Reference::Branch(name.to_owned())
}

fn text(fetched: &Fetched, path: &str) -> String {
    String::from_utf8(fetched.tree.read(path).unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn every_form_of_reference_finds_its_commit() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("forms");
    let first = work.write("a.txt", "one").publish("first\n\nbody");
    work.git(&["tag", "v1.0.0"]);
    let second = work.write("a.txt", "two").publish("second");
    work.tag("v1.1.0");
    work.tag("v2.0.0-rc.1");
    work.branch("feature/x");
    let third = work.write("a.txt", "three").publish("third");
    work.git(&[
        "push",
        "--quiet",
        "origin",
        "HEAD:refs/pull/1/head",
        "--tags",
    ]);

    let client = Client::new();
    let url = server.url("forms");
    let tag = |name: &str| Reference::Tag(name.to_owned());
    let name = |name: &str| Reference::Name(name.to_owned());
    let commit = |id: &str, branch: Option<&str>| Reference::Commit {
        id: id.to_owned(),
        branch: branch.map(str::to_owned),
    };
    let semver = |range: &str| Reference::Semver(range.to_owned());
    let cases = [
        (branch("main"), format!("main@sha1:{second}"), "two"),
        (
            branch("feature/x"),
            format!("feature/x@sha1:{third}"),
            "three",
        ),
        (tag("v1.0.0"), format!("v1.0.0@sha1:{first}"), "one"),
        (tag("v1.1.0"), format!("v1.1.0@sha1:{second}"), "two"),
        (semver(">=1.0.0"), format!("v1.1.0@sha1:{second}"), "two"),
        (semver("<1.1.0"), format!("v1.0.0@sha1:{first}"), "one"),
        (
            semver(">=2.0.0-0"),
            format!("v2.0.0-rc.1@sha1:{second}"),
            "two",
        ),
        (
            name("refs/pull/1/head"),
            format!("refs/pull/1/head@sha1:{third}"),
            "three",
        ),
        (
            name("refs/heads/main"),
            format!("refs/heads/main@sha1:{second}"),
            "two",
        ),
        (
            name("refs/tags/v1.1.0"),
            format!("refs/tags/v1.1.0@sha1:{second}"),
            "two",
        ),
        (commit(&first, None), format!("sha1:{first}"), "one"),
        (
            commit(&first, Some("main")),
            format!("main@sha1:{first}"),
            "one",
        ),
    ];
    for (reference, revision, content) in cases {
        let fetched = client.look(&url, reference.clone()).await;
        let fetched = fetched.unwrap_or_else(|error| panic!("{reference:?}: {error}"));
        assert_eq!(fetched.revision, revision, "{reference:?}");
        assert_eq!(text(&fetched, "a.txt"), content, "{reference:?}");
    }
    let fetched = client.look(&url, commit(&first, None)).await.unwrap();
    assert_eq!(fetched.commit.subject, "first");
    assert_eq!(fetched.commit.author, "Ada <ada@example.org>");
}

#[tokio::test]
async fn a_known_commit_costs_one_request_and_fetches_nothing() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("quiet");
    work.write("a.txt", "one").publish("first");
    let client = Client::new();
    let url = server.url("quiet");
    assert!(!client.look(&url, branch("main")).await.unwrap().known);

    let before = server.requests().len();
    assert!(client.look(&url, branch("main")).await.unwrap().known);
    let asked = server.requests().split_off(before);
    assert_eq!(asked, ["POST /quiet.git/git-upload-pack"]);

    work.write("a.txt", "two").publish("second");
    let before = server.requests().len();
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert!(!fetched.known);
    assert_eq!(text(&fetched, "a.txt"), "two");
    let asked = server.requests().split_off(before);
    assert_eq!(
        asked.len(),
        2,
        "where the branch points, and a pack: {asked:?}"
    );
}

#[tokio::test]
async fn a_commit_that_is_named_and_known_costs_nothing() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("named");
    let id = work.write("a.txt", "one").publish("first");
    let client = Client::new();
    let reference = Reference::Commit { id, branch: None };
    client
        .look(&server.url("named"), reference.clone())
        .await
        .unwrap();
    let before = server.requests().len();
    client.look(&server.url("named"), reference).await.unwrap();
    assert_eq!(server.requests().len(), before);
}

#[tokio::test]
async fn only_what_is_new_travels() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("shallow");
    // Text that does not compress away: the bytes of the pack are what is measured.
    let noise: String = (0_u64..200_000)
        .map(|n| format!("{:016x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    work.write("large.txt", &noise)
        .write("a.txt", "one")
        .publish("first");
    let client = Client::new();
    let url = server.url("shallow");
    client.look(&url, branch("main")).await.unwrap();
    let size = |client: &Client| -> u64 {
        let packs = client.repository().join("objects/pack");
        std::fs::read_dir(packs)
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    };
    let first = size(&client);
    assert!(first > 1_000_000);
    work.write("a.txt", "two").publish("second");
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert!(
        size(&client) < first + 10_000,
        "{} after {first}",
        size(&client)
    );
    assert_eq!(text(&fetched, "large.txt"), noise);
}

#[tokio::test]
async fn a_forced_push_back_and_forth_is_followed() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("forced");
    let first = work.write("a.txt", "one").publish("first");
    work.write("a.txt", "two").publish("second");
    let client = Client::new();
    let url = server.url("forced");
    assert_eq!(
        text(&client.look(&url, branch("main")).await.unwrap(), "a.txt"),
        "two"
    );
    work.reset(&first);
    work.force_push();
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert_eq!(text(&fetched, "a.txt"), "one");
    assert_eq!(fetched.revision, format!("main@sha1:{first}"));
}

#[tokio::test]
async fn failures_have_flux_s_reasons_and_words() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("failing");
    server.create_repository("empty");
    work.write("a.txt", "one").publish("first");
    work.tag("v1.0.0");
    let client = Client::new();
    let url = server.url("failing");
    let absent = "0123456789012345678901234567890123456789";
    let cases = [
        (
            url.clone(),
            branch("nowhere"),
            "GitOperationFailed",
            "couldn't find remote ref \"refs/heads/nowhere\"",
        ),
        (
            url.clone(),
            Reference::Tag("v9".into()),
            "GitOperationFailed",
            "couldn't find remote ref \"refs/tags/v9\"",
        ),
        (
            url.clone(),
            Reference::Semver(">2".into()),
            "GitOperationFailed",
            "no match found for semver: >2",
        ),
        (
            url.clone(),
            Reference::Semver("latest".into()),
            "GitOperationFailed",
            "semver parse error: improper constraint: latest",
        ),
        (
            url.clone(),
            Reference::Name("refs/pull/9/head".into()),
            "GitOperationFailed",
            "unable to resolve ref 'refs/pull/9/head' to a specific commit",
        ),
        (
            url.clone(),
            Reference::Name("refs/heads/main/".into()),
            "GitOperationFailed",
            "cannot begin or end with a slash",
        ),
        (
            url.clone(),
            Reference::Commit {
                id: "main".into(),
                branch: None,
            },
            "GitOperationFailed",
            "unable to resolve commit object for 'main'",
        ),
        (
            url.clone(),
            Reference::Commit {
                id: absent.into(),
                branch: None,
            },
            "GitOperationFailed",
            "unable to clone",
        ),
        (
            server.url("empty"),
            branch("main"),
            "EmptyGitRepository",
            "git repository is empty",
        ),
        (
            server.url("none"),
            branch("main"),
            "GitOperationFailed",
            "repository not found",
        ),
        (
            "http://127.0.0.1:1/x.git".into(),
            branch("main"),
            "GitOperationFailed",
            "refused",
        ),
    ];
    for (url, reference, reason, words) in cases {
        let error = client.look(&url, reference.clone()).await.err();
        let error = error.unwrap_or_else(|| panic!("{reference:?} was found"));
        assert_eq!(error.reason(), reason, "{reference:?}");
        assert!(error.to_string().contains(words), "{reference:?}: {error}");
    }
}

#[tokio::test]
async fn a_deleted_branch_is_an_error_and_its_return_is_not() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("deleted");
    work.write("a.txt", "one").publish("first");
    work.branch("other");
    work.publish("second");
    let client = Client::new();
    let url = server.url("deleted");
    client.look(&url, branch("other")).await.unwrap();
    work.git(&["push", "--quiet", "origin", ":other"]);
    let error = client.look(&url, branch("other")).await.err().unwrap();
    assert!(error.to_string().contains("refs/heads/other"), "{error}");
    work.push();
    assert!(client.look(&url, branch("other")).await.unwrap().known);
}

#[tokio::test]
async fn credentials_open_the_door_and_show_up_nowhere() {
    let credentials = Credentials {
        username: "weir".into(),
        password: "open-sesame".into(),
    };
    let server = GitServer::start(GitServerOptions {
        credentials: Some(credentials),
        ..GitServerOptions::default()
    });
    server
        .create_repository("closed")
        .write("a.txt", "one")
        .publish("first");
    let mut client = Client::new();
    let url = server.url("closed");
    let error = client.look(&url, branch("main")).await.err().unwrap();
    assert!(
        error.to_string().contains("authentication required"),
        "{error}"
    );
    let basic = |password: &str| SourceCredentials::Basic {
        username: "weir".into(),
        password: password.into(),
    };
    client.access.credentials = basic("wrong-sesame");
    let error = client.look(&url, branch("main")).await.err().unwrap();
    assert!(
        error.to_string().contains("authentication required"),
        "{error}"
    );
    assert!(!error.to_string().contains("sesame"), "{error}");
    client.access.credentials = basic("open-sesame");
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert_eq!(text(&fetched, "a.txt"), "one");
}

#[tokio::test]
async fn a_certificate_of_its_own_must_be_trusted() {
    let server = GitServer::start(GitServerOptions {
        tls: true,
        ..GitServerOptions::default()
    });
    server
        .create_repository("private")
        .write("a.txt", "one")
        .publish("first");
    let mut client = Client::new();
    let url = server.url("private");
    let error = client.look(&url, branch("main")).await.err().unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
    client.access.authorities = Some(std::fs::read(server.certificate().unwrap()).unwrap());
    assert!(client.look(&url, branch("main")).await.is_ok());
    client.access.authorities = Some(b"no certificate".to_vec());
    let error = client.look(&url, branch("main")).await.err().unwrap();
    assert_eq!(error.reason(), "AuthenticationFailed", "{error}");
}

#[tokio::test]
async fn a_cache_survives_a_restart_and_leftovers_of_a_kill() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("restart");
    work.write("a.txt", "one").publish("first");
    let mut client = Client::new();
    let url = server.url("restart");
    client.look(&url, branch("main")).await.unwrap();
    let repository = client.repository();
    for leftover in [
        "shallow.lock",
        "HEAD.lock",
        "refs/weir/fetched.lock",
        "objects/pack/.tmpAbCdEf",
    ] {
        std::fs::write(repository.join(leftover), "").unwrap();
    }
    client.restart();
    assert!(client.look(&url, branch("main")).await.unwrap().known);
    work.write("a.txt", "two").publish("second");
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert_eq!(text(&fetched, "a.txt"), "two");
    assert_eq!(client.repository(), repository);
}

#[tokio::test]
async fn a_damaged_or_vanished_cache_is_fetched_anew() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("damaged");
    work.write("a.txt", "one").publish("first");
    let mut client = Client::new();
    let url = server.url("damaged");
    client.look(&url, branch("main")).await.unwrap();

    let packs = client.repository().join("objects/pack");
    for file in std::fs::read_dir(&packs).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pack")
        {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            // Another file in its place: what is mapped stays as it was.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
    client.restart();
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert!(!fetched.known);
    assert_eq!(text(&fetched, "a.txt"), "one");

    std::fs::remove_dir_all(client.storage.path().join("git")).unwrap();
    let fetched = client.look(&url, branch("main")).await.unwrap();
    assert!(!fetched.known);
    assert_eq!(text(&fetched, "a.txt"), "one");
}

#[tokio::test]
async fn packs_do_not_pile_up() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("piling");
    let client = Client::new();
    let url = server.url("piling");
    let mut snapshots = Vec::new();
    for round in 0..45 {
        work.write("a.txt", format!("{round}")).publish("round");
        snapshots.push(client.look(&url, branch("main")).await.unwrap());
    }
    let cache = client.cache();
    let generations = || std::fs::read_dir(&cache).unwrap().count();
    assert_eq!(generations(), 2, "the old one is still being read");
    for (round, snapshot) in snapshots.iter().enumerate() {
        assert_eq!(text(snapshot, "a.txt"), round.to_string());
    }
    drop(snapshots);
    assert_eq!(generations(), 1);
    client.repositories.forget("ns/name");
    assert!(!cache.exists());
}

#[tokio::test]
async fn the_cache_of_another_address_goes() {
    let server = GitServer::start(GitServerOptions::default());
    for name in ["one", "two"] {
        let work = server.create_repository(name);
        work.write("a.txt", name).publish("first");
    }
    let mut client = Client::new();
    let one = client
        .look(&server.url("one"), branch("main"))
        .await
        .unwrap();
    let two = client
        .look(&server.url("two"), branch("main"))
        .await
        .unwrap();
    assert_eq!(text(&one, "a.txt"), "one", "it is still being read");
    drop(one);
    client.cache();
    drop(two);
    client.restart();
    client
        .look(&server.url("one"), branch("main"))
        .await
        .unwrap();
    client.cache();
}

#[tokio::test]
async fn the_last_commit_can_be_recalled_without_the_server() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("recalled");
    work.write("a.txt", "one").publish("first");
    let mut client = Client::new();
    let url = server.url("recalled");
    let revision = client.look(&url, branch("main")).await.unwrap().revision;
    drop(server);
    client.restart();
    assert!(client.look(&url, branch("main")).await.is_err());
    let address = RemoteUrl::parse(&url).unwrap().0;
    let fetched = recall(&client.repositories, "ns/name", &address, &revision)
        .await
        .unwrap();
    assert_eq!(text(&fetched, "a.txt"), "one");
    let other = format!("main@sha1:{}", "0".repeat(40));
    assert!(
        recall(&client.repositories, "ns/name", &address, &other)
            .await
            .is_none()
    );
}
