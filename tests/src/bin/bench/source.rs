//! What fetching costs in a large repository, beside `git clone`: the first fetch, a commit of one file, and the artifact
//! that follows it.

use std::fmt::Write as _;
use std::io::BufWriter;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use controller::source::storage::{self, Content, Shelf, Storage};
use controller::source::{
    Access, Fetched, Filtered, Reference, Remote, RemoteUrl, Repositories, Selection, refresh,
};
use overlay::Tree;
use weir_tests::{GitServer, GitServerOptions, Repository};

use crate::change::median;
use crate::table::Row;

/// How often the first fetch and the clone are measured, in turn; the quickest counts.
const TIMES: usize = 3;
/// How many commits of one file the medians are of.
const ROUNDS: usize = 7;
/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Measures a repository with so many files and commits.
pub(crate) async fn measure(files: usize, commits: usize) -> Vec<Row> {
    let large = Large::create(files, commits);
    let mut rows = large.first().await;
    rows.extend(large.later(&rows[0].detail).await);
    rows
}

/// A large repository on a server.
struct Large {
    server: GitServer,
    work: Repository,
    files: usize,
    commits: usize,
}

impl Large {
    fn create(files: usize, commits: usize) -> Self {
        let server = GitServer::start(GitServerOptions::default());
        let work = server.create_repository("large");
        let large = Self {
            server,
            work,
            files,
            commits,
        };
        large.import(|stream| {
            commit(stream, 0, false);
            (0..files).for_each(|file| change(stream, file, file));
            for number in 1..commits {
                commit(stream, number, false);
                change(stream, number * 19 % files, files + number);
            }
        });
        large
    }

    /// Feeds a stream to `git fast-import`, which writes objects faster than any work tree, and pushes.
    fn import(&self, write: impl FnOnce(&mut BufWriter<ChildStdin>)) {
        let mut git = Command::new("git")
            .args(["fast-import", "--quiet", "--force"])
            .current_dir(self.work.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("start git fast-import");
        let mut stream = BufWriter::new(git.stdin.take().expect("standard input is a pipe"));
        write(&mut stream);
        drop(stream);
        assert!(git.wait().expect("wait for git").success());
        self.work.git(&["push", "--quiet", "origin", "main"]);
    }

    /// The first fetch, beside a clone of the same.
    async fn first(&self) -> Vec<Row> {
        let (mut cloned, mut fetched, mut memory) = (f64::MAX, f64::MAX, 0.0_f64);
        for _ in 0..TIMES {
            let folder = tempfile::tempdir().expect("create a folder");
            cloned = cloned.min(self.clone_into(&folder.path().join("clone")));
            let repositories = Arc::new(Repositories::new(folder.path().join("caches")));
            let meter = Meter::start();
            let begun = Instant::now();
            let _tree = tree(&self.look(&repositories).await);
            fetched = fetched.min(begun.elapsed().as_secs_f64());
            memory = memory.max(meter.peak());
        }
        let files = self.files;
        vec![
            Row {
                what: format!("first fetch of {files} files, times `git clone --depth 1 --bare`"),
                peer: "–",
                floor: None,
                seen: fetched / cloned,
                goal: 1.3,
                unit: "×",
                detail: format!("{fetched:.2} s and {cloned:.2} s, the quickest of {TIMES}"),
            },
            Row {
                what: "its anonymous memory, at the peak".to_owned(),
                peer: "–",
                floor: None,
                seen: memory,
                goal: 100.0,
                unit: "MiB",
                detail: "more than before, files of 2 KB".to_owned(),
            },
        ]
    }

    fn clone_into(&self, folder: &Path) -> f64 {
        let begun = Instant::now();
        let (url, folder) = (self.server.url("large"), folder.display().to_string());
        let arguments = ["clone", "--quiet", "--depth", "1", "--bare", &url, &folder];
        self.work.git(&arguments);
        begun.elapsed().as_secs_f64()
    }

    /// Commits of one file.
    async fn later(&self, first: &str) -> Vec<Row> {
        let folder = tempfile::tempdir().expect("create a folder");
        let repositories = Arc::new(Repositories::new(folder.path().join("caches")));
        let storage = Storage::new(folder.path().join("artifacts"), "host".to_owned());
        let begun = Instant::now();
        keep(&storage, "first", &tree(&self.look(&repositories).await));
        let cold = begun.elapsed().as_secs_f64();
        let (mut known, mut archived, mut idle, mut memory) = (vec![], vec![], vec![], 0.0_f64);
        for round in 0..ROUNDS {
            self.import(|stream| {
                commit(stream, self.commits + round, true);
                change(stream, self.files / 2, 2 * self.files + round);
            });
            let begun = Instant::now();
            let fetched = self.look(&repositories).await;
            assert!(!fetched.known, "there is news");
            let tree = tree(&fetched);
            known.push(milliseconds(begun));
            let meter = Meter::start();
            let begun = Instant::now();
            keep(&storage, &format!("round{round}"), &tree);
            archived.push(milliseconds(begun));
            memory = memory.max(meter.peak());
            let begun = Instant::now();
            assert!(self.look(&repositories).await.known, "there is no news");
            idle.push(milliseconds(begun));
        }
        let row = |what: &str, seen, goal, unit, detail: String| Row {
            what: what.to_owned(),
            peer: "–",
            floor: None,
            seen,
            goal,
            unit,
            detail,
        };
        let of = format!("p50 of {ROUNDS}");
        vec![
            row(
                "a commit of one file fetched, and its tree known",
                median(known),
                150.0,
                "ms",
                of.clone(),
            ),
            row("a look without news", median(idle), 50.0, "ms", of.clone()),
            row(
                "the artifact of a commit of one file",
                median(archived),
                500.0,
                "ms",
                format!("{of}; the first of all, with its fetch, {cold:.1} s; fetches: {first}"),
            ),
            row(
                "its anonymous memory, at the peak",
                memory,
                32.0,
                "MiB",
                "more than before".to_owned(),
            ),
        ]
    }

    async fn look(&self, repositories: &Arc<Repositories>) -> Fetched {
        let (url, _) = RemoteUrl::parse(&self.server.url("large")).expect("an address");
        let remote = Remote {
            url,
            access: Access::default(),
            timeout: Duration::from_secs(600),
        };
        let reference = Reference::Branch("main".to_owned());
        let fetched = refresh(repositories, "ns/name", &remote, &reference).await;
        fetched.expect("fetch")
    }
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn tree(fetched: &Fetched) -> Filtered {
    let tree = Filtered::new(fetched.tree.clone(), &Selection::default()).expect("a tree");
    assert!(!tree.list("").expect("list the root").is_empty());
    tree
}

fn keep(storage: &Storage, name: &str, tree: &Filtered) {
    let shelf = Shelf {
        kind: "gitrepository",
        namespace: "ns".to_owned(),
        name: "name".to_owned(),
    };
    let stored = storage::store(storage, &shelf, name, name, &Content::Commit(tree));
    stored.expect("store the artifact");
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

fn commit(stream: &mut impl std::io::Write, number: usize, onto: bool) {
    let from = if onto { "from refs/heads/main^0\n" } else { "" };
    let who = format!("Ada <ada@example.org> {} +0000", 1_700_000_000 + number);
    let head = format!("commit refs/heads/main\ncommitter {who}\ndata 4\nwork\n{from}");
    stream.write_all(head.as_bytes()).expect("write a commit");
}

fn change(stream: &mut impl std::io::Write, file: usize, seed: usize) {
    let path = format!("area{}/service{}/file{file}.yaml", file / 5_000, file / 100);
    let text = content(seed);
    let entry = format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
    stream.write_all(entry.as_bytes()).expect("write a file");
}

/// Looks at the anonymous memory of this process until it is asked for the most that was seen.
struct Meter {
    before: u64,
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<()>,
}

impl Meter {
    fn start() -> Self {
        let before = anonymous();
        let peak = Arc::new(AtomicU64::new(before));
        let over = Arc::new(AtomicBool::new(false));
        let (seen, ended) = (peak.clone(), over.clone());
        let looking = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                seen.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        Self {
            before,
            peak,
            over,
            looking,
        }
    }

    /// The most that was seen beyond what there was before, in MiB.
    fn peak(self) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.looking.join();
        (self.peak.load(Ordering::Relaxed) - self.before) as f64 / 1024.0
    }
}

/// Anonymous memory of this process in KiB.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("look at this process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("a process has anonymous memory")
}
