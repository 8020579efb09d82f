//! Every command that the binary lists, with arguments that bring it near the secrets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use weir_tests::key_service::vault;
use weir_tests::{Scene, Weir};

use super::planted::{CANARY, Planted, secret};

/// A command, and what it is run with: words, in which `{…}` stands for what is known only when it runs.
struct Entry {
    command: &'static str,
    runs: &'static [&'static str],
}

/// What may print secrets to standard output, because that is what it is for.
const REVEALING: [&str; 2] = ["secrets decrypt", "--reveal"];

/// All commands. Whoever adds one says here how it is run near secrets.
const ENTRIES: &[Entry] = &[
    Entry {
        command: "build",
        runs: &[
            "ok",
            "--key {key} ok",
            "--key {key} --stats --flux ok",
            "--key {key} -o out ok",
            "--key {key} --reads ok",
            "--key {key} --why Secret/in-file ok",
            "--key {key} --why Deployment/patched -o json ok",
            "--key {key} --reveal ok",
            "--key {key} mac",
            "--key {key} --sops-mac=warn mac",
            "--key {key} served",
            "--key {key} {broken}",
            "--key {other} ok",
            "--key ok/file.yaml ok",
        ],
    },
    Entry {
        command: "diff",
        runs: &[
            "ok -n {namespace}",
            "mac -n {namespace}",
            "served -n {namespace} {allow}",
            "served -n {namespace}",
            "denied -n {namespace} {allow}",
            "echo -n {namespace}",
            "policy -n {namespace}",
            "unset -n {namespace}",
        ],
    },
    Entry {
        command: "envs",
        runs: &["--root .", "--root . -o json", "--root . --matrix"],
    },
    Entry {
        command: "plan",
        runs: &[
            "--from HEAD",
            "--from HEAD -o json",
            "--from HEAD --stat",
            "ok --live -n {namespace}",
            "ok --live -n {namespace} -o json",
            "ok --live -n {namespace} --without-keys -o markdown",
            "echo --live -n {namespace} -o html",
            "ok --live -n {namespace} --to HEAD --save plan.json",
        ],
    },
    Entry {
        command: "apply",
        runs: &["--plan plan.json", "--plan absent.json"],
    },
    Entry {
        command: "affected",
        runs: &["--from HEAD", "--from HEAD -o json"],
    },
    Entry {
        command: "lint",
        runs: &[".", ". -o json", ". -o sarif", "--rev HEAD ."],
    },
    Entry {
        command: "init",
        runs: &["--root . --dry-run", "--root . --dry-run --env new"],
    },
    Entry {
        command: "env create",
        runs: &[
            "made --like ok --key-out made-env.agekey --dry-run --root .",
            "made --like ok --recipient {recipient} --copy-secrets --key {key} --dry-run --root .",
            "made --like ok --recipient {recipient} --copy-secrets --key {other} --root .",
        ],
    },
    Entry {
        // It stays until it is stopped, so it is stopped by what it refuses.
        command: "dev",
        runs: &["ok --context nobody", "absent"],
    },
    Entry {
        // It would install Weir in a cluster that others test with.
        command: "bootstrap",
        runs: &[
            "--path ok --context nobody",
            "--path absent --context nobody",
        ],
    },
    Entry {
        command: "comment",
        runs: &[
            "ok --pull-request 1 --forge gitea --forge-api http://127.0.0.1:1/api/v1 --forge-repository a/b",
        ],
    },
    Entry {
        command: "promote",
        runs: &["ok served", "ok served --adopt source"],
    },
    Entry {
        command: "rollback",
        runs: &["ok"],
    },
    Entry {
        command: "history",
        runs: &["ok", "ok -o json"],
    },
    Entry {
        command: "events",
        runs: &["-n {namespace}", "-n {namespace} -o json"],
    },
    Entry {
        command: "trace",
        runs: &[
            "Secret/in-file -n {namespace}",
            "Secret/in-file -n {namespace} -o json",
        ],
    },
    Entry {
        command: "get",
        runs: &[
            "all -n {namespace}",
            "kustomizations -n {namespace} -o json",
            "kustomizations -n {namespace} -o yaml",
            "sources -n {namespace} -o name",
        ],
    },
    Entry {
        command: "reconcile",
        runs: &[
            "ok -n {namespace} --with-source",
            "echo -n {namespace} --timeout 20",
            "mac -n {namespace} --timeout 20",
        ],
    },
    Entry {
        command: "secrets status",
        runs: &[
            "--key {key} .",
            "--key {key} -o json .",
            "--key {key} -o yaml .",
            "--key {other} .",
        ],
    },
    Entry {
        command: "secrets decrypt",
        runs: &[
            "--key {key} ok/file.yaml",
            "--key {key} --output-format dotenv ok/file.yaml",
            "--key {key} mac/file.yaml",
            "--key {key} --mac warn mac/file.yaml",
            "--key {other} ok/file.yaml",
            "{allow} served/file.yaml",
            "{allow} denied/file.yaml",
            "served/file.yaml",
            "--key {key} {broken}/broken.yaml",
        ],
    },
    Entry {
        command: "secrets edit",
        runs: &["--key {key} --insecure-temp edited.yaml"],
    },
    Entry {
        command: "secrets encrypt",
        runs: &["--age {recipient} {plain}", "{plain}"],
    },
    Entry {
        command: "secrets rotate",
        runs: &[
            "--key {key} edited.yaml",
            "--key {other} edited.yaml",
            "--key {key} mac/file.yaml",
        ],
    },
    Entry {
        command: "secrets updatekeys",
        runs: &["--key {key} edited.yaml", "--key {key} mac/file.yaml"],
    },
    Entry {
        command: "secrets keygen",
        runs: &["-o made.agekey", "-o made.agekey"],
    },
    Entry {
        command: "version",
        runs: &[""],
    },
    Entry {
        command: "run",
        runs: &["--log-level=nonsense"],
    },
    Entry {
        command: "completion",
        runs: &["bash"],
    },
];

/// Editors that leave the text, change it, spoil it, and fail.
const EDITORS: [&str; 4] = [
    "true",
    "sed -i s/password:/password:\\ X/",
    "sed -i s/password:/password/",
    "false",
];

/// Runs everything, and searches what it prints and what it writes.
pub(super) fn run_all(scene: &Scene, planted: &Planted, kubeconfig: &Path) {
    let listed = listed();
    let known: BTreeSet<String> = ENTRIES.iter().map(|it| it.command.to_owned()).collect();
    assert_eq!(
        listed, known,
        "every command has an entry in this table, and no other"
    );
    let site = Site::new(scene, planted, kubeconfig);
    for entry in ENTRIES {
        for run in entry.runs {
            for editor in editors(entry.command) {
                site.run(entry.command, run, editor);
            }
        }
    }
    planted.absent_in_folder(site.folder.path());
    planted.absent_in_folder(&planted.temporary());
    planted.absent_in_folder(&planted.home());
    planted.absent_in_folder(Path::new("/dev/shm"));
}

fn editors(command: &str) -> &'static [&'static str] {
    match command {
        "secrets edit" => &EDITORS,
        _ => &EDITORS[..1],
    }
}

/// The commands that help lists, with those inside others.
fn listed() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    let mut groups = vec![String::new()];
    while let Some(group) = groups.pop() {
        for name in subcommands(&group) {
            let command = format!("{group} {name}").trim().to_owned();
            match subcommands(&command).is_empty() {
                true => commands.insert(command),
                false => {
                    groups.push(command);
                    true
                }
            };
        }
    }
    commands
}

/// What stands under `Commands:` in the help of a command; `help` itself is left out.
fn subcommands(command: &str) -> Vec<String> {
    let output = Weir::command()
        .args(command.split_whitespace())
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Where commands run: a copy of the repository, with files of their own.
struct Site<'a> {
    scene: &'a Scene,
    planted: &'a Planted,
    kubeconfig: &'a Path,
    folder: tempfile::TempDir,
    plain: tempfile::TempDir,
}

impl<'a> Site<'a> {
    fn new(scene: &'a Scene, planted: &'a Planted, kubeconfig: &'a Path) -> Self {
        let site = Self {
            scene,
            planted,
            kubeconfig,
            folder: tempfile::tempdir().unwrap(),
            plain: tempfile::tempdir().unwrap(),
        };
        let folder = site.folder.path();
        let copied = Command::new("cp")
            .args(["-r", "."])
            .arg(folder)
            .current_dir(scene.repository.path())
            .status();
        assert!(copied.unwrap().success());
        fs::copy(folder.join("ok/file.yaml"), folder.join("edited.yaml")).unwrap();
        let broken = site.broken();
        fs::create_dir(&broken).unwrap();
        let text = fs::read_to_string(folder.join("ok/file.yaml")).unwrap();
        // A value in the clear where ciphertext belongs: an error that quotes the file would show it.
        let line = text.lines().find(|line| line.contains("password: ENC["));
        let text = text.replace(
            line.expect("an encrypted value"),
            &format!("    password: {}", secret("file")),
        );
        fs::write(broken.join("broken.yaml"), &text).unwrap();
        let list = "resources: [broken.yaml]\n";
        fs::write(broken.join("kustomization.yaml"), list).unwrap();
        let manifest = format!("kind: Secret\nstringData:\n  a: {}\n", secret("file"));
        fs::write(site.plain(), manifest).unwrap();
        site
    }

    fn plain(&self) -> PathBuf {
        self.plain.path().join("plain.yaml")
    }

    /// A folder whose encrypted file has a value in the clear.
    fn broken(&self) -> PathBuf {
        self.plain.path().join("broken")
    }

    fn run(&self, command: &str, run: &str, editor: &str) {
        let words: Vec<String> = command
            .split_whitespace()
            .chain(run.split_whitespace())
            .map(|word| self.known(word))
            .collect();
        let output = self.output(&words, editor);
        let name = format!("weir {}", words.join(" "));
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let usage = stderr.contains("unexpected argument") || stderr.contains("required arguments");
        assert!(!usage, "{name}: {stderr}");
        match REVEALING.iter().any(|word| name.contains(word)) {
            true if output.status.success() => {
                assert!(stdout.contains(CANARY), "{name} reveals nothing");
            }
            _ => self
                .planted
                .absent(&format!("standard output of {name}"), &stdout),
        }
        self.planted
            .absent(&format!("standard error of {name}"), &stderr);
    }

    fn output(&self, words: &[String], editor: &str) -> Output {
        let child = Weir::command()
            .args(words)
            .current_dir(self.folder.path())
            .env("KUBECONFIG", self.kubeconfig)
            .env("HOME", self.planted.home())
            .env("TMPDIR", self.planted.temporary())
            .env("EDITOR", editor)
            .env("VAULT_TOKEN", vault::TOKEN)
            .env_remove("VISUAL")
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null())
            .output();
        child.unwrap()
    }

    fn known(&self, word: &str) -> String {
        let other = self.folder.path().join("other.agekey");
        if word == "{other}" && !other.exists() {
            let words = ["secrets", "keygen", "-o", "other.agekey"].map(str::to_owned);
            assert!(self.output(&words, "true").status.success());
        }
        let known = [
            ("{key}", self.planted.key().display().to_string()),
            ("{other}", other.display().to_string()),
            ("{namespace}", self.scene.namespace.clone()),
            ("{recipient}", self.planted.recipient()),
            ("{plain}", self.plain().display().to_string()),
            ("{broken}", self.broken().display().to_string()),
            ("{allow}", self.planted.allow()),
        ];
        known.iter().fold(word.to_owned(), |word, (name, value)| {
            word.replace(name, value)
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
