//! A Kubernetes control plane of one's own: etcd, API server, controllers, scheduler and a simulated node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::audit::AuditLog;

/// A running control plane. It ends when this value is dropped or when the process ends, however
/// it ends: the program behind it watches its standard input.
#[derive(Debug)]
pub struct ControlPlane {
    ready: Ready,
    process: Child,
    leash: Option<ChildStdin>,
}

/// How a control plane is started.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// Write an audit log.
    pub audit: bool,
    /// More users with a token, as `NAME` or `NAME:GROUP,GROUP`.
    pub users: Vec<String>,
}

/// The line that the program prints when everything is ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    server: String,
    certificate_authority: PathBuf,
    kubeconfigs: BTreeMap<String, PathBuf>,
    tokens: BTreeMap<String, String>,
    audit_log: Option<PathBuf>,
}

impl ControlPlane {
    /// The administrator, past all rules.
    pub const ADMINISTRATOR: &str = "admin";
    /// The user that Weir runs as, with the role `cluster-admin`.
    pub const WEIR: &str = "weir";

    /// The control plane that the tests of this process share, with an audit log.
    pub fn shared() -> &'static ControlPlane {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| {
            ControlPlane::start(ControlPlaneOptions {
                audit: true,
                ..Default::default()
            })
        })
    }

    /// Starts one more control plane and waits until it is ready.
    pub fn start(options: ControlPlaneOptions) -> ControlPlane {
        let mut complaints = tempfile::tempfile().expect("create a file for messages");
        let mut process = command(&options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone().expect("share the file for messages"))
            .spawn()
            .expect("start the control plane");
        let leash = process.stdin.take();
        let mut line = String::new();
        let output = process.stdout.take().expect("standard output is a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("read from the control plane");
        match serde_json::from_str(&line) {
            Ok(ready) => ControlPlane {
                ready,
                process,
                leash,
            },
            Err(_) => panic!(
                "the control plane did not start:\n{}",
                whole(&mut complaints)
            ),
        }
    }

    /// Host and port of the API server.
    pub fn address(&self) -> &str {
        let server = self.server();
        server.strip_prefix("https://").unwrap_or(server)
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.ready.server
    }

    /// The certificate authority of the API server, in a PEM file.
    pub fn certificate_authority(&self) -> &Path {
        &self.ready.certificate_authority
    }

    /// A kubeconfig file for a user.
    pub fn kubeconfig(&self, user: &str) -> &Path {
        self.ready
            .kubeconfigs
            .get(user)
            .unwrap_or_else(|| panic!("there is no user {user}"))
    }

    /// The token of a user.
    pub fn token(&self, user: &str) -> &str {
        self.ready
            .tokens
            .get(user)
            .unwrap_or_else(|| panic!("there is no user {user}"))
    }

    /// Stops the whole control plane in its tracks: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen control plane go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal)
            .expect("signal the control plane");
    }

    /// The audit log, if there is one.
    pub fn audit_log(&self) -> Option<AuditLog> {
        self.ready.audit_log.clone().map(AuditLog::new)
    }

    /// A client for a user. Each test needs its own: a client lives in the runtime that made it.
    pub async fn client(&self, user: &str) -> Client {
        // Fails when somebody has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig(user)).expect("read a kubeconfig");
        let context = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &context).await;
        Client::try_from(config.expect("use a kubeconfig")).expect("make a client")
    }

    /// Creates a namespace whose name begins with a word.
    pub async fn namespace(&self, word: &str) -> String {
        let namespaces: Api<Namespace> = Api::all(self.client(Self::ADMINISTRATOR).await);
        let metadata = ObjectMeta {
            generate_name: Some(format!("{word}-")),
            ..Default::default()
        };
        let namespace = Namespace {
            metadata,
            ..Default::default()
        };
        let created = namespaces.create(&PostParams::default(), &namespace).await;
        created
            .expect("create a namespace")
            .metadata
            .name
            .expect("a namespace has a name")
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.thaw();
        drop(self.leash.take());
        let _ = self.process.wait();
    }
}

fn command(options: &ControlPlaneOptions) -> Command {
    let program = program();
    assert!(
        program.exists(),
        "{} is missing: build it with `make -C tests/controlplane`",
        program.display()
    );
    let mut command = Command::new(program);
    if options.audit {
        command.arg("--audit");
    }
    for user in &options.users {
        command.args(["--user", user]);
    }
    command
}

/// The program lies in the target folder, two floors above the test executable's.
pub(crate) fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_CONTROLPLANE") {
        return path.into();
    }
    let executable = std::env::current_exe().expect("find the test executable");
    let target = executable
        .ancestors()
        .nth(3)
        .expect("the test executable is in target/*/deps");
    target.join("controlplane")
}

fn whole(file: &mut File) -> String {
    let mut content = String::new();
    let _ = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut content));
    content
}
