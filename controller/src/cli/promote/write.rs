//! Writing what was planned: into the work tree, onto the server's branch, onto a branch of its own.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::{print, println};
use overlay::Tree;

use super::git::{Git, Pushed};
use super::history;
use super::pull_request::open;
use super::trunk::{Server, warn};
use crate::cli::forge_flags::ForgeFlags;
use crate::cli::{Exit, Failure, Outcome};
use crate::promotion::overlaid::Changes;
use crate::source::GitTree;
use crate::source::history::History;

/// How often a push that was outrun is tried again.
const ATTEMPTS: u32 = 30;

#[derive(clap::Args)]
#[command(next_help_heading = "Writing")]
pub(in crate::cli) struct WriteFlags {
    /// Commit in this work tree, upon the branch that is checked out.
    #[arg(long, group = "into")]
    commit: bool,
    /// Commit upon the server's branch, and push.
    #[arg(long, group = "into")]
    push: bool,
    /// The same on a branch of its own, which a later run brings up to date.
    #[arg(long, group = "into")]
    branch: bool,
    /// The same, and open the pull request of that branch, or bring it up to date.
    #[arg(long, group = "into")]
    pull_request: bool,
    /// The server that `--push` and `--branch` write to.
    #[arg(long, value_name = "NAME", default_value = "origin")]
    pub(in crate::cli) remote: String,
    /// The server's branch that is read and written; default the one that is checked out.
    #[arg(long, value_name = "BRANCH")]
    pub(super) onto: Option<String>,
    /// The server's default branch, whose `weir.yaml` counts; default what the clone remembers of it.
    #[arg(long, value_name = "BRANCH")]
    pub(super) default_branch: Option<String>,
    #[command(flatten)]
    forge: ForgeFlags,
}

impl WriteFlags {
    /// The server, and what its default branch was said to be.
    pub(in crate::cli) fn server(&self) -> Server<'_> {
        Server {
            remote: &self.remote,
            default_branch: self.default_branch.as_deref(),
        }
    }

    /// A branch of its own is written.
    fn is_own(&self) -> bool {
        self.branch || self.pull_request
    }
}

/// What was planned upon a revision.
pub(in crate::cli) struct Ready {
    /// It, for people.
    pub(in crate::cli) told: String,
    /// Why it is not written.
    pub(in crate::cli) refusal: Option<Failure>,
    /// What is said when there is nothing to write.
    pub(in crate::cli) nothing: String,
    /// The files.
    pub(in crate::cli) changes: Changes,
    /// Those of them that are new and may be run.
    pub(in crate::cli) executables: BTreeSet<String>,
    /// The commit's message.
    pub(in crate::cli) message: String,
    /// The files as they are.
    pub(in crate::cli) tree: GitTree,
    /// Files that must be as they were committed.
    pub(in crate::cli) touched: Vec<String>,
    /// The branch of its own.
    pub(in crate::cli) own_branch: String,
}

/// What is planned upon.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Upon<'a> {
    /// The repository.
    pub(in crate::cli) history: &'a History,
    /// The commit.
    pub(in crate::cli) revision: &'a str,
    /// The default branch, where that commit does not stand on it.
    pub(in crate::cli) trunk: Option<&'a str>,
}

/// Plans upon a revision.
pub(in crate::cli) type Planner<'a> = &'a dyn Fn(Upon<'_>) -> Result<Ready, Failure>;

/// Plans, shows, and writes where that is asked for.
pub(in crate::cli) fn write(flags: &WriteFlags, planner: Planner<'_>) -> Outcome {
    match (flags.commit, flags.push || flags.is_own()) {
        (true, _) => commit(flags, planner),
        (_, true) => push(flags, planner),
        _ => show(flags, planner),
    }
}

fn show(flags: &WriteFlags, planner: Planner<'_>) -> Outcome {
    let ready = upon_head(flags, &history(Path::new("."))?, planner)?;
    print!("{}", ready.told);
    match settled(ready)? {
        None => Ok(Exit::Success),
        Some(_) => {
            println!("\nNothing is written yet: `--commit`, `--push` or `--branch` does it.");
            Ok(Exit::Changes)
        }
    }
}

/// Plans upon what is checked out.
fn upon_head(
    flags: &WriteFlags,
    history: &History,
    planner: Planner<'_>,
) -> Result<Ready, Failure> {
    let trunk = flags.server().beside_head(history)?;
    warn(&trunk);
    planner(Upon {
        history,
        revision: "HEAD",
        trunk: trunk.revision(),
    })
}

/// Fails where it is refused; nothing is given where there is nothing to write.
fn settled(mut ready: Ready) -> Result<Option<Ready>, Failure> {
    if let Some(refusal) = ready.refusal.take() {
        return Err(refusal);
    }
    if ready.changes.is_empty() {
        println!("{}", ready.nothing);
        return Ok(None);
    }
    Ok(Some(ready))
}

/// Commits upon what is checked out. Where a hook refuses, the files are put back.
fn commit(flags: &WriteFlags, planner: Planner<'_>) -> Outcome {
    let history = history(Path::new("."))?;
    let git = Git::at(&work_tree(&history)?);
    let ready = upon_head(flags, &history, planner)?;
    refuse_uncommitted(&git, &ready.touched)?;
    print!("{}", ready.told);
    let Some(ready) = settled(ready)? else {
        return Ok(Exit::Success);
    };
    let committed = git.commit(&ready.changes, &ready.executables, &ready.message);
    if committed.is_err() {
        let old = |path: &String| ready.tree.read(path).ok().map(|bytes| bytes.to_vec());
        let restored: Changes = ready
            .changes
            .keys()
            .map(|path| (path.clone(), old(path)))
            .collect();
        git.write(&restored)?;
        let mut reset = vec!["--literal-pathspecs", "reset", "--quiet", "--"];
        reset.extend(ready.changes.keys().map(String::as_str));
        git.run(&reset)?;
    }
    println!("\nCommitted {}.", short(&committed?));
    Ok(Exit::Success)
}

/// The folder of the checked-out files.
pub(super) fn work_tree(history: &History) -> Result<PathBuf, Failure> {
    let missing = || Failure::new("the repository is bare: it has no work tree to commit in");
    history.work_tree().ok_or_else(missing)
}

/// Refuses a work tree in which the files of either side are not as they were committed.
pub(super) fn refuse_uncommitted(git: &Git, paths: &[String]) -> Result<(), Failure> {
    if paths.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    match git.uncommitted(&paths)?.first() {
        None => Ok(()),
        Some(first) => Err(Failure::with_hint(
            format!("{first} has changes that are not committed"),
            "what is promoted is what is committed; commit or stash them",
        )),
    }
}

/// Commits upon the server's branch and pushes; where somebody was faster, all is planned anew upon what is there then.
fn push(flags: &WriteFlags, planner: Planner<'_>) -> Outcome {
    let top = history(Path::new("."))?.work_tree();
    let git = Git::at(&top.unwrap_or_else(|| PathBuf::from(".")));
    let remote = flags.remote.as_str();
    let onto = match &flags.onto {
        Some(onto) => onto.clone(),
        None => git.branch()?,
    };
    let mut shown = String::new();
    for attempt in 1..=ATTEMPTS {
        let base = git.fetch(remote, &onto)?;
        let trunk = flags
            .server()
            .beside_branch(&git, &history(Path::new("."))?, &onto)?;
        // Opened anew: what was fetched lies in packs that an older view does not know.
        let ready = planner(Upon {
            history: &history(Path::new("."))?,
            revision: &base,
            trunk: trunk.revision(),
        })?;
        if ready.told != shown {
            print!("{}", ready.told);
            shown.clone_from(&ready.told);
        }
        let Some(ready) = settled(ready)? else {
            return Ok(Exit::Success);
        };
        let done = match flags.is_own() {
            true => write_own(&git, &ready, remote, &base)?,
            false => write_and_push(&git, &ready, [remote, &onto], [&base, &base])?,
        };
        match done {
            Some(done) => {
                println!("\n{done}");
                if flags.pull_request {
                    println!("{}", open(&flags.forge, &ready, &onto)?);
                }
                return Ok(Exit::Success);
            }
            None => std::thread::sleep(pause(attempt)),
        }
    }
    Err(Failure::new(format!(
        "{remote} changed under each of {ATTEMPTS} attempts; try again later"
    )))
}

/// Brings the branch of its own up to date; one that holds the same upon the same commit stays.
fn write_own(
    git: &Git,
    ready: &Ready,
    remote: &str,
    base: &str,
) -> Result<Option<String>, Failure> {
    let branch = &ready.own_branch;
    let old = git.remote_id(remote, branch)?;
    if !old.is_empty() {
        let there = git.fetch(remote, branch)?;
        let parent = git.run(&["rev-parse", "--verify", "--quiet", &format!("{there}^")]);
        if parent.is_ok_and(|parent| parent == base) && git.holds(&there, &ready.changes)? {
            return Ok(Some(format!("{branch} of {remote} is up to date.")));
        }
    }
    write_and_push(git, ready, [remote, branch], [base, &old])
}

/// What is said of the push; nothing when somebody was faster.
fn write_and_push(
    git: &Git,
    ready: &Ready,
    [remote, branch]: [&str; 2],
    [base, old]: [&str; 2],
) -> Result<Option<String>, Failure> {
    let aside = git.aside(base)?;
    let commit = aside
        .git
        .commit(&ready.changes, &ready.executables, &ready.message)?;
    match git.push(remote, branch, &commit, old)? {
        Pushed::Done => Ok(Some(format!(
            "Pushed {} to {branch} of {remote}.",
            short(&commit)
        ))),
        Pushed::Outrun => Ok(None),
    }
}

/// Longer with every attempt, and never the same for two.
fn pause(attempt: u32) -> Duration {
    let most = 50 * u64::from(attempt.min(10));
    Duration::from_millis(20 + RandomState::new().hash_one(attempt) % most)
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
