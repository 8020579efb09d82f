//! Submodules: where they come from, who is told the password, and what they cost.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::sync::Arc;
use std::time::Duration;

use controller::source::submodules::with_submodules;
use controller::source::{
    Access, Credentials as SourceCredentials, Fetched, Reference, Remote, RemoteUrl, Repositories,
    SourceError, refresh,
};
use overlay::Tree;
use tempfile::TempDir;
use weir_tests::{Credentials, GitServer, GitServerOptions, Repository};

const OWNER: &str = "ns/name";
const USER: &str = "ada";
const PASSWORD: &str = "open-sesame";

/// A server that wants a password.
fn closed() -> GitServer {
    GitServer::start(GitServerOptions {
        credentials: Some(Credentials {
            username: USER.to_owned(),
            password: PASSWORD.to_owned(),
        }),
        ..GitServerOptions::default()
    })
}

/// Weir's side, which has the password of one server.
struct Client {
    _storage: TempDir,
    repositories: Arc<Repositories>,
}

impl Client {
    fn new() -> Self {
        let storage = tempfile::tempdir().unwrap();
        Self {
            repositories: Arc::new(Repositories::new(storage.path().to_owned())),
            _storage: storage,
        }
    }

    async fn look(&self, url: &str) -> Result<Fetched, SourceError> {
        let remote = Remote {
            url: RemoteUrl::parse(url)?.0,
            access: Access {
                credentials: SourceCredentials::Basic {
                    username: USER.to_owned(),
                    password: PASSWORD.to_owned(),
                },
                ..Access::default()
            },
            timeout: Duration::from_secs(20),
        };
        let reference = Reference::Branch("main".to_owned());
        let fetched = refresh(&self.repositories, OWNER, &remote, &reference).await?;
        with_submodules(&self.repositories, OWNER, &remote, fetched).await
    }
}

/// Names a commit of another repository at a path, as `git submodule add` does.
fn link(repository: &Repository, path: &str, url: &str, commit: &str) {
    let known = repository.path().join(".gitmodules");
    let mut text = std::fs::read_to_string(known).unwrap_or_default();
    text.push_str(&format!(
        "[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"
    ));
    repository.write(".gitmodules", text);
    // Git takes a commit's absence from the work tree for its removal, but for a folder that is there.
    std::fs::create_dir_all(repository.path().join(path)).unwrap();
    let entry = format!("160000,{commit},{path}");
    repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
}

fn text(fetched: &Fetched, path: &str) -> String {
    String::from_utf8(fetched.tree.read(path).unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn submodules_are_in_their_places_and_cost_nothing_twice() {
    let server = closed();
    let inner = server.create_repository("inner");
    let deep = inner.write("deep.yaml", "deep").publish("deep");
    let base = server.create_repository("base");
    base.write("base.yaml", "base");
    link(&base, "inner", "../inner.git", &deep);
    let pinned = base.publish("pinned");
    base.write("base.yaml", "later").publish("not pinned");
    let fleet = server.create_repository("fleet");
    fleet.write("apps/a.yaml", "a");
    link(&fleet, "apps/base", "../base.git", &pinned);
    fleet.publish("first");

    let client = Client::new();
    let url = server.url("fleet");
    let fetched = client.look(&url).await.unwrap();
    assert_eq!(text(&fetched, "apps/a.yaml"), "a");
    assert_eq!(text(&fetched, "apps/base/base.yaml"), "base");
    assert_eq!(text(&fetched, "apps/base/inner/deep.yaml"), "deep");
    let folder = fetched
        .tree
        .id("apps/base/inner")
        .unwrap()
        .unwrap()
        .to_string();
    assert_eq!(folder, inner.git(&["rev-parse", "HEAD^{tree}"]));

    let before = server.requests().len();
    let again = client.look(&url).await.unwrap();
    assert_eq!(again.tree.id("").unwrap(), fetched.tree.id("").unwrap());
    let asked = server.requests().split_off(before);
    assert_eq!(asked.len(), 1, "{asked:?}");

    fleet.write("apps/a.yaml", "b").publish("second");
    let fetched = client.look(&url).await.unwrap();
    assert_eq!(text(&fetched, "apps/a.yaml"), "b");
    assert_eq!(text(&fetched, "apps/base/inner/deep.yaml"), "deep");
}

#[tokio::test]
async fn another_host_is_not_told_the_password() {
    let (server, stranger) = (closed(), closed());
    let commit = stranger
        .create_repository("base")
        .write("a", "b")
        .publish("first");
    let fleet = server.create_repository("fleet");
    link(&fleet, "base", &stranger.url("base"), &commit);
    fleet.publish("first");
    let error = Client::new()
        .look(&server.url("fleet"))
        .await
        .map(|_| ())
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(error.reason(), "GitOperationFailed");
    assert!(
        text.contains("submodule 'base': ") && text.contains("authentication required"),
        "{text}"
    );

    // One that asks for none is open to everybody.
    let open = GitServer::start(GitServerOptions::default());
    let commit = open
        .create_repository("base")
        .write("a", "b")
        .publish("first");
    let fleet = server.create_repository("other");
    link(&fleet, "base", &open.url("base"), &commit);
    fleet.publish("first");
    let client = Client::new();
    let fetched = client.look(&server.url("other")).await.unwrap();
    assert_eq!(self::text(&fetched, "base/a"), "b");
}

#[tokio::test]
async fn submodules_that_cannot_be_had_are_named() {
    let server = closed();
    let absent = "0123456789012345678901234567890123456789";
    server
        .create_repository("base")
        .write("a", "b")
        .publish("first");
    for (number, (url, problem)) in [
        ("ext::sh -c touch% /tmp/x", "failed to parse url"),
        ("file:///etc", "failed to parse url"),
        ("../../../../etc", "failed to parse url"),
        ("../nothing.git", "repository not found"),
        ("../base.git", "unable to clone"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("fleet-{number}");
        let fleet = server.create_repository(&name);
        link(&fleet, "sub/module", url, absent);
        fleet.publish("first");
        let error = Client::new()
            .look(&server.url(&name))
            .await
            .map(|_| ())
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("submodule 'sub/module': ") && text.contains(problem),
            "{url}: {text}"
        );
        assert!(!error.stalls(), "another commit may mend it");
    }
}
