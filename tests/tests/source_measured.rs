//! What fetching costs on a large repository: run with `--release -- --ignored --nocapture`. The number of files is
//! in `WEIR_FILES`, 100,000 by default.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::source::storage::{self, Content, Shelf, Storage};
use controller::source::{
    Access, Fetched, Filtered, Reference, Remote, RemoteUrl, Repositories, Selection, refresh,
};
use overlay::Tree;
use weir_tests::{GitServer, GitServerOptions, Repository};

const COMMITS: usize = 5_000;

fn files() -> usize {
    let given = std::env::var("WEIR_FILES").ok();
    given.map_or(100_000, |number| number.parse().unwrap())
}

/// About two kilobytes that do not compress away.
fn content(seed: usize) -> String {
    let mut text = String::new();
    let mut state = seed as u64 + 1;
    while text.len() < 2_000 {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let _ = writeln!(text, "key-{:08x}: value {:016x}", state >> 40, state);
    }
    text
}

fn path(file: usize) -> String {
    format!("area{}/service{}/file{file}.yaml", file / 5_000, file / 100)
}

/// Feeds a stream to `git fast-import`, which writes objects faster than any working tree.
fn import(work: &Repository, stream: &str) {
    let mut git = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(work.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin
        .take()
        .unwrap()
        .write_all(stream.as_bytes())
        .unwrap();
    assert!(git.wait().unwrap().success());
}

fn commit(stream: &mut String, number: usize, onto: bool) {
    let from = if onto { "from refs/heads/main^0\n" } else { "" };
    let who = format!("Ada <ada@example.org> {} +0000", 1_700_000_000 + number);
    let _ = write!(
        stream,
        "commit refs/heads/main\ncommitter {who}\ndata 4\nwork\n{from}"
    );
}

fn change(stream: &mut String, path: &str, text: &str) {
    let _ = write!(
        stream,
        "M 100644 inline {path}\ndata {}\n{text}\n",
        text.len()
    );
}

/// One step in time, printed.
fn step(name: &str, begin: Instant) -> Duration {
    let took = begin.elapsed();
    println!("{name:<44} {:>8.1} ms", took.as_secs_f64() * 1e3);
    took
}

fn anonymous_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .find(|line| line.starts_with("RssAnon"))
        .unwrap()
        .to_owned()
}

async fn look(repositories: &Arc<Repositories>, url: &str) -> Fetched {
    let remote = Remote {
        url: RemoteUrl::parse(url).unwrap().0,
        access: Access::default(),
        timeout: Duration::from_secs(300),
    };
    let reference = Reference::Branch("main".to_owned());
    refresh(repositories, "ns/name", &remote, &reference)
        .await
        .unwrap()
}

fn tree(fetched: &Fetched) -> Filtered {
    let tree = Filtered::new(fetched.tree.clone(), &Selection::default()).unwrap();
    assert!(!tree.list("").unwrap().is_empty());
    tree
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn a_large_repository() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("large");
    let files = files();
    let mut stream = String::new();
    commit(&mut stream, 0, false);
    (0..files).for_each(|file| change(&mut stream, &path(file), &content(file)));
    for number in 1..COMMITS {
        commit(&mut stream, number, false);
        change(
            &mut stream,
            &path(number * 19 % files),
            &content(files + number),
        );
    }
    import(&work, &stream);
    work.git(&["push", "--quiet", "origin", "main"]);
    let url = server.url("large");

    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    work.git(&[
        "clone",
        "--quiet",
        "--depth",
        "1",
        "--bare",
        &url,
        folder.path().join("clone").to_str().unwrap(),
    ]);
    step("git clone --depth 1 --bare", begin);

    let repositories = Arc::new(Repositories::new(folder.path().join("caches")));
    println!("before the fetch: {}", anonymous_memory());
    let begin = Instant::now();
    let fetched = look(&repositories, &url).await;
    step("first fetch", begin);
    println!("after the fetch: {}", anonymous_memory());
    let begin = Instant::now();
    let first = tree(&fetched);
    step("tree known, cold", begin);

    let begin = Instant::now();
    assert!(look(&repositories, &url).await.known);
    step("nothing new", begin);

    let storage = Storage::new(folder.path().join("artifacts"), "host".to_owned());
    let begin = Instant::now();
    let shelf = Shelf {
        kind: "gitrepository",
        namespace: "ns".to_owned(),
        name: "name".to_owned(),
    };
    let kept = Content::Commit(&first);
    storage::store(&storage, &shelf, "first", "first", &kept).unwrap();
    step("archive, cold", begin);

    for round in 0..3 {
        let mut stream = String::new();
        commit(&mut stream, COMMITS + round, true);
        change(&mut stream, &path(files / 2), &content(2 * files + round));
        import(&work, &stream);
        work.git(&["push", "--quiet", "origin", "main"]);
        let begin = Instant::now();
        let fetched = look(&repositories, &url).await;
        assert!(!fetched.known);
        step("one file: fetched", begin);
        let tree = tree(&fetched);
        step("one file: tree known", begin);
        let begin = Instant::now();
        let name = format!("round{round}");
        storage::store(&storage, &shelf, &name, &name, &Content::Commit(&tree)).unwrap();
        step("one file: archive", begin);
    }
    println!("at the end: {}", anonymous_memory());
}
