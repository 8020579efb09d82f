//! Signatures of commits and tags, made by the real `gpg` and `ssh-keygen` and checked without them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use controller::source::verification::{Mode, verify};
use controller::source::{
    Access, Fetched, Reference, Remote, RemoteUrl, Repositories, TrustedKeys, refresh,
};
use tempfile::TempDir;
use weir_tests::{GitServer, GitServerOptions, Repository, Signer};

/// A server with one repository, and Weir's side.
struct Stage {
    _storage: TempDir,
    repositories: Arc<Repositories>,
    server: GitServer,
    work: Repository,
}

impl Stage {
    fn new() -> Self {
        let storage = tempfile::tempdir().unwrap();
        let server = GitServer::start(GitServerOptions::default());
        Self {
            repositories: Arc::new(Repositories::new(storage.path().to_owned())),
            _storage: storage,
            work: server.create_repository("signed"),
            server,
        }
    }

    async fn look(&self, reference: Reference) -> Fetched {
        let remote = Remote {
            url: RemoteUrl::parse(&self.server.url("signed")).unwrap().0,
            access: Access::default(),
            timeout: Duration::from_secs(20),
        };
        refresh(&self.repositories, "ns/name", &remote, &reference)
            .await
            .unwrap()
    }

    async fn branch(&self) -> Fetched {
        self.look(Reference::Branch("main".to_owned())).await
    }

    async fn tag(&self, name: &str) -> Fetched {
        self.look(Reference::Tag(name.to_owned())).await
    }
}

fn trusted(keys: &[(&str, &Signer)]) -> TrustedKeys {
    let data = keys
        .iter()
        .map(|(name, signer)| ((*name).to_owned(), signer.public.clone().into_bytes()));
    TrustedKeys::from_secret(&data.collect::<BTreeMap<_, _>>())
}

/// The condition's message, or the reason and message of a refusal.
fn check(
    fetched: &Fetched,
    mode: Mode,
    keys: &TrustedKeys,
) -> Result<String, (&'static str, String)> {
    verify(fetched, mode, keys, SystemTime::now())
        .map_err(|error| (error.reason(), error.to_string()))
}

#[tokio::test]
async fn the_keys_of_people_are_known_again() {
    let stage = Stage::new();
    let signers = [
        ("a.asc", Signer::open_pgp("ed25519")),
        ("b.asc", Signer::open_pgp("rsa3072")),
        ("c.asc", Signer::open_pgp("nistp256")),
        ("d.asc", Signer::with_subkey()),
        ("e.sshpub", Signer::ssh("ed25519")),
        ("f.sshpub", Signer::ssh("ecdsa")),
        ("g.sshpub", Signer::ssh("rsa")),
    ];
    let everybody: Vec<(&str, &Signer)> = signers
        .iter()
        .map(|(name, signer)| (*name, signer))
        .collect();
    let everybody = trusted(&everybody);
    for (name, signer) in &signers {
        let commit = signer.commit(&stage.work, name);
        let version = format!("v-{name}");
        signer.tag(&stage.work, &version);
        stage.work.push();
        let fetched = stage.tag(&version).await;
        let tag = stage.work.git(&["rev-parse", &version]);
        let of_tag = format!("\n\t- tag '{version}@{tag}' with key '{}'", signer.name);
        let of_commit = format!("\n\t- commit '{commit}' with key '{}'", signer.name);
        for (mode, expected) in [
            (Mode::Head, of_commit.clone()),
            (Mode::Tag, of_tag.clone()),
            (Mode::TagAndHead, of_tag + &of_commit),
        ] {
            let message = check(&fetched, mode, &everybody);
            let message = message.unwrap_or_else(|error| panic!("{name} {mode:?}: {error:?}"));
            assert_eq!(
                message,
                format!("verified signature of{expected}"),
                "{name}"
            );
        }
        let others: Vec<_> = signers.iter().filter(|(other, _)| other != name).collect();
        let others: Vec<(&str, &Signer)> = others
            .iter()
            .map(|(name, signer)| (*name, signer))
            .collect();
        let (reason, _) = check(&fetched, Mode::Head, &trusted(&others)).unwrap_err();
        assert_eq!(reason, "InvalidCommitSignature", "{name}");
        let (reason, _) = check(&fetched, Mode::Tag, &trusted(&others)).unwrap_err();
        assert_eq!(reason, "InvalidTagSignature", "{name}");
    }
}

#[tokio::test]
async fn keys_that_have_ended_are_not_trusted() {
    for (mut signer, problem) in [
        (Signer::expired(), "is expired"),
        (Signer::open_pgp("ed25519"), "is revoked"),
    ] {
        let stage = Stage::new();
        signer.commit(&stage.work, "signed while it was good");
        stage.work.push();
        let fetched = stage.branch().await;
        if problem == "is revoked" {
            check(&fetched, Mode::Head, &trusted(&[("a.asc", &signer)])).unwrap();
            signer.revoke();
        }
        let (reason, message) =
            check(&fetched, Mode::Head, &trusted(&[("a.asc", &signer)])).unwrap_err();
        assert_eq!(reason, "InvalidCommitSignature");
        assert!(
            message.ends_with(&format!("key {} {problem}", signer.name)),
            "{message}"
        );
    }
}

#[tokio::test]
async fn what_is_not_signed_is_not_trusted() {
    let stage = Stage::new();
    let signer = Signer::ssh("ed25519");
    let keys = trusted(&[("a.sshpub", &signer)]);
    let commit = stage.work.write("a", "b").commit("without");
    stage.work.git(&["tag", "light"]);
    stage.work.tag("annotated");
    signer.tag(&stage.work, "signed");
    stage.work.push();

    let (reason, message) = check(&stage.branch().await, Mode::Head, &keys).unwrap_err();
    assert_eq!(reason, "InvalidCommitSignature");
    assert!(
        message.starts_with(&format!(
            "signature verification of commit '{commit}' failed: "
        )),
        "{message}"
    );
    let (reason, _) = check(&stage.branch().await, Mode::Tag, &keys).unwrap_err();
    assert_eq!(reason, "InvalidVerificationMode");
    for name in ["light", "annotated"] {
        let (reason, message) = check(&stage.tag(name).await, Mode::Tag, &keys).unwrap_err();
        assert_eq!(reason, "InvalidGitObject");
        assert!(
            message.starts_with(&format!("cannot verify signature of tag '{name}@")),
            "{message}"
        );
    }
    let fetched = stage.tag("signed").await;
    check(&fetched, Mode::Tag, &keys).unwrap();
    let (reason, _) = check(&fetched, Mode::TagAndHead, &keys).unwrap_err();
    assert_eq!(reason, "InvalidCommitSignature");
}

#[tokio::test]
async fn a_signed_tag_does_not_vouch_for_another_name() {
    let stage = Stage::new();
    let signer = Signer::ssh("ed25519");
    let keys = trusted(&[("a.sshpub", &signer)]);
    stage.work.write("a", "old").commit("old");
    signer.tag(&stage.work, "v1");
    stage.work.push();
    stage
        .work
        .git(&["push", "--quiet", "origin", "refs/tags/v1:refs/tags/v2"]);
    let fetched = stage.tag("v2").await;
    let (reason, message) = check(&fetched, Mode::Tag, &keys).unwrap_err();
    assert_eq!(reason, "InvalidTagSignature");
    assert!(message.ends_with("signed under another name"), "{message}");

    // The same commit under a tag that was made anew: the old tag in the cache is not taken for it.
    check(&stage.tag("v1").await, Mode::Tag, &keys).unwrap();
    stage
        .work
        .git(&["tag", "--force", "--annotate", "--message", "v1", "v1"]);
    stage
        .work
        .git(&["push", "--quiet", "--force", "origin", "refs/tags/v1"]);
    let (reason, _) = check(&stage.tag("v1").await, Mode::Tag, &keys).unwrap_err();
    assert_eq!(reason, "InvalidGitObject");
}

#[tokio::test]
async fn a_changed_commit_is_noticed() {
    let stage = Stage::new();
    for (name, signer) in [
        ("a.asc", Signer::open_pgp("ed25519")),
        ("a.sshpub", Signer::ssh("ed25519")),
    ] {
        signer.commit(&stage.work, "as signed");
        let raw = stage.work.git(&["cat-file", "commit", "HEAD"]);
        let changed = raw.replace("as signed", "as forged");
        stage.work.write(".git/forged", changed + "\n");
        let path = stage.work.path().join(".git/forged");
        let id = stage
            .work
            .git(&["hash-object", "-t", "commit", "-w", path.to_str().unwrap()]);
        stage.work.git(&["update-ref", "refs/heads/main", &id]);
        stage.work.force_push();
        let fetched = stage.branch().await;
        let (reason, _) = check(&fetched, Mode::Head, &trusted(&[(name, &signer)])).unwrap_err();
        assert_eq!(reason, "InvalidCommitSignature", "{name}");
    }
}
