//! Bare repositories served by a real `sshd`, one process a connection, on a free port of the local machine.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::repository::{Repository, git};

/// Where Debian puts the program; it insists on being started by its whole path.
const PROGRAM: &str = "/usr/sbin/sshd";

/// An SSH server with its repositories in a temporary folder.
#[derive(Debug)]
pub struct SshServer {
    folder: TempDir,
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// How an SSH server is started.
#[derive(Clone, Debug)]
pub struct SshServerOptions {
    /// The kinds of its own keys, as `ssh-keygen -t` names them.
    pub host_keys: Vec<&'static str>,
    /// Whether clients may ask for the second version of Git's protocol.
    pub second_version: bool,
}

impl Default for SshServerOptions {
    fn default() -> Self {
        Self {
            host_keys: vec!["ed25519", "ecdsa", "rsa"],
            second_version: true,
        }
    }
}

/// A pair of SSH keys.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// The private key.
    pub private: String,
    /// The line of the public key.
    pub public: String,
}

impl SshKey {
    /// Makes a pair of a kind, encrypted if there is a passphrase.
    pub fn generate(kind: &str, passphrase: &str) -> SshKey {
        let folder = tempfile::tempdir().expect("create a folder for a key");
        let path = folder.path().join("key");
        generate(&path, &["-t", kind, "-N", passphrase]);
        SshKey::read(&path)
    }

    /// Makes an encrypted pair that takes so many rounds to open; 16 are usual.
    pub fn generate_slow(passphrase: &str, rounds: u32) -> SshKey {
        let folder = tempfile::tempdir().expect("create a folder for a key");
        let path = folder.path().join("key");
        let rounds = rounds.to_string();
        generate(&path, &["-t", "ed25519", "-N", passphrase, "-a", &rounds]);
        SshKey::read(&path)
    }

    /// Makes a pair of a kind in the format of OpenSSL.
    pub fn generate_pem(kind: &str) -> SshKey {
        let folder = tempfile::tempdir().expect("create a folder for a key");
        let path = folder.path().join("key");
        generate(&path, &["-t", kind, "-N", "", "-m", "PEM"]);
        SshKey::read(&path)
    }

    fn read(path: &Path) -> SshKey {
        let read = |path: &Path| fs::read_to_string(path).expect("read a key");
        SshKey {
            private: read(path),
            public: read(&path.with_extension("pub")).trim().to_owned(),
        }
    }
}

fn generate(path: &Path, arguments: &[&str]) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-C", "test", "-f"])
        .arg(path)
        .args(arguments)
        .status()
        .expect("run ssh-keygen");
    assert!(made.success(), "ssh-keygen failed");
}

impl SshServer {
    /// Starts a server that lets one key in.
    pub fn start(admitted: &SshKey, options: &SshServerOptions) -> SshServer {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: install openssh-server"
        );
        let folder = tempfile::tempdir().expect("create a folder for repositories");
        let configuration = configure(folder.path(), admitted, options);
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::Relaxed);
                serve(stream, &configuration);
            }
        });
        SshServer {
            folder,
            address,
            connections,
        }
    }

    /// The URL of a repository, with the user that may log in.
    pub fn url(&self, repository: &str) -> String {
        let user = user();
        let path = self.folder.path().join(format!("{repository}.git"));
        format!("ssh://{user}@{}{}", self.address, path.display())
    }

    /// The line of `known_hosts` for one of the server's keys.
    pub fn known_hosts(&self, kind: &str) -> String {
        let path = self.folder.path().join(format!("host_{kind}.pub"));
        let key = fs::read_to_string(path).expect("read a host key");
        format!("[127.0.0.1]:{} {}", self.address.port(), key.trim())
    }

    /// Lets another key in, and no other from now on.
    pub fn admit(&self, public: &str) {
        let path = self.folder.path().join("admitted");
        fs::write(path, format!("{public}\n")).expect("write a key");
    }

    /// Lets one key more in that may fetch and not push, as forges do it: their program runs in place of Git's.
    pub fn admit_to_read(&self, public: &str) {
        let program = self.folder.path().join("read_only");
        let text = "#!/bin/sh\n\
            case $SSH_ORIGINAL_COMMAND in git-upload-pack*) exec sh -c \"$SSH_ORIGINAL_COMMAND\";; esac\n\
            echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2\n\
            exit 1\n";
        write_program(&program, text);
        let path = self.folder.path().join("admitted");
        let admitted = fs::read_to_string(&path).expect("read the keys");
        let line = format!("restrict,command=\"{}\" {public}\n", program.display());
        fs::write(path, admitted + &line).expect("write a key");
    }

    /// Sets a hook of a repository, a program that Git runs there.
    pub fn hook(&self, repository: &str, name: &str, program: &str) {
        let hooks = self.folder.path().join(format!("{repository}.git/hooks"));
        write_program(&hooks.join(name), program);
    }

    /// Creates a repository on the server and a working repository that pushes to it, past SSH.
    pub fn create_repository(&self, name: &str) -> Repository {
        let bare = self.folder.path().join(format!("{name}.git"));
        fs::create_dir_all(&bare).expect("create a folder for a repository");
        git(
            &bare,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        );
        Repository::create(&bare.display().to_string(), None)
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("write a program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, mode).expect("make a program executable");
}

fn serve(stream: TcpStream, configuration: &Path) {
    let other = stream.try_clone().expect("clone a connection");
    let mut program = Command::new(PROGRAM)
        .args(["-i", "-q", "-f"])
        .arg(configuration)
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::from(OwnedFd::from(other)))
        .stderr(Stdio::null())
        .spawn()
        .expect("start sshd");
    std::thread::spawn(move || program.wait());
}

/// Writes the server's keys and settings; nothing of the machine's own is read.
fn configure(folder: &Path, admitted: &SshKey, options: &SshServerOptions) -> PathBuf {
    // Started by the superuser it wants this folder, which Debian's service makes at boot.
    let _ = fs::create_dir_all("/run/sshd");
    let mut lines = vec![
        "UsePAM no".to_owned(),
        "StrictModes no".to_owned(),
        "PasswordAuthentication no".to_owned(),
        "PermitRootLogin prohibit-password".to_owned(),
        format!("AuthorizedKeysFile {}", folder.join("admitted").display()),
    ];
    fs::write(folder.join("admitted"), format!("{}\n", admitted.public)).expect("write a key");
    for kind in &options.host_keys {
        let path = folder.join(format!("host_{kind}"));
        generate(&path, &["-t", kind, "-N", ""]);
        lines.push(format!("HostKey {}", path.display()));
    }
    if options.second_version {
        lines.push("AcceptEnv GIT_PROTOCOL".to_owned());
    }
    let path = folder.join("sshd_config");
    fs::write(&path, lines.join("\n") + "\n").expect("write the settings of sshd");
    path
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("run id");
    String::from_utf8(output.stdout)
        .expect("a user's name is text")
        .trim()
        .to_owned()
}
