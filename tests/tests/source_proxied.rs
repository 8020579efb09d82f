//! Repositories behind a proxy: over HTTP and SSH, in each language that proxies speak, and proxies that misbehave.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use controller::source::{
    Access, Credentials, Fetched, Proxy, Reference, Remote, RemoteUrl, Repositories, SourceError,
    SshIdentity, refresh,
};
use weir_tests::{ForwardProxy, GitServer, GitServerOptions, SshKey, SshServer, SshServerOptions};

/// A name that only the proxies of these tests know.
const HOST: &str = "git.example.org";

const ACCOUNT: (&str, &str) = ("ada", "s3cret-pass");

fn proxy(address: String, account: Option<(&str, &str)>) -> Option<Proxy> {
    let account = account.map(|(user, password)| (user.to_owned(), password.to_owned()));
    Some(Proxy { address, account })
}

async fn look(url: &str, access: Access) -> Result<Fetched, SourceError> {
    let storage = tempfile::tempdir().unwrap();
    let repositories = Arc::new(Repositories::new(storage.path().to_owned()));
    let remote = Remote {
        url: RemoteUrl::parse(url)?.0,
        access,
        timeout: Duration::from_secs(10),
    };
    let reference = Reference::Branch("main".to_owned());
    refresh(&repositories, "ns/name", &remote, &reference).await
}

/// A repository behind a real `sshd`, under a name and at the usual port.
struct Hidden {
    server: SshServer,
    key: SshKey,
    commit: String,
}

impl Hidden {
    fn start() -> Self {
        let key = SshKey::generate("ed25519", "");
        let server = SshServer::start(&key, &SshServerOptions::default());
        let work = server.create_repository("app");
        let commit = work.write("a.txt", "one").publish("first");
        Self {
            server,
            key,
            commit,
        }
    }

    /// Its address as it is, and as it is known outside.
    fn addresses(&self) -> (String, String) {
        let url = self.server.url("app");
        let (_, rest) = url.split_once('@').unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let outside = url.replacen(address, HOST, 1);
        assert!(outside.ends_with(path));
        (address.to_owned(), outside)
    }

    fn access(&self, proxy: Option<Proxy>) -> Access {
        let line = self.server.known_hosts("ed25519");
        let (_, key) = line.split_once(' ').unwrap();
        Access {
            credentials: Credentials::Ssh(SshIdentity {
                private_key: self.key.private.clone(),
                passphrase: None,
                known_hosts: format!("{HOST} {key}"),
            }),
            proxy,
            ..Access::default()
        }
    }
}

#[tokio::test]
async fn ssh_goes_through_a_proxy() {
    let hidden = Hidden::start();
    let (address, url) = hidden.addresses();
    for account in [None, Some(ACCOUNT)] {
        let gate = ForwardProxy::start(account);
        gate.lead(&format!("{HOST}:22"), &address);
        for (number, scheme) in ["http", "socks5", "socks5h"].into_iter().enumerate() {
            let access = hidden.access(proxy(gate.url(scheme), account));
            let fetched = look(&url, access).await;
            let fetched = fetched.unwrap_or_else(|error| panic!("{scheme} {account:?}: {error}"));
            assert_eq!(fetched.revision, format!("main@sha1:{}", hidden.commit));
            let asked = gate.asked();
            assert_eq!(asked.len(), number + 1, "one connection a look: {asked:?}");
            assert!(asked.iter().all(|asked| *asked == format!("{HOST}:22")));
        }
        assert_eq!(gate.refused(), 0);
    }
    // Without it nobody arrives.
    assert!(look(&url, hidden.access(None)).await.is_err());
}

#[tokio::test]
async fn addresses_are_given_to_a_proxy_as_they_are() {
    let hidden = Hidden::start();
    let gate = ForwardProxy::start(None);
    let (address, _) = hidden.addresses();
    let mut access = hidden.access(None);
    if let Credentials::Ssh(identity) = &mut access.credentials {
        identity.known_hosts = hidden.server.known_hosts("ed25519");
    }
    for scheme in ["http", "socks5"] {
        access.proxy = proxy(gate.url(scheme), None);
        look(&hidden.server.url("app"), access.clone())
            .await
            .unwrap();
    }
    assert_eq!(gate.asked(), [address.clone(), address]);
}

#[tokio::test]
async fn the_key_of_a_host_counts_behind_a_proxy_too() {
    let hidden = Hidden::start();
    let (address, url) = hidden.addresses();
    let gate = ForwardProxy::start(None);
    gate.lead(&format!("{HOST}:22"), &address);
    let mut access = hidden.access(proxy(gate.url("socks5"), None));
    if let Credentials::Ssh(identity) = &mut access.credentials {
        // The proxy itself may be known by that key; it is not whom we talk to.
        identity.known_hosts = hidden.server.known_hosts("ed25519");
    }
    let error = look(&url, access).await.err().unwrap();
    assert!(
        error.to_string().ends_with("knownhosts: key is unknown"),
        "{error}"
    );
}

#[tokio::test]
async fn who_does_not_know_the_password_of_a_proxy_is_told() {
    let hidden = Hidden::start();
    let (address, url) = hidden.addresses();
    let forge = GitServer::start(GitServerOptions::default());
    let gate = ForwardProxy::start(Some(ACCOUNT));
    gate.lead(&format!("{HOST}:22"), &address);
    let wrong = Some((ACCOUNT.0, "hunter2"));
    let mut refused = 0;
    for scheme in ["http", "socks5"] {
        for account in [None, wrong] {
            let access = hidden.access(proxy(gate.url(scheme), account));
            let error = look(&url, access).await.err().unwrap();
            let expected = format!("unable to clone '{url}': proxy: authentication required");
            assert!(error.to_string().ends_with(&expected), "{error}");
            assert_eq!(error.reason(), "GitOperationFailed");
            refused += 1;
            assert_eq!(gate.refused(), refused);
        }
    }
    let access = Access {
        proxy: proxy(gate.url("http"), wrong),
        ..Access::default()
    };
    let error = look(&forge.url("real"), access).await.err().unwrap();
    let text = error.to_string();
    assert!(text.ends_with("proxy: authentication required"), "{text}");
    assert_eq!(gate.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn http_goes_through_a_proxy() {
    let forge = GitServer::start(GitServerOptions::default());
    let work = forge.create_repository("real");
    work.write("a.txt", "one").publish("first");
    let url = forge.url("real");
    let (address, _) = url.trim_start_matches("http://").split_once('/').unwrap();
    let gate = ForwardProxy::start(Some(ACCOUNT));
    gate.lead(&format!("{HOST}:80"), address);
    let outside = url.replacen(address, HOST, 1);
    for scheme in ["http", "socks5", "socks5h"] {
        let access = Access {
            proxy: proxy(gate.url(scheme), Some(ACCOUNT)),
            ..Access::default()
        };
        let fetched = look(&outside, access).await;
        fetched.unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
    assert!(!gate.asked().is_empty());
    assert_eq!(gate.refused(), 0);
}

#[tokio::test]
async fn https_goes_through_a_proxy_that_sees_nothing_of_it() {
    let options = GitServerOptions {
        tls: true,
        ..GitServerOptions::default()
    };
    let forge = GitServer::start(options);
    let work = forge.create_repository("real");
    work.write("a.txt", "one").publish("first");
    let url = forge.url("real");
    let (address, _) = url.trim_start_matches("https://").split_once('/').unwrap();
    let gate = ForwardProxy::start(None);
    let access = Access {
        authorities: Some(std::fs::read(forge.certificate().unwrap()).unwrap()),
        proxy: proxy(gate.url("http"), None),
        ..Access::default()
    };
    look(&url, access).await.unwrap();
    assert!(gate.asked().iter().all(|asked| asked == address));
    assert!(!gate.asked().is_empty());
}

#[tokio::test]
async fn rubbish_and_silence_of_a_proxy_are_errors() {
    let hidden = Hidden::start();
    let (_, url) = hidden.addresses();
    let long = [b'a'; 20_000];
    let answers: [(&str, &[u8], &str); 8] = [
        (
            "http",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            "proxy: it does not speak HTTP",
        ),
        (
            "http",
            b"HTTP/1.1 502 No\r\n\r\n",
            "proxy: unexpected status 502",
        ),
        ("http", &long, "proxy: its answer has no end"),
        ("http", b"HTTP/1.1 20", "proxy: "),
        (
            "socks5",
            b"HTTP/1.1 400 Bad\r\n\r\n",
            "proxy: it does not speak SOCKS5",
        ),
        ("socks5", &[5, 0xff], "proxy: authentication required"),
        (
            "socks5",
            &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
            "proxy: connection refused",
        ),
        ("socks5", &[5], "proxy: "),
    ];
    for (scheme, answer, problem) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let answer = answer.to_vec();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(&answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // Until the client leaves, or the rest of what it says would turn into a reset.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let access = hidden.access(proxy(address, None));
        let error = look(&url, access).await.err().unwrap().to_string();
        let expected = format!("unable to clone '{url}': {problem}");
        assert!(error.contains(&expected), "{scheme}: {error}");
        serving.join().unwrap();
    }
}
