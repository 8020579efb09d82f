//! A working repository, driven with the `git` program as a person would.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A working repository in a temporary folder, with one remote.
#[derive(Debug)]
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// Creates an empty repository, on branch `main`, that pushes to a URL. A certificate is
    /// trusted beside nothing else.
    pub fn create(remote: &str, certificate: Option<&Path>) -> Repository {
        let folder = tempfile::tempdir().expect("create a folder for a repository");
        let repository = Repository { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["remote", "add", "origin", remote]);
        if let Some(certificate) = certificate {
            let path = certificate
                .to_str()
                .expect("the path of a certificate is text");
            repository.git(&["config", "http.sslCAInfo", path]);
        }
        repository
    }

    /// The folder of the working tree.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(path);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("create a folder");
        fs::write(path, content).expect("write a file");
        self
    }

    /// Removes a file or a folder.
    pub fn remove(&self, path: &str) -> &Self {
        self.git(&["rm", "-r", "--quiet", "--force", path]);
        self
    }

    /// Copies a folder of files into the working tree, over what is there.
    pub fn copy(&self, from: &Path, to: &str) -> &Self {
        for entry in fs::read_dir(from).expect("list a folder") {
            let entry = entry.expect("list a folder");
            let name = entry
                .file_name()
                .into_string()
                .expect("file names are text");
            let target = if to.is_empty() {
                name
            } else {
                format!("{to}/{name}")
            };
            if entry.file_type().expect("look at a file").is_dir() {
                self.copy(&entry.path(), &target);
            } else {
                self.write(&target, fs::read(entry.path()).expect("read a file"));
            }
        }
        self
    }

    /// Commits everything in the working tree and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Commits and pushes, and returns the commit's id.
    pub fn publish(&self, message: &str) -> String {
        let commit = self.commit(message);
        self.push();
        commit
    }

    /// The id of the current commit.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes the current branch and all tags.
    pub fn push(&self) {
        self.git(&["push", "--quiet", "--tags", "origin", "HEAD"]);
    }

    /// Pushes the current branch over whatever the server has.
    pub fn force_push(&self) {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD"]);
    }

    /// Creates a branch here and goes to it.
    pub fn branch(&self, name: &str) {
        self.git(&["switch", "--quiet", "--create", name]);
    }

    /// Goes to a branch.
    pub fn switch(&self, name: &str) {
        self.git(&["switch", "--quiet", name]);
    }

    /// Goes back to an earlier state, throwing away what came after it.
    pub fn reset(&self, revision: &str) {
        self.git(&["reset", "--quiet", "--hard", revision]);
    }

    /// Tags the current commit.
    pub fn tag(&self, name: &str) {
        self.git(&["tag", "--annotate", "--message", name, name]);
    }

    /// Runs any other `git` command here and returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }
}

/// Runs `git` in a folder and returns what it printed, without the last line's end.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = isolated()
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("run git");
    assert!(
        output.status.success(),
        "git {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("git prints text")
        .trim_end()
        .to_owned()
}

/// The `git` program, kept from the settings of whoever runs the tests.
pub(crate) fn isolated() -> Command {
    let mut command = Command::new("git");
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ] {
        command.env(name, value);
    }
    // The first three are set by git itself when the tests run in one of its hooks. All of these
    // are stronger than what is configured in the folder.
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_SSL_CAINFO",
    ] {
        command.env_remove(name);
    }
    command
}
