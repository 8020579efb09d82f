//! Where the private key of a new environment is kept: for its owner alone, and in no repository.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;
use weir_tests::{Repository, Weir};

use crate::example::example;
use crate::said::{repository, weir};

const CREATE: [&str; 6] = ["env", "create", "prod-ap", "--like", "prod-eu", "--key-out"];

/// Nothing was written: neither the key nor a file of the environment.
fn refused(work: &Repository, file: &Path, why: &str) {
    let file_name = file.to_str().unwrap();
    let said = weir(work.path(), &[&CREATE[..], &[file_name]].concat());
    assert_eq!(said.code, 1, "{file_name}: {}{}", said.out, said.err);
    assert!(said.err.contains(why), "{file_name}: {}", said.err);
    assert!(!file.exists(), "{file_name}");
    assert_eq!(work.git(&["status", "--porcelain"]), "", "{file_name}");
}

#[test]
fn a_key_is_written_into_no_work_tree_whosever_it_is() {
    let (work, other, outside) = (example(), repository(), tempdir().unwrap());
    other.write("deep/er/README.md", "").commit("first");
    let linked = outside.path().join("linked");
    other.git(&["worktree", "add", "--quiet", linked.to_str().unwrap()]);
    let way = outside.path().join("way");
    symlink(other.path().join("deep"), &way).unwrap();
    for folder in [
        work.path().to_owned(),
        work.path().join("envs/prod-eu"),
        other.path().to_owned(),
        other.path().join("deep/er"),
        linked.join("deep"),
        way.clone(),
        way.join("er"),
        outside.path().join("way/../deep"),
    ] {
        refused(
            &work,
            &folder.join("new.agekey"),
            "lies in the Git work tree",
        );
    }
    assert_eq!(other.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_key_is_for_its_owner_alone_and_stands_nowhere_else() {
    let (work, outside) = (example(), tempdir().unwrap());
    let key = outside.path().join("new.agekey");
    // Whatever this shell would allow others.
    let output = Command::new("sh")
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(Weir::command().get_program())
        .args(CREATE)
        .arg(&key)
        .current_dir(work.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{said:?}");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&key).unwrap();
    let private = text.lines().last().unwrap();
    assert!(private.starts_with("AGE-SECRET-KEY-"), "{text}");
    assert!(!said.concat().contains(private), "{said:?}");
    work.git(&["add", "--all"]);
    let names = work.git(&["ls-files"]);
    for name in names.lines() {
        let bytes = fs::read(work.path().join(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(private), "{name}");
    }
}
