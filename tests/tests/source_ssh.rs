//! Repositories behind a real `sshd`: which keys get in, which servers are trusted, and what a look costs.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::source::{
    Access, Credentials, Fetched, Reference, Remote, RemoteUrl, Repositories, SourceError,
    SshIdentity, refresh,
};
use overlay::Tree;
use tempfile::TempDir;
use weir_tests::{SshKey, SshServer, SshServerOptions};

/// Weir's side.
struct Client {
    _storage: TempDir,
    repositories: Arc<Repositories>,
    identity: SshIdentity,
}

impl Client {
    fn new(key: &SshKey, known_hosts: String) -> Self {
        let storage = tempfile::tempdir().unwrap();
        Self {
            repositories: Arc::new(Repositories::new(storage.path().to_owned())),
            _storage: storage,
            identity: SshIdentity {
                private_key: key.private.clone(),
                passphrase: None,
                known_hosts,
            },
        }
    }

    async fn look(&self, url: &str) -> Result<Fetched, SourceError> {
        let remote = Remote {
            url: RemoteUrl::parse(url)?.0,
            access: Access {
                credentials: Credentials::Ssh(self.identity.clone()),
                ..Access::default()
            },
            timeout: Duration::from_secs(20),
        };
        let reference = Reference::Branch("main".to_owned());
        refresh(&self.repositories, "ns/name", &remote, &reference).await
    }
}

fn text(fetched: &Fetched, path: &str) -> String {
    String::from_utf8(fetched.tree.read(path).unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn keys_of_every_kind_get_in_and_news_are_fetched() {
    let keys = [
        SshKey::generate("ed25519", ""),
        SshKey::generate("ecdsa", ""),
        SshKey::generate("rsa", ""),
        SshKey::generate_pem("rsa"),
        SshKey::generate_pem("ecdsa"),
    ];
    for key in keys {
        let kind = key.private.lines().next().unwrap().to_owned() + &key.public[..20];
        let server = SshServer::start(&key, &SshServerOptions::default());
        let work = server.create_repository("app");
        let first = work.write("a.txt", "one").publish("first");
        let client = Client::new(&key, server.known_hosts("ed25519"));
        let url = server.url("app");
        let fetched = client.look(&url).await;
        let fetched = fetched.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(fetched.revision, format!("main@sha1:{first}"), "{kind}");
        assert_eq!(text(&fetched, "a.txt"), "one");

        let second = work.write("a.txt", "two").publish("second");
        let fetched = client.look(&url).await.unwrap();
        assert_eq!(fetched.revision, format!("main@sha1:{second}"));
        assert_eq!(text(&fetched, "a.txt"), "two");

        assert!(client.look(&url).await.unwrap().known, "{kind}");
        assert_eq!(server.connections(), 3, "one connection a look");
    }
}

#[tokio::test]
async fn a_server_that_knows_the_first_version_only_is_understood() {
    let key = SshKey::generate("ed25519", "");
    let options = SshServerOptions {
        second_version: false,
        ..SshServerOptions::default()
    };
    let server = SshServer::start(&key, &options);
    let work = server.create_repository("old");
    let client = Client::new(&key, server.known_hosts("ed25519"));
    let url = server.url("old");
    for content in ["one", "two", "three"] {
        let commit = work.write("a.txt", content).publish(content);
        let fetched = client.look(&url).await.unwrap();
        assert_eq!(fetched.revision, format!("main@sha1:{commit}"));
        assert_eq!(text(&fetched, "a.txt"), content);
    }
}

#[tokio::test]
async fn only_a_known_host_key_is_trusted() {
    let key = SshKey::generate("ed25519", "");
    let server = SshServer::start(&key, &SshServerOptions::default());
    server.create_repository("app").write("a", "b").publish("c");
    let url = server.url("app");
    // The server has three keys; the one that is known is asked for.
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let client = Client::new(&key, server.known_hosts(kind));
        client
            .look(&url)
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    let other = SshServer::start(&key, &SshServerOptions::default());
    let line = other.known_hosts("ed25519");
    let (_, foreign) = line.split_once(' ').unwrap();
    let own = server.known_hosts("ed25519");
    let (name, _) = own.split_once(' ').unwrap();
    for (known, problem) in [
        (format!("{name} {foreign}"), "knownhosts: key mismatch"),
        (line.clone(), "knownhosts: key is unknown"),
        ("rubbish".to_owned(), "knownhosts: key is unknown"),
        (
            format!("{own}\n@revoked {own}"),
            "knownhosts: key is revoked",
        ),
    ] {
        let error = Client::new(&key, known)
            .look(&url)
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.reason(), "GitOperationFailed");
        let expected = format!("unable to clone '{url}': ssh: handshake failed: {problem}");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn keys_that_do_not_fit_are_reported() {
    let key = SshKey::generate("ed25519", "open sesame");
    let server = SshServer::start(&key, &SshServerOptions::default());
    server.create_repository("app").write("a", "b").publish("c");
    let url = server.url("app");
    let mut client = Client::new(&key, server.known_hosts("ed25519"));
    let problem = |result: Result<Fetched, SourceError>| {
        let error = result.map(|_| ()).unwrap_err();
        (error.reason(), error.to_string())
    };

    let (reason, message) = problem(client.look(&url).await);
    assert_eq!(reason, "AuthenticationFailed");
    assert!(message.contains("encrypted but no 'password'"), "{message}");

    client.identity.passphrase = Some("wrong-one".to_owned());
    let (reason, message) = problem(client.look(&url).await);
    assert_eq!(reason, "AuthenticationFailed");
    assert!(!message.contains("wrong-one"), "{message}");

    client.identity.passphrase = Some("open sesame".to_owned());
    client.look(&url).await.unwrap();

    client.identity.private_key = SshKey::generate("ed25519", "").private;
    client.identity.passphrase = None;
    let (reason, message) = problem(client.look(&url).await);
    assert_eq!(reason, "GitOperationFailed");
    assert!(message.contains("unable to authenticate"), "{message}");

    client.identity.private_key = "no key".to_owned();
    let (reason, message) = problem(client.look(&url).await);
    assert_eq!(reason, "AuthenticationFailed");
    assert!(message.contains("no private key"), "{message}");
}

#[tokio::test]
async fn an_encrypted_key_is_opened_once() {
    let key = SshKey::generate_slow("open sesame", 64);
    let server = SshServer::start(&key, &SshServerOptions::default());
    server.create_repository("app").write("a", "b").publish("c");
    let mut client = Client::new(&key, server.known_hosts("ed25519"));
    client.identity.passphrase = Some("open sesame".to_owned());
    let url = server.url("app");
    let look = async || {
        let begun = Instant::now();
        client.look(&url).await.unwrap();
        begun.elapsed()
    };
    let first = look().await;
    let mut later = Duration::MAX;
    for _ in 0..3 {
        later = later.min(look().await);
    }
    assert!(later < first / 2, "{later:?} after {first:?}");

    // Another passphrase opens nothing because of it.
    client.identity.passphrase = Some("close sesame".to_owned());
    let error = client.look(&url).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
}

#[tokio::test]
async fn what_the_server_complains_about_is_told() {
    let key = SshKey::generate("ed25519", "");
    let server = SshServer::start(&key, &SshServerOptions::default());
    let client = Client::new(&key, server.known_hosts("ed25519"));
    let error = client
        .look(&server.url("absent"))
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        error.to_string().contains("repository not found"),
        "{error}"
    );

    server.create_repository("empty");
    let error = client
        .look(&server.url("empty"))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error, SourceError::Empty);
}
