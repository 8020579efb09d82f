//! Which files of a work tree were saved: told by the system as it happens, but for what Git ignores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use gix::worktree::stack::state::ignore::Source;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An editor writes a file in several steps: so long nothing more must come.
const QUIET: Duration = Duration::from_millis(5);

/// So long is waited for that at most.
const PATIENCE: Duration = Duration::from_millis(50);

/// The name of the folder that Git keeps for itself.
const GIT: &str = ".git";

/// Why a work tree cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system refused.
    #[error("watching {}: {source}", path.display())]
    System {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: notify::Error,
    },
    /// The repository cannot be read.
    #[error("reading what Git ignores: {0}")]
    Repository(String),
}

/// Paths that were saved together, relative to the root of the work tree. The root itself, `""`, stands for all: the
/// system has lost count.
pub type Saved = BTreeSet<String>;

/// Watches a work tree for as long as the receiver lives.
pub fn watch(root: &Path) -> Result<UnboundedReceiver<Saved>, WatchError> {
    let (events, incoming) = channel();
    // Whoever sends to a watch that has ended is about to end, too.
    let watcher = notify::recommended_watcher(move |event| drop(events.send(event)));
    let watcher = watcher.map_err(|source| WatchError::System {
        path: root.to_owned(),
        source,
    })?;
    let mut watch = Watch {
        root: root.to_owned(),
        ignored: Ignored::open(root)?,
        watcher,
    };
    watch.add(root.to_owned())?;
    let (saved, receiver) = unbounded_channel();
    std::thread::spawn(move || watch.run(&incoming, &saved));
    Ok(receiver)
}

struct Watch {
    root: PathBuf,
    ignored: Ignored,
    watcher: RecommendedWatcher,
}

impl Watch {
    /// Until nobody listens any more.
    fn run(
        mut self,
        incoming: &Receiver<notify::Result<notify::Event>>,
        saved: &UnboundedSender<Saved>,
    ) {
        while let Ok(first) = incoming.recv() {
            let mut paths = BTreeSet::new();
            self.note(first, &mut paths);
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end {
                match incoming.recv_timeout(QUIET) {
                    Ok(event) => self.note(event, &mut paths),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let paths = self.ignored.without(paths);
            if (!paths.is_empty() && saved.send(paths).is_err()) || saved.is_closed() {
                return;
            }
        }
    }

    fn note(&mut self, event: notify::Result<notify::Event>, paths: &mut Saved) {
        let Ok(event) = event else {
            paths.insert(String::new());
            return;
        };
        if event.need_rescan() {
            paths.insert(String::new());
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths {
            let Some(relative) = self.relative(&path) else {
                continue;
            };
            if path.is_dir() && !path.is_symlink() {
                // What came with a new folder is not told of.
                paths.extend(self.add(path).into_iter().flatten());
            }
            paths.insert(relative);
        }
    }

    /// The path in the tree; none of Git's own files.
    fn relative(&self, path: &Path) -> Option<String> {
        let relative = path.strip_prefix(&self.root).ok()?.to_str()?;
        let is_git = relative.split('/').any(|part| part == GIT);
        (!is_git).then(|| relative.to_owned())
    }

    /// Watches a folder and all below it that Git does not ignore; gives the files.
    fn add(&mut self, folder: PathBuf) -> Result<Saved, WatchError> {
        let mut files = Saved::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            let watched = self.watcher.watch(&folder, RecursiveMode::NonRecursive);
            watched.map_err(|source| WatchError::System {
                path: folder.clone(),
                source,
            })?;
            let mut below = BTreeSet::new();
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Some(relative) = self.relative(&entry.path()) else {
                    continue;
                };
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => drop(below.insert(relative)),
                    _ => drop(files.insert(relative)),
                }
            }
            let below = self.ignored.without(below);
            folders.extend(below.iter().map(|path| self.root.join(path)));
        }
        Ok(files)
    }
}

/// What Git ignores in a work tree: nothing where there is none.
struct Ignored {
    root: PathBuf,
    repository: Option<gix::Repository>,
}

impl Ignored {
    fn open(root: &Path) -> Result<Self, WatchError> {
        let repository = match root.join(GIT).exists() {
            true => {
                Some(gix::open(root).map_err(|error| WatchError::Repository(error.to_string()))?)
            }
            false => None,
        };
        let root = root.to_owned();
        Ok(Self { root, repository })
    }

    /// The paths that Git does not ignore. Where it cannot be asked, none is ignored: a look too many harms nobody.
    fn without(&self, paths: BTreeSet<String>) -> BTreeSet<String> {
        self.asked(&paths).unwrap_or(paths)
    }

    fn asked(&self, paths: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let repository = self.repository.as_ref()?;
        let index = repository.index_or_empty().ok()?;
        let source = Source::WorktreeThenIdMappingIfNotSkipped;
        let mut stack = repository.excludes(&index, None, source).ok()?;
        let mut kept = BTreeSet::new();
        for path in paths {
            let is_tracked = index.entry_by_path(path.as_str().into()).is_some();
            if is_tracked || path.is_empty() || !is_excluded(&mut stack, &self.root, path) {
                kept.insert(path.clone());
            }
        }
        Some(kept)
    }
}

fn is_excluded(stack: &mut gix::AttributeStack<'_>, root: &Path, path: &str) -> bool {
    let is_folder = root.join(path).is_dir();
    let mode = match is_folder {
        true => gix::index::entry::Mode::DIR,
        false => gix::index::entry::Mode::FILE,
    };
    let asked = stack.at_path(Path::new(path), Some(mode));
    asked.is_ok_and(|platform| platform.is_excluded())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    /// What comes until a path has come.
    async fn until(saved: &mut UnboundedReceiver<Saved>, path: &str) -> Saved {
        let mut all = Saved::new();
        while !all.contains(path) {
            let next = tokio::time::timeout(Duration::from_secs(20), saved.recv()).await;
            all.extend(next.expect("in time").expect("the watch goes on"));
        }
        all
    }

    #[tokio::test]
    async fn what_is_saved_is_told_and_what_git_ignores_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        gix::init(&root).expect("a repository");
        write(&root, ".gitignore", "*.log\nout/\n");
        write(&root, "apps/.gitignore", "scratch.yaml\n");
        write(&root, "out/made.yaml", "a: 1\n");
        let mut saved = watch(&root).expect("a watch");

        write(&root, "out/made.yaml", "a: 2\n");
        write(&root, "apps/scratch.yaml", "a: 1\n");
        write(&root, "apps/build.log", "done");
        write(&root, ".git/index.lock", "");
        write(&root, "apps/a.yaml", "a: 1\n");
        let told = until(&mut saved, "apps/a.yaml").await;
        let ignored = [
            "out/made.yaml",
            "apps/scratch.yaml",
            "apps/build.log",
            ".git/index.lock",
        ];
        assert!(!ignored.iter().any(|path| told.contains(*path)), "{told:?}");

        // A folder that comes is watched with what came in it, and what goes is told as well.
        write(&root, "envs/new/deep/b.yaml", "b: 1\n");
        until(&mut saved, "envs/new/deep/b.yaml").await;
        write(&root, "envs/new/deep/b.yaml", "b: 2\n");
        until(&mut saved, "envs/new/deep/b.yaml").await;
        std::fs::remove_file(root.join("apps/a.yaml")).expect("removed");
        until(&mut saved, "apps/a.yaml").await;
    }
}
