//! The user's own `git`, which commits and pushes: credential helpers, agents, hooks and signing are as configured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cli::Failure;
use crate::promotion::auto::published::refspecs;
use crate::promotion::overlaid::Changes;

/// A folder in which `git` runs.
pub(in crate::cli) struct Git {
    folder: PathBuf,
}

/// What a push came to.
pub(in crate::cli) enum Pushed {
    /// The server has it.
    Done,
    /// Somebody else was faster.
    Outrun,
}

impl Git {
    /// In this folder.
    pub(in crate::cli) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Runs a command to its end, and gives what it printed.
    pub(in crate::cli) fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output = self.output(arguments, None)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()),
            false => Err(failed(arguments, &output)),
        }
    }

    fn output(&self, arguments: &[&str], input: Option<&str>) -> Result<Output, Failure> {
        let unable = |error: std::io::Error| Failure::new(format!("running git: {error}"));
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(unable)?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // A hook that refuses may end before it has read the message.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output().map_err(unable)
    }

    /// Writes files into the folder and commits them, and nothing else.
    pub(in crate::cli) fn commit(
        &self,
        changes: &Changes,
        executables: &BTreeSet<String>,
        message: &str,
    ) -> Result<String, Failure> {
        self.write(changes)?;
        for path in executables {
            self.make_executable(path)?;
        }
        let paths: Vec<&str> = changes.keys().map(String::as_str).collect();
        let mut add = vec!["--literal-pathspecs", "add", "--all", "--force", "--"];
        add.extend(&paths);
        self.run(&add)?;
        let mut commit = vec!["--literal-pathspecs", "commit", "--quiet", "--file=-", "--"];
        commit.extend(&paths);
        let output = self.output(&commit, Some(message))?;
        match output.status.success() {
            true => self.run(&["rev-parse", "HEAD"]),
            false => Err(failed(&["commit"], &output)),
        }
    }

    /// Lets a file that was written be run.
    fn make_executable(&self, path: &str) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.join(path);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
            .map_err(|error| Failure::io("making executable", &file, &error))
    }

    /// Writes files into the folder.
    pub(in crate::cli) fn write(&self, changes: &Changes) -> Result<(), Failure> {
        for path in changes.keys() {
            self.refuse_escape(path)?;
        }
        for (path, bytes) in changes {
            let file = self.folder.join(path);
            match bytes {
                Some(bytes) => {
                    let folder = file.parent().unwrap_or(&self.folder);
                    std::fs::create_dir_all(folder)
                        .and_then(|()| std::fs::write(&file, bytes))
                        .map_err(|error| Failure::io("writing", &file, &error))?;
                }
                None => match std::fs::remove_file(&file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Failure::io("deleting", &file, &error));
                    }
                    _ => self.remove_empty(file.parent()),
                },
            }
        }
        Ok(())
    }

    /// Removes folders that nothing is left in, as Git does, from the inside out.
    fn remove_empty(&self, mut folder: Option<&Path>) {
        while let Some(empty) = folder.filter(|folder| *folder != self.folder) {
            if std::fs::remove_dir(empty).is_err() {
                return;
            }
            folder = empty.parent();
        }
    }

    /// Refuses a path that leads out of the work tree, or into Git's own folder: a tree may hold any name, and a folder
    /// of it may be a link.
    fn refuse_escape(&self, path: &str) -> Result<(), Failure> {
        let is_odd = |part: &str| {
            matches!(part, "" | "." | "..")
                || part.eq_ignore_ascii_case(".git")
                || part.contains(['\\', '\0'])
        };
        if path.split('/').any(is_odd) {
            return Err(Failure::new(format!(
                "{path:?} is no path for a file of a repository"
            )));
        }
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        for part in folders.chain([path]) {
            let found = std::fs::symlink_metadata(self.folder.join(part));
            if found.is_ok_and(|found| found.is_symlink()) {
                return Err(Failure::new(format!(
                    "{path:?} leads through {part:?}, which is a link"
                )));
            }
        }
        Ok(())
    }

    /// Paths below these that are not as they were committed.
    pub(in crate::cli) fn uncommitted(&self, paths: &[&str]) -> Result<Vec<String>, Failure> {
        let mut status = vec![
            "--literal-pathspecs",
            "status",
            "--porcelain",
            "--untracked-files=all",
            "--",
        ];
        status.extend(paths);
        let listed = self.run(&status)?;
        Ok(listed
            .lines()
            .filter_map(|line| Some(line.get(3..)?.to_owned()))
            .collect())
    }

    /// Sets a branch of the server to a commit, if it still is what it was; nothing as the old id creates it.
    pub(in crate::cli) fn push(
        &self,
        remote: &str,
        branch: &str,
        commit: &str,
        old: &str,
    ) -> Result<Pushed, Failure> {
        let lease = format!("--force-with-lease=refs/heads/{branch}:{old}");
        let refspec = format!("{commit}:refs/heads/{branch}");
        let arguments = ["push", "--porcelain", &lease, "--", remote, &refspec];
        let output = self.output(&arguments, None)?;
        if output.status.success() {
            return Ok(Pushed::Done);
        }
        let told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        // The lease no longer holds, or another push holds the server's lock on the branch.
        let outrun = [
            "stale info",
            "fetch first",
            "non-fast-forward",
            "cannot lock ref",
            "failed to update ref",
        ];
        match outrun.iter().any(|sign| told.contains(sign)) {
            true => Ok(Pushed::Outrun),
            false => Err(failed(&["push"], &output)),
        }
    }

    /// The commit of a branch of the server; nothing when it has no such branch.
    pub(in crate::cli) fn remote_id(&self, remote: &str, branch: &str) -> Result<String, Failure> {
        let name = format!("refs/heads/{branch}");
        let listed = self.run(&["ls-remote", "--", remote, &name])?;
        Ok(listed
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Fetches a branch of the server, and gives the commit.
    pub(in crate::cli) fn fetch(&self, remote: &str, branch: &str) -> Result<String, Failure> {
        let tracking = format!("refs/remotes/{remote}/{branch}");
        let refspec = format!("+refs/heads/{branch}:{tracking}");
        self.run(&["fetch", "--quiet", "--", remote, &refspec])?;
        self.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{tracking}^{{commit}}"),
        ])
    }

    /// Brings what environments have published.
    pub(in crate::cli) fn fetch_states(&self, remote: &str) -> Result<(), Failure> {
        let specs = refspecs();
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--", remote];
        arguments.extend(specs.iter().map(String::as_str));
        self.run(&arguments).map(drop)
    }

    /// Whether a commit holds these files as they are wanted.
    pub(in crate::cli) fn holds(&self, commit: &str, changes: &Changes) -> Result<bool, Failure> {
        for (path, bytes) in changes {
            let held = self.output(&["cat-file", "blob", &format!("{commit}:{path}")], None)?;
            let held = held.status.success().then_some(held.stdout);
            if held != *bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The branch of the server that is the default.
    pub(in crate::cli) fn default_branch(&self, remote: &str) -> Result<String, Failure> {
        let listed = self.run(&["ls-remote", "--symref", "--", remote, "HEAD"])?;
        let first = listed.lines().next().unwrap_or_default();
        let name = first
            .strip_prefix("ref: refs/heads/")
            .and_then(|rest| rest.split_whitespace().next());
        name.map(str::to_owned).ok_or_else(|| {
            Failure::with_hint(
                format!("{remote} does not say which branch is its default"),
                "`--onto BRANCH` names it",
            )
        })
    }

    /// The branch that is checked out.
    pub(in crate::cli) fn branch(&self) -> Result<String, Failure> {
        self.run(&["symbolic-ref", "--quiet", "--short", "HEAD"])
            .map_err(|_| {
                Failure::with_hint(
                    "no branch is checked out",
                    "`--onto BRANCH` names the one that is written",
                )
            })
    }

    /// A second work tree of the repository at a commit, which goes when it is dropped.
    pub(in crate::cli) fn aside(&self, commit: &str) -> Result<Aside, Failure> {
        let unable = |error| Failure::new(format!("making a temporary folder: {error}"));
        let folder = tempfile::tempdir().map_err(unable)?;
        let place = folder.path().join("work");
        let text = place.to_string_lossy().into_owned();
        self.run(&["worktree", "add", "--quiet", "--detach", &text, commit])?;
        Ok(Aside {
            home: Git::at(&self.folder),
            git: Git::at(&place),
            text,
            _folder: folder,
        })
    }
}

/// A work tree beside the user's own.
pub(in crate::cli) struct Aside {
    home: Git,
    /// Runs in it.
    pub(in crate::cli) git: Git,
    text: String,
    _folder: tempfile::TempDir,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What is left behind is an entry that `git worktree prune` clears.
        let _ = self
            .home
            .run(&["worktree", "remove", "--force", &self.text]);
    }
}

fn failed(arguments: &[&str], output: &Output) -> Failure {
    let act = arguments
        .iter()
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or(&"");
    let mut message = format!("git {act} failed");
    for stream in [&output.stderr, &output.stdout] {
        let text = String::from_utf8_lossy(stream);
        if !text.trim().is_empty() {
            let _ = write!(message, "\n{}", text.trim_end());
        }
    }
    Failure::new(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_work_tree() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let work = folder.path().join("work");
        std::fs::create_dir_all(work.join("real")).expect("a folder");
        std::os::unix::fs::symlink(folder.path(), work.join("link")).expect("a link");
        let git = Git::at(&work);
        let changes = |path: &str| Changes::from([(path.to_owned(), Some(b"x".to_vec()))]);
        for path in [
            "../out",
            "real/../../out",
            "/out",
            ".git/hooks/pre-commit",
            "a/.GIT/x",
            "link/out",
            "link",
            "a//b",
        ] {
            assert!(git.write(&changes(path)).is_err(), "{path}");
        }
        assert!(!folder.path().join("out").exists());
        assert!(git.write(&changes("real/new/file")).is_ok());
    }
}
