//! `weir secrets edit`: the plain text lies in memory, for its owner only, and is gone whatever ends the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use weir_tests::scene::PATIENCE;
use weir_tests::{Weir, eventually};

const SECRET: &str = "Canary-in-editor-9w2k";

/// A folder with an encrypted file, its key, and an editor that says where the text lies and waits.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir(desk.path("temporary")).unwrap();
        let key = desk.path("age.agekey");
        let made = Weir::command()
            .args(["secrets", "keygen", "-o"])
            .arg(&key)
            .output();
        let said = String::from_utf8(made.unwrap().stderr).unwrap();
        let recipient = said.trim().strip_prefix("public key: ").unwrap().to_owned();
        fs::write(
            desk.file(),
            format!("password: {SECRET}\nlist:\n    - 1 # one\n"),
        )
        .unwrap();
        let mut encrypt = Weir::command();
        encrypt.args(["secrets", "encrypt", "-i", "--age", &recipient]);
        assert!(encrypt.arg(desk.file()).status().unwrap().success());
        let waits =
            "echo \"$1\" > \"$SEEN.new\" && mv \"$SEEN.new\" \"$SEEN\" && read line < \"$GATE\"\n";
        fs::write(desk.path("editor"), format!("#!/bin/sh\n{waits}")).unwrap();
        fs::set_permissions(desk.path("editor"), fs::Permissions::from_mode(0o700)).unwrap();
        let gate = Command::new("mkfifo").arg(desk.path("gate")).status();
        assert!(gate.unwrap().success());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("secret.yaml")
    }

    fn command(&self, editor: &str) -> Command {
        let mut command = Weir::command();
        command
            .args(["secrets", "edit", "--insecure-temp", "--key"])
            .arg(self.path("age.agekey"))
            .arg(self.file())
            .env("TMPDIR", self.path("temporary"))
            .env("EDITOR", editor)
            .env("SEEN", self.path("seen"))
            .env("GATE", self.path("gate"))
            .env_remove("VISUAL")
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    /// Starts to edit; gives the process and the file that the editor was given.
    async fn begin(&self) -> (Child, PathBuf) {
        let _ = fs::remove_file(self.path("seen"));
        let editor = self.path("editor").display().to_string();
        let child = self.command(&editor).process_group(0).spawn().unwrap();
        let seen = eventually(PATIENCE, "the editor is open", async || {
            fs::read_to_string(self.path("seen")).map_err(|error| error.to_string())
        });
        (child, PathBuf::from(seen.await.trim()))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_signal_to_end_removes_the_plain_text() {
    let desk = Desk::new();
    let before = fs::read(desk.file()).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let (mut child, text) = desk.begin().await;
        let folder = text.parent().unwrap();
        assert!(fs::read_to_string(&text).unwrap().contains(SECRET));
        assert_eq!((mode(folder), mode(&text)), (0o700, 0o600));
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{signal:?}");
        assert!(!folder.exists(), "{signal:?} leaves {}", folder.display());
        assert_eq!(fs::read(desk.file()).unwrap(), before);
    }
}

#[tokio::test]
async fn an_interrupt_is_the_editor_s_and_removes_the_plain_text_when_it_ends_there() {
    let desk = Desk::new();
    let before = fs::read(desk.file()).unwrap();
    // Weir alone is interrupted: the editor goes on, and so does Weir.
    let (mut child, text) = desk.begin().await;
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    fs::write(desk.path("gate"), "go on\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!text.parent().unwrap().exists());
    // Both are, as by Ctrl-C in a terminal: the editor ends, and nothing is changed.
    let (mut child, text) = desk.begin().await;
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(!text.parent().unwrap().exists());
    assert_eq!(fs::read(desk.file()).unwrap(), before);
}

#[test]
fn status_says_what_is_encrypted_for_whom_and_what_is_not() {
    let desk = Desk::new();
    let folder = desk.path("repository");
    fs::create_dir(&folder).unwrap();
    fs::copy(desk.file(), folder.join("secret.yaml")).unwrap();
    let said = |key: &str| {
        let output = Weir::command()
            .args(["secrets", "status", "--key"])
            .arg(desk.path(key))
            .arg(&folder)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code();
        (code, text(&output.stdout), text(&output.stderr))
    };
    let (code, table, _) = said("age.agekey");
    let lines: Vec<&str> = table.lines().collect();
    let columns = [
        "FILE",
        "OPENED BY",
        "RECIPIENTS",
        "ENCRYPTED",
        "MODIFIED",
        "DECRYPTED BY",
    ];
    assert!(
        columns.iter().all(|column| lines[0].contains(column)),
        "{table}"
    );
    assert_eq!((code, lines.len()), (Some(0), 2), "{table}");
    assert!(
        lines[1].starts_with("secret.yaml") && lines[1].contains("age.agekey"),
        "{table}"
    );
    assert!(lines[1].contains("age1"), "{table}");

    let other = desk.path("other.agekey");
    let made = Weir::command()
        .args(["secrets", "keygen", "-o"])
        .arg(&other)
        .output();
    assert!(made.unwrap().status.success());
    let (_, table, _) = said("other.agekey");
    assert!(!table.contains("other.agekey"), "it opens nothing: {table}");

    let plain = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {SECRET}}}\n"
    );
    fs::write(folder.join("plain.yaml"), plain).unwrap();
    let (code, table, errors) = said("age.agekey");
    let all = format!("{table}{errors}");
    assert_eq!(code, Some(2), "{all}");
    assert!(all.contains("plain.yaml") && !all.contains(SECRET), "{all}");
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_swept_at_the_next_start() {
    let desk = Desk::new();
    let (mut child, text) = desk.begin().await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(text.exists(), "SIGKILL leaves no time for anything");
    assert!(desk.command("true").status().unwrap().success());
    assert!(!text.parent().unwrap().exists());
    fs::write(desk.path("gate"), "go on\n").unwrap();
}

#[tokio::test]
async fn what_is_not_changed_keeps_its_bytes_and_what_is_changed_keeps_the_rest() {
    let desk = Desk::new();
    let before = fs::read_to_string(desk.file()).unwrap();
    assert!(desk.command("true").status().unwrap().success());
    assert_eq!(fs::read_to_string(desk.file()).unwrap(), before);

    let edit = "sed -i s/in-editor/elsewhere/";
    assert!(desk.command(edit).status().unwrap().success());
    let after = fs::read_to_string(desk.file()).unwrap();
    let changed: Vec<&str> = after
        .lines()
        .filter(|line| !before.contains(line))
        .map(|line| line.trim().split(':').next().unwrap())
        // It is the same when all is done within a second.
        .filter(|key| *key != "lastmodified")
        .collect();
    assert_eq!(changed, ["password", "mac"]);
}
