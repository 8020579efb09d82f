//! Over SSH, to a real `sshd`.

use controller::source::mirror::NewFile;
use controller::source::push::{PushError, Pushed};
use controller::source::{Access, Credentials, Proxy, SshIdentity};
use weir_tests::{ForwardProxy, Repository, SshKey, SshServer, SshServerOptions};

use crate::writer::{Writer, blocking};

const MAIN: &str = "refs/heads/main";

const PASSPHRASE: &str = "open sesame";

/// A server that lets a key write, and one repository there.
struct Served {
    server: SshServer,
    work: Repository,
    key: SshKey,
}

impl Served {
    fn start() -> Self {
        let key = SshKey::generate("ed25519", PASSPHRASE);
        let server = SshServer::start(&key, &SshServerOptions::default());
        let work = server.create_repository("fleet");
        work.write("stages/prod/helm.yaml", "version: 1\n")
            .publish("first");
        Self { server, work, key }
    }

    fn access(&self, key: &SshKey, known_hosts: String) -> Access {
        Access {
            credentials: Credentials::Ssh(SshIdentity {
                private_key: key.private.clone(),
                passphrase: Some(PASSPHRASE.to_owned()),
                known_hosts,
            }),
            ..Access::default()
        }
    }

    fn known(&self) -> Access {
        self.access(&self.key, self.server.known_hosts("ed25519"))
    }

    /// Makes a commit with the key that may write, and pushes it in another way.
    async fn pushed_with(&self, access: Access) -> Result<Pushed, PushError> {
        let (url, known) = (self.server.url("fleet"), self.known());
        blocking(move || {
            let mut writer = Writer::new(&url, known);
            writer.fetch();
            let commit = writer.commit(&[("new", Some(b"1"))], "new\n");
            writer.remote.access = access;
            writer.push(MAIN, Some(writer.head()), &commit)
        })
        .await
    }

    fn head(&self) -> String {
        self.work.git(&["ls-remote", "origin", MAIN])
    }
}

/// Bytes that no compression makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_any_size_reaches_the_branch_and_hooks_run_to_their_end() {
    let served = Served::start();
    // It runs when the push has been reported, and ends as one that talks to nobody.
    let hook =
        "#!/bin/sh\nsleep 0.3\necho told >&2 || exit 1\ngit update-ref refs/heads/hooked main\n";
    served.server.hook("fleet", "post-receive", hook);
    let (url, access) = (served.server.url("fleet"), served.known());
    let large = noise(5_000_000);
    let sent = large.clone();
    blocking(move || {
        let writer = Writer::new(&url, access);
        writer.fetch();
        let files: [NewFile<'_>; 2] = [
            ("stages/prod/helm.yaml", Some(b"version: 2\n")),
            ("stages/prod/large", Some(&sent)),
        ];
        let commit = writer.commit(&files, "Promote shop\n");
        let done = writer.push(MAIN, Some(writer.head()), &commit);
        assert_eq!(done, Ok(Pushed::Done));
        let state = writer.make(None, &[("state.json", Some(b"1"))], "state\n");
        let name = "refs/weir/state/staging";
        assert_eq!(writer.push(name, None, &state), Ok(Pushed::Done));
        assert_eq!(writer.push(name, None, &state), Ok(Pushed::Outrun));
    })
    .await;
    let refs = served.work.git(&["ls-remote", "origin"]);
    assert!(refs.contains("refs/weir/state/staging"), "{refs}");
    assert!(refs.contains("refs/heads/hooked"), "{refs}");
    served.work.git(&["pull", "--quiet", "origin", "main"]);
    let path = served.work.path().join("stages/prod/large");
    assert!(std::fs::read(path).unwrap() == large);
    served.work.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_who_race_lose_nothing() {
    let served = Served::start();
    let racers = ["one", "two"].map(|name| {
        let (url, access) = (served.server.url("fleet"), served.known());
        blocking(move || Writer::new(&url, access).race(name, 10))
    });
    for racer in racers.map(tokio::spawn) {
        racer.await.unwrap();
    }
    served.work.git(&["pull", "--quiet", "origin", "main"]);
    for name in ["one", "two"] {
        let folder = std::fs::read_dir(served.work.path().join(name));
        assert_eq!(folder.unwrap().count(), 10);
    }
    assert_eq!(served.work.git(&["rev-list", "--count", "HEAD"]), "21");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_outrun_changes_nothing() {
    let served = Served::start();
    let (url, access) = (served.server.url("fleet"), served.known());
    let writer = blocking(move || {
        let writer = Writer::new(&url, access);
        writer.fetch();
        writer
    })
    .await;
    let theirs = served.work.write("elsewhere", "1").publish("faster");
    blocking(move || {
        let commit = writer.commit(&[("mine", Some(b"1"))], "mine\n");
        let outrun = writer.push(MAIN, Some(writer.head()), &commit);
        assert_eq!(outrun, Ok(Pushed::Outrun));
    })
    .await;
    assert!(served.head().starts_with(&theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_a_server_that_is_not_known() {
    let served = Served::start();
    let before = served.head();
    let own = served.server.known_hosts("ed25519");
    let (name, _) = own.split_once(' ').unwrap();
    let stranger = SshKey::generate("ed25519", "").public;
    for (known_hosts, problem, advice) in [
        (
            format!("elsewhere {stranger}"),
            "knownhosts: key is unknown",
            "add its line to `known_hosts`",
        ),
        (
            format!("{name} {stranger}"),
            "knownhosts: key mismatch",
            "find out why it changed",
        ),
        (
            format!("{own}\n@revoked {own}"),
            "knownhosts: key is revoked",
            "this key is in wrong hands",
        ),
    ] {
        let access = served.access(&served.key, known_hosts);
        let error = served.pushed_with(access).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, PushError::UntrustedHost { .. }), "{text}");
        assert!(text.contains(problem) && text.contains(advice), "{text}");
    }
    assert_eq!(served.head(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_read_or_not_come_in_is_told_what_helps() {
    let served = Served::start();
    let before = served.head();
    let reader = SshKey::generate("ed25519", "");
    served.server.admit_to_read(&reader.public);
    let known_hosts = served.server.known_hosts("ed25519");
    let (url, access) = (
        served.server.url("fleet"),
        served.access(&reader, known_hosts.clone()),
    );
    let may_read = access.clone();
    blocking(move || Writer::new(&url, may_read).fetch()).await;
    let error = served.pushed_with(access).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, PushError::MayNotWrite { .. }), "{text}");
    assert!(
        text.contains("marked as read only") && text.contains("give it write access"),
        "{text}"
    );

    let stranger = SshKey::generate("ed25519", "");
    let access = served.access(&stranger, known_hosts);
    let error = served.pushed_with(access).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, PushError::KeyNotLetIn { .. }), "{text}");
    assert!(text.contains("unable to authenticate"), "{text}");
    assert_eq!(served.head(), before);

    let hook = "#!/bin/sh\nexit 1\n";
    served.server.hook("fleet", "update", hook);
    let refused = served.pushed_with(served.known()).await;
    assert_eq!(refused, Ok(Pushed::Refused("hook declined".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_through_a_proxy() {
    let served = Served::start();
    let gate = ForwardProxy::start(None);
    let url = served.server.url("fleet");
    let (_, after) = url.split_once('@').unwrap();
    let (address, _) = after.split_once('/').unwrap();
    gate.lead(address, address);
    let mut access = served.known();
    access.proxy = Some(Proxy {
        address: gate.url("socks5"),
        account: None,
    });
    let done = served.pushed_with(access).await;
    assert_eq!(done, Ok(Pushed::Done));
    assert_eq!(gate.asked(), [address]);
}
