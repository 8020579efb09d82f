//! `weir env create`: a new environment beside its model, its key, its secrets to fill in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::tempdir;
use weir_tests::Repository;
use weir_tests::scene::workspace;

use crate::golden;
use crate::said::{Said, map, repository, weir};

/// The shape of the example, in a repository of its own.
fn example() -> Repository {
    let work = repository();
    work.copy(&workspace().join("examples/flux-structure"), "");
    work.commit("the example");
    work
}

fn create(work: &Repository, more: &[&str]) -> Said {
    weir(
        work.path(),
        &[&["env", "create", "prod-ap", "--like", "prod-eu"], more].concat(),
    )
}

fn read(work: &Repository, path: &str) -> String {
    fs::read_to_string(work.path().join(path)).unwrap()
}

fn created(work: &Repository, folder: &Path) -> Said {
    let key = folder.join("prod-ap.agekey");
    let said = create(work, &["--key-out", key.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said
}

#[test]
fn a_cluster_and_its_environment_are_made_after_a_model() {
    let (work, outside) = (example(), tempdir().unwrap());
    let said = created(&work, outside.path());
    let key = outside.path().join("prod-ap.agekey");
    let identity = fs::read_to_string(&key).unwrap();
    let recipient = identity
        .lines()
        .next()
        .unwrap()
        .strip_prefix("# public key: ")
        .unwrap();
    golden::same("env-create.txt", &said.out.replace(recipient, "age1NEW"));
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let private = identity.lines().last().unwrap();
    assert!(
        private.starts_with("AGE-SECRET-KEY-")
            && !said.out.contains(private)
            && !said.err.contains(private)
    );

    assert!(read(&work, "clusters/prod/ap/apps.yaml").contains("path: ./envs/prod-ap"));
    let config = read(&work, "clusters/prod/ap/platform/cluster-config.yaml");
    assert!(config.contains("cluster_name: prod-ap"), "{config}");
    for path in [
        "envs/prod-ap/secrets.yaml.encrypted",
        "clusters/prod/ap/platform/cluster-secrets.yaml",
    ] {
        let opened = weir(
            work.path(),
            &["secrets", "decrypt", "--key", key.to_str().unwrap(), path],
        );
        let values = opened
            .out
            .lines()
            .filter(|line| line.contains(": ") && line.contains("WEIR-FILL-IN"));
        assert!(
            values.count() > 0 && opened.code == 0,
            "{}{}",
            opened.out,
            opened.err
        );
    }
    let envs = weir(work.path(), &["envs"]);
    assert!(
        envs.code == 0 && envs.out.contains("clusters/prod/ap"),
        "{}",
        envs.out
    );
    let lint = weir(work.path(), &["lint"]);
    assert_eq!(lint.out, "Nothing found in 4 environments\n");
}

#[test]
fn nothing_is_written_before_the_key_is_kept() {
    let (work, outside) = (example(), tempdir().unwrap());
    let taken = outside.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    let nowhere = outside.path().join("none/here.agekey");
    for (more, want) in [
        (
            vec![],
            "is encrypted: the new environment needs a key of its own",
        ),
        (
            vec!["--key-out", "prod-ap.agekey"],
            "lies in the Git work tree",
        ),
        (
            vec!["--key-out", taken.to_str().unwrap()],
            "is there already",
        ),
        (vec!["--key-out", nowhere.to_str().unwrap()], "No such file"),
        (
            vec![
                "--context",
                "nowhere",
                "--kubeconfig",
                taken.to_str().unwrap(),
            ],
            "no cluster to talk to",
        ),
        (vec!["--recipient", "age1nonsense"], "age1nonsense"),
        (
            vec!["--recipient", "age1x", "--cluster", "clusters/prod/us"],
            "clusters/prod/us is there already",
        ),
        (
            vec!["--recipient", "age1x", "--cluster", "../out"],
            "is no folder of its own",
        ),
    ] {
        let said = create(&work, &more);
        assert_eq!(said.code, 1, "{more:?}: {}", said.out);
        assert!(said.err.contains(want), "{more:?}: {}", said.err);
        assert_eq!(work.git(&["status", "--porcelain"]), "", "{more:?}");
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    let said = create(&work, &["--dry-run"]);
    assert!(
        said.code == 0 && said.out.contains("would be written:"),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn values_are_copied_where_the_caller_can_read_them() {
    let (work, outside) = (example(), tempdir().unwrap());
    let new = outside.path().join("new.agekey");
    let model = workspace().join("examples/flux-structure/age.agekey");
    let more = [
        "--copy-secrets",
        "--key",
        model.to_str().unwrap(),
        "--key-out",
        new.to_str().unwrap(),
    ];
    let said = create(&work, &more);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let path = |environment: &str| format!("envs/{environment}/secrets.yaml.encrypted");
    let open = |key: &Path, environment: &str| {
        let said = weir(
            work.path(),
            &[
                "secrets",
                "decrypt",
                "--key",
                key.to_str().unwrap(),
                &path(environment),
            ],
        );
        assert_eq!(said.code, 0, "{}", said.err);
        said.out
    };
    assert_eq!(open(&new, "prod-ap"), open(&model, "prod-eu"));
    assert!(!said.out.contains("WEIR-FILL-IN"), "{}", said.out);

    let other = outside.path().join("other.agekey");
    let stranger = weir(
        work.path(),
        &["secrets", "keygen", "-o", other.to_str().unwrap()],
    );
    assert_eq!(stranger.code, 0);
    let work = example();
    let said = create(
        &work,
        &[
            "--copy-secrets",
            "--key",
            other.to_str().unwrap(),
            "--recipient",
            "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8",
        ],
    );
    assert!(
        said.code == 1 && said.err.contains("leave --copy-secrets out"),
        "{}",
        said.err
    );
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn the_rule_keeps_those_who_read_others_too_and_leaves_out_the_model_s_own_key() {
    let (work, outside) = (example(), tempdir().unwrap());
    let team = "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8";
    let key = outside.path().join("eu.agekey");
    weir(
        work.path(),
        &["secrets", "keygen", "-o", key.to_str().unwrap()],
    );
    let eu = fs::read_to_string(&key).unwrap();
    let eu = eu
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    work.write(
        ".sops.yaml",
        format!("# who reads what\ncreation_rules:\n- path_regex: prod(-|/)eu/\n  age: {team},{eu}\n  encrypted_regex: ^(data|stringData)$\n- path_regex: .*\n  age: {team}\n"),
    );
    created(&work, outside.path());
    let rules = read(&work, ".sops.yaml");
    let (head, rest) = rules.split_once("- path_regex: prod").unwrap();
    assert!(
        head.starts_with("# who reads what\ncreation_rules:\n- age: age1"),
        "{rules}"
    );
    assert!(head.contains(team) && !head.contains(eu), "{rules}");
    assert!(
        head.contains("path_regex: ^(clusters/prod/ap|envs/prod-ap)/"),
        "{rules}"
    );
    assert!(rest.contains(eu), "{rules}");
}

#[test]
fn a_model_without_cluster_and_secrets_needs_no_key() {
    let work = repository();
    for name in ["prod-eu", "prod-us"] {
        let list = "resources: [../../stages/prod, env-config.yaml]\n";
        work.write(&format!("envs/{name}/kustomization.yaml"), list);
        work.write(
            &format!("envs/{name}/env-config.yaml"),
            map(
                "env-config",
                &format!("{{host: {name}.example.com, size: big, zone: {name}}}"),
            ),
        );
    }
    work.write(
        "stages/prod/kustomization.yaml",
        "resources: [config.yaml]\n",
    );
    work.write("stages/prod/config.yaml", map("config", "{a: b}"));
    work.commit("first");
    let said = create(&work, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out
            .contains("~ data.host: prod-eu.example.com → prod-ap.example.com"),
        "{}",
        said.out
    );
    assert!(
        !said.out.contains("to fill in") && !said.out.contains("bootstrap"),
        "{}",
        said.out
    );
    assert!(read(&work, "envs/prod-ap/env-config.yaml").contains("zone: prod-ap"));
    let again = create(&work, &[]);
    assert!(
        again.code == 1
            && again
                .err
                .contains("there is an environment prod-ap already"),
        "{}",
        again.err
    );
    let said = weir(work.path(), &["env", "create", "x", "--like", "prod-ue"]);
    assert!(
        said.code == 1 && said.err.contains("did you mean `prod-eu`?"),
        "{}",
        said.err
    );
}
