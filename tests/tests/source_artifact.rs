//! Artifacts: Flux's layout, the same bytes for the same files, served to whoever asks, gone when replaced.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::path::Path;
use std::process::Command;

use controller::api::meta::Artifact;
use controller::source::storage::{self, Content, Shelf, Storage};
use controller::source::{Filtered, GitTree, Selection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use weir_tests::Repository;

fn shelf() -> Shelf {
    Shelf {
        kind: "gitrepository",
        namespace: "ns".to_owned(),
        name: "name".to_owned(),
    }
}

fn repository() -> Repository {
    Repository::create("http://127.0.0.1:1/none.git", None)
}

fn storage() -> (TempDir, Storage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::new(folder.path().to_owned(), "host:9090".to_owned());
    (folder, storage)
}

/// Stores the present commit of a repository.
fn store(storage: &Storage, work: &Repository) -> Artifact {
    let (tree, commit) = GitTree::local(work.path(), "HEAD").unwrap();
    let tree = Filtered::new(tree, &Selection::default()).unwrap();
    let id = commit.id.to_string();
    let content = Content::Commit(&tree);
    storage::store(storage, &shelf(), &format!("main@sha1:{id}"), &id, &content).unwrap()
}

/// What `tar` says of an archive.
fn tar(path: &Path, options: &[&str]) -> String {
    let output = Command::new("tar")
        .args(options)
        .arg("-f")
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_layout_is_flux_s() {
    let work = repository();
    let long = format!(
        "deep/{}/file.yaml",
        ["a-rather-long-folder-name"; 8].join("/")
    );
    work.write("a.txt", "one")
        .write("apps/run.sh", "#!/bin/sh")
        .write("apps/x/b.yaml", "b: 1")
        .write(&long, "long")
        .write("logo.png", "png");
    std::os::unix::fs::symlink("a.txt", work.path().join("link")).unwrap();
    work.git(&["add", "--all"]);
    work.git(&["update-index", "--chmod=+x", "apps/run.sh"]);
    work.git(&["commit", "--quiet", "--message", "first"]);
    let (folder, storage) = storage();
    let artifact = store(&storage, &work);

    let id = work.head();
    assert_eq!(artifact.path, format!("gitrepository/ns/name/{id}.tar.gz"));
    assert_eq!(artifact.url, format!("http://host:9090/{}", artifact.path));
    assert_eq!(artifact.revision, format!("main@sha1:{id}"));
    let path = folder.path().join(&artifact.path);
    assert_eq!(artifact.size, Some(path.metadata().unwrap().len() as i64));
    let digest = Command::new("sha256sum")
        .arg(&path)
        .output()
        .unwrap()
        .stdout;
    let digest = String::from_utf8(digest).unwrap();
    assert_eq!(
        artifact.digest,
        format!("sha256:{}", digest.split(' ').next().unwrap())
    );

    let listing = tar(
        &path,
        &["-z", "--list", "--verbose", "--numeric-owner", "--utc"],
    );
    let lines: Vec<Vec<&str>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let modes: Vec<(&str, &str)> = lines
        .iter()
        .map(|words| (words[0], *words.last().unwrap()))
        .collect();
    for expected in [
        ("-rw-------", "a.txt"),
        ("drwxr-x---", "apps"),
        ("-rwx------", "apps/run.sh"),
        ("drwxr-x---", "apps/x"),
        ("-rw-------", "apps/x/b.yaml"),
        ("-rw-------", long.as_str()),
    ] {
        assert!(
            modes.contains(&expected),
            "{expected:?} is not in\n{listing}"
        );
    }
    assert!(
        !listing.contains("link") && !listing.contains("logo.png"),
        "{listing}"
    );
    assert!(
        lines
            .iter()
            .all(|words| words[1] == "0/0" && words[3] == "1970-01-01"),
        "{listing}"
    );

    let unpacked = tempfile::tempdir().unwrap();
    let target = unpacked.path().to_str().unwrap().to_owned();
    tar(&path, &["-z", "--extract", "--directory", &target]);
    assert_eq!(
        std::fs::read_to_string(unpacked.path().join(&long)).unwrap(),
        "long"
    );
}

#[test]
fn bytes_do_not_depend_on_what_was_stored_before() {
    let work = repository();
    for folder in 0..5 {
        for file in 0..100 {
            work.write(
                &format!("d{folder}/f{file}.yaml"),
                format!("{folder} {file}"),
            );
        }
    }
    work.commit("first");
    let (_kept, growing) = storage();
    let first = store(&growing, &work);
    assert_eq!(
        store(&growing, &work).digest,
        first.digest,
        "made again over itself"
    );
    work.write("d3/f7.yaml", "changed")
        .write("d2/new.yaml", "new")
        .remove("d1/f5.yaml");
    work.commit("second");
    let second = store(&growing, &work);
    let (_fresh, alone) = storage();
    assert_ne!(second.digest, first.digest);
    assert_eq!(
        store(&alone, &work).digest,
        second.digest,
        "with and without an earlier archive"
    );
    assert!(growing.verify(&second) && growing.holds(&second));
}

#[test]
fn a_file_that_is_not_as_it_was_stored_is_noticed() {
    let work = repository();
    work.write("a.txt", "one").commit("first");
    let (folder, storage) = storage();
    let artifact = store(&storage, &work);
    let path = folder.path().join(&artifact.path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(storage.holds(&artifact) && !storage.verify(&artifact));
    std::fs::remove_file(&path).unwrap();
    assert!(!storage.holds(&artifact));
}

#[test]
fn the_newest_and_one_before_are_kept() {
    let work = repository();
    let (folder, mut storage) = storage();
    let artifacts: Vec<Artifact> = (0..4)
        .map(|round| {
            work.write("a.txt", format!("{round}")).commit("round");
            store(&storage, &work)
        })
        .collect();
    let held: Vec<bool> = artifacts
        .iter()
        .map(|artifact| storage.holds(artifact))
        .collect();
    assert_eq!(held, [false, false, true, true]);
    storage.retention = std::time::Duration::ZERO;
    store(&storage, &work);
    assert!(!storage.holds(&artifacts[2]) && storage.holds(&artifacts[3]));
    storage::remove(&storage, &shelf());
    assert!(!folder.path().join("gitrepository/ns/name").exists());
}

/// A request as it stands, so that no client tidies the path up.
async fn request(address: std::net::SocketAddr, line: &str) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn artifacts_and_nothing_else_are_served() {
    let work = repository();
    work.write("a.txt", "one").commit("first");
    let (folder, storage) = storage();
    let artifact = store(&storage, &work);
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::fs::write(
        folder.path().parent().unwrap().join("weir-outside.tar.gz"),
        "secret",
    )
    .ok();
    let (_sender, stopping) = watch::channel(false);
    let router = storage::router(storage);
    let address = controller::web::serve("127.0.0.1:0".parse().unwrap(), router, stopping)
        .await
        .unwrap();

    let answer = request(address, &format!("GET /{}", artifact.path)).await;
    let head_end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains(&format!("content-length: {}", artifact.size.unwrap())),
        "{head}"
    );
    assert_eq!(
        answer[head_end..],
        std::fs::read(folder.path().join(&artifact.path)).unwrap()
    );

    let members = artifact.path.replace(".tar.gz", ".members");
    for path in [
        "/secret.txt",
        "/",
        "/gitrepository/ns/name",
        "/../weir-outside.tar.gz",
        "/gitrepository/../../weir-outside.tar.gz",
        "/%2e%2e/weir-outside.tar.gz",
        "/gitrepository/%2e%2e%2f%2e%2e%2fweir-outside.tar.gz",
        "//etc/x.tar.gz",
        "/gitrepository/ns/name/none.tar.gz",
        &format!("/{members}"),
    ] {
        let answer = request(address, &format!("GET {path}")).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}");
    }
    std::fs::remove_file(folder.path().parent().unwrap().join("weir-outside.tar.gz")).ok();
}
