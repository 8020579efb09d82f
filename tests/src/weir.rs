//! Weir as a process: the real binary, its log in a file, ended as politely or as rudely as a test wants.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::eventually;
use crate::scene::PATIENCE;

/// How the allocator of a binary that has the `jemalloc` feature is set where Weir is deployed: see
/// `deploy/deployment.yaml`.
const ALLOCATOR: (&str, &str) = (
    "_RJEM_MALLOC_CONF",
    "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0",
);

/// A process of the controller. It is killed when this value is dropped, and shows the end of its
/// log when that happens in a failing test.
#[derive(Debug)]
pub struct Weir {
    process: Option<Child>,
    kubeconfig: PathBuf,
    arguments: Vec<String>,
    namespace: Option<String>,
    temporary: Option<PathBuf>,
    folder: TempDir,
}

/// How much of the log is shown.
const TAIL_LINES: usize = 60;

impl Weir {
    /// Starts `weir run` with a kubeconfig and more arguments.
    pub fn start(kubeconfig: &Path, arguments: &[impl AsRef<str>]) -> Weir {
        Weir::begin(kubeconfig, arguments, None, None)
    }

    /// Starts `weir run` for the resources of one namespace.
    pub fn start_in(namespace: &str, kubeconfig: &Path, arguments: &[impl AsRef<str>]) -> Weir {
        Weir::begin(kubeconfig, arguments, Some(namespace.to_owned()), None)
    }

    /// The same with a folder of its own for temporary files.
    pub fn start_apart(
        namespace: &str,
        kubeconfig: &Path,
        arguments: &[impl AsRef<str>],
        temporary: &Path,
    ) -> Weir {
        let (namespace, temporary) = (namespace.to_owned(), temporary.to_owned());
        Weir::begin(kubeconfig, arguments, Some(namespace), Some(temporary))
    }

    fn begin(
        kubeconfig: &Path,
        arguments: &[impl AsRef<str>],
        namespace: Option<String>,
        temporary: Option<PathBuf>,
    ) -> Weir {
        let given = arguments
            .iter()
            .map(|argument| argument.as_ref().to_owned());
        let mut weir = Weir {
            process: None,
            kubeconfig: kubeconfig.to_owned(),
            arguments: given.collect(),
            namespace,
            temporary,
            folder: tempfile::tempdir().expect("create a folder for Weir"),
        };
        weir.restart();
        weir
    }

    /// Runs a command of Weir to its end, for example `diff`.
    pub fn command() -> Command {
        let mut command = Command::new(binary());
        // What commands remember stays out of the cache of whoever runs the tests.
        command.env(
            "XDG_CACHE_HOME",
            std::env::temp_dir().join("weir-tests-cache"),
        );
        command
    }

    /// The same with one argument more.
    pub fn restart_with(&mut self, argument: String) {
        self.arguments.push(argument);
        self.restart();
    }

    /// Ends the process if it runs, and starts it with the same arguments. The log goes on.
    pub fn restart(&mut self) {
        self.kill();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.expect("open the log of Weir");
        let mut command = Weir::command();
        command
            .arg("run")
            .args(&self.arguments)
            .env(ALLOCATOR.0, ALLOCATOR.1)
            .env("KUBECONFIG", &self.kubeconfig);
        if let Some(namespace) = &self.namespace {
            command
                .arg("--watch-all-namespaces=false")
                .env("RUNTIME_NAMESPACE", namespace);
        }
        if let Some(temporary) = &self.temporary {
            command.env("TMPDIR", temporary);
        }
        let output = log.try_clone().expect("share the log of Weir");
        let process = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn();
        let process =
            process.unwrap_or_else(|error| panic!("start {}: {error}", binary().display()));
        self.process = Some(process);
    }

    /// Ends the process with SIGKILL: it has no time for anything.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("kill Weir");
            process.wait().expect("wait for Weir's end");
        }
    }

    /// Asks the process to end with SIGTERM, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("Weir runs");
        kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).expect("signal Weir");
        process.wait().expect("wait for Weir's end")
    }

    /// Stops the process's clock, as a machine that is suspended does: nothing in it goes on, and it does not know.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a process that was paused go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("Weir runs");
        kill(Pid::from_raw(process.id().cast_signed()), signal).expect("signal Weir");
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Everything that it has logged, over all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// The address that one of its servers listens on: `metrics`, `health` or `artifacts`.
    pub async fn address(&self, server: &str) -> String {
        let server = format!("\"what\":\"{server}\"");
        eventually(PATIENCE, &format!("Weir serves {server}"), async || {
            let log = self.log();
            // The last start counts.
            let line = log
                .lines()
                .rfind(|line| line.contains(&server))
                .map(str::to_owned);
            let line: serde_json::Value = serde_json::from_str(&line.ok_or("it does not")?)
                .map_err(|_| "it writes the line")?;
            Ok::<_, &str>(line["address"].as_str().unwrap_or_default().to_owned())
        })
        .await
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("weir.log")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- the end of Weir's log\n{}", tail.join("\n"));
        }
    }
}

/// The binary lies beside the folder of the test executable.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_BIN") {
        return path.into();
    }
    let executable = std::env::current_exe().expect("find the test executable");
    let folder = executable
        .ancestors()
        .nth(2)
        .expect("the test executable is in target/*/deps");
    folder.join("weir")
}
