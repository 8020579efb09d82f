//! Who signs commits and tags: a key of OpenPGP in a folder of its own, used by `gpg`, or an SSH key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::repository::Repository;
use crate::ssh_server::SshKey;

/// A key, and how Git signs with it.
#[derive(Debug)]
pub struct Signer {
    folder: TempDir,
    /// The public key, as a Secret holds it.
    pub public: String,
    /// The name of the key, as conditions show it.
    pub name: String,
    arguments: Vec<String>,
}

impl Signer {
    /// An SSH key of a kind.
    pub fn ssh(kind: &str) -> Signer {
        let key = SshKey::generate(kind, "");
        let folder = tempfile::tempdir().expect("create a folder for a key");
        let path = folder.path().join("key");
        fs::write(&path, &key.private).expect("write a key");
        only_ours(&path, 0o600);
        fs::write(path.with_extension("pub"), &key.public).expect("write a key");
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(&path));
        let name = shown.split(' ').nth(1).expect("a fingerprint").to_owned();
        let settings = [
            "gpg.format=ssh",
            &format!("user.signingKey={}", path.display()),
        ];
        Signer {
            arguments: settings.iter().map(|text| (*text).to_owned()).collect(),
            folder,
            public: key.public,
            name,
        }
    }

    /// An OpenPGP key of an algorithm that signs itself.
    pub fn open_pgp(algorithm: &str) -> Signer {
        Signer::made(&[
            "--quick-gen-key",
            "Ada <ada@example.org>",
            algorithm,
            "sign",
            "never",
        ])
    }

    /// An OpenPGP key that signs with a subkey.
    pub fn with_subkey() -> Signer {
        let mut signer = Signer::made(&[
            "--quick-gen-key",
            "Ada <ada@example.org>",
            "ed25519",
            "cert",
            "never",
        ]);
        let fingerprint = signer.fingerprint();
        signer.gpg(&["--quick-add-key", &fingerprint, "ed25519", "sign", "never"]);
        signer.export();
        signer
    }

    /// An OpenPGP key that was good for a day of the year 2020, which it signs on.
    pub fn expired() -> Signer {
        const THEN: &str = "--faked-system-time=20200101T120000";
        Signer::made(&[
            THEN,
            "--quick-gen-key",
            "Ada <ada@example.org>",
            "ed25519",
            "sign",
            "1d",
        ])
        .at(THEN)
    }

    fn made(arguments: &[&str]) -> Signer {
        let folder = tempfile::tempdir().expect("create a folder for keys");
        only_ours(folder.path(), 0o700);
        let mut signer = Signer {
            folder,
            public: String::new(),
            name: String::new(),
            arguments: Vec::new(),
        };
        signer.gpg(arguments);
        let fingerprint = signer.fingerprint();
        signer.name = fingerprint[fingerprint.len() - 16..].to_owned();
        signer.export();
        signer.at("--no-options")
    }

    /// Has Git sign through a program that finds the key, with one more argument.
    fn at(mut self, argument: &str) -> Signer {
        let program = self.folder.path().join("program");
        let home = self.folder.path().display();
        let text = format!("#!/bin/sh\nexec gpg --homedir {home} {argument} \"$@\"\n");
        fs::write(&program, text).expect("write a program");
        only_ours(&program, 0o700);
        self.arguments = vec![
            format!("gpg.program={}", program.display()),
            format!("user.signingKey={}", self.fingerprint()),
        ];
        self
    }

    /// Revokes the key, in its public form.
    pub fn revoke(&mut self) {
        let fingerprint = self.fingerprint();
        let path = self
            .folder
            .path()
            .join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let text = fs::read_to_string(&path).expect("read a revocation");
        // A colon keeps people from importing it by accident.
        fs::write(&path, text.replace(":-----BEGIN", "-----BEGIN")).expect("write a revocation");
        self.gpg(&["--import", path.to_str().expect("the path is text")]);
        self.export();
    }

    fn export(&mut self) {
        self.public = self.gpg(&["--armor", "--export"]);
    }

    fn fingerprint(&self) -> String {
        let listed = self.gpg(&["--with-colons", "--list-keys"]);
        let line = listed.lines().find(|line| line.starts_with("fpr:"));
        line.and_then(|line| line.split(':').nth(9))
            .expect("a fingerprint")
            .to_owned()
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        run(Command::new("gpg")
            .arg("--homedir")
            .arg(self.folder.path())
            .args([
                "--batch",
                "--quiet",
                "--passphrase",
                "",
                "--pinentry-mode",
                "loopback",
            ])
            .args(arguments))
    }

    /// Commits everything in the working tree with a signature, and returns the commit's id.
    pub fn commit(&self, repository: &Repository, message: &str) -> String {
        repository.git(&["add", "--all"]);
        self.git(
            repository,
            &["commit", "--quiet", "--allow-empty", "-S", "-m", message],
        );
        repository.head()
    }

    /// Tags the current commit with a signature.
    pub fn tag(&self, repository: &Repository, name: &str) {
        self.git(repository, &["tag", "--sign", "--message", name, name]);
    }

    fn git(&self, repository: &Repository, arguments: &[&str]) {
        let settings = self.arguments.iter().flat_map(|setting| ["-c", setting]);
        let all: Vec<&str> = settings.chain(arguments.iter().copied()).collect();
        repository.git(&all);
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // Else the agent that gpg starts lives on for a while.
        let home = self.folder.path();
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(home)
            .args(["--kill", "all"])
            .status();
    }
}

fn only_ours(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set permissions");
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}
