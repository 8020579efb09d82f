//! `weir env create`: a new environment beside its model, its key, its secrets to fill in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::tempdir;
use weir_tests::Repository;
use weir_tests::scene::workspace;

use crate::golden;
use crate::said::{RECIPIENT, Said, encrypted, kustomization, map, repository, weir};

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

/// One cluster for two environments, each in a namespace of its own.
fn platform(prod_eu: &str) -> Repository {
    let work = repository();
    for name in ["prod-eu", "prod-us"] {
        work.write(
            &format!("envs/{name}/kustomization.yaml"),
            format!("namespace: {name}\nresources: [config.yaml]\n"),
        );
        work.write(
            &format!("envs/{name}/config.yaml"),
            map("config", &format!("{{zone: {name}}}")),
        );
    }
    let apps = |name: &str| {
        let rest = "  dependsOn: [{name: base}]\n";
        kustomization(&format!("apps-{name}"), &format!("./envs/{name}"), rest)
    };
    work.write(
        "clusters/lab/base.yaml",
        kustomization("base", "./base", ""),
    )
    .write("clusters/lab/prod-us.yaml", apps("prod-us"))
    .write(&format!("clusters/lab/{prod_eu}"), apps("prod-eu"))
    .write("base/kustomization.yaml", "resources: [config.yaml]\n")
    .write("base/config.yaml", map("base", "{a: b}"));
    work
}

#[test]
fn one_of_several_environments_of_a_cluster_is_a_model_there() {
    let work = platform("prod-eu.yaml");
    let list = "resources:\n- base.yaml\n- prod-eu.yaml # the first\n- prod-us.yaml\n";
    work.write("clusters/lab/kustomization.yaml", list);
    work.commit("first");
    let said = create(&work, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out
            .ends_with("then commit and push: clusters/lab brings it\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("~ data.zone: prod-eu → prod-ap")
            && !said.out.contains("no longer wanted"),
        "{}",
        said.out
    );
    let want = "# the first\n- prod-ap.yaml\n- prod-us.yaml\n";
    assert!(read(&work, "clusters/lab/kustomization.yaml").ends_with(want));
    let own = read(&work, "clusters/lab/prod-ap.yaml");
    assert!(
        own.contains("name: apps-prod-ap") && own.contains("path: ./envs/prod-ap"),
        "{own}"
    );
    assert!(read(&work, "envs/prod-ap/kustomization.yaml").contains("namespace: prod-ap"));
    let envs = weir(work.path(), &["envs"]);
    assert!(
        envs.code == 0 && envs.out.contains("prod-ap"),
        "{}",
        envs.out
    );
}

#[test]
fn documents_of_a_file_that_several_environments_share_are_told_apart() {
    let work = platform("prod-us.yaml");
    work.write(
        "clusters/lab/prod-us.yaml",
        kustomization("us", "./envs/prod-us", "")
            + &kustomization("eu", "./envs/prod-eu", "").replace("---\n", ""),
    );
    work.commit("first");
    // On the same cluster it is one document more, under a name of its own.
    let said = create(&work, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let file = read(&work, "clusters/lab/prod-us.yaml");
    let new = file.rsplit("---\n").next().unwrap();
    assert!(
        new.contains("name: eu-prod-ap") && new.contains("./envs/prod-ap"),
        "{file}"
    );
    work.git(&["stash", "--include-untracked", "--quiet"]);

    // On one of its own the others are left out.
    let said = create(&work, &["--cluster", "clusters/ap"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let file = read(&work, "clusters/ap/prod-us.yaml");
    assert!(
        file.contains("./envs/prod-ap") && !file.contains("us,"),
        "{file}"
    );
    assert!(work.path().join("clusters/ap/base.yaml").is_file());
    assert!(said.out.contains("weir bootstrap --path clusters/ap"));
}

#[test]
fn what_two_environments_of_a_cluster_would_share_is_refused_with_what_to_do() {
    let work = platform("prod-eu.yaml");
    work.write(
        "envs/prod-eu/kustomization.yaml",
        "namespace: eu\nresources: [config.yaml]\n",
    );
    work.commit("first");
    let said = create(&work, &[]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(
        said.err.contains("ConfigMap/eu/config would be brought by flux-system/apps-prod-ap and by flux-system/apps-prod-eu; nothing was written"),
        "{}",
        said.err
    );
    assert!(said.err.contains("--cluster"), "{}", said.err);
    assert_eq!(work.git(&["status", "--porcelain"]), "");

    work.write(
        "option/kustomization.yaml",
        "kind: Component\nresources: [more.yaml]\n",
    );
    work.write("option/more.yaml", kustomization("more", "./envs/more", ""));
    work.write(
        "envs/more/kustomization.yaml",
        "namespace: more\nresources: [config.yaml]\n",
    );
    work.write("envs/more/config.yaml", map("config", "{a: b}"));
    work.write(
        "clusters/lab/kustomization.yaml",
        "resources: [base.yaml, prod-eu.yaml, prod-us.yaml]\ncomponents: [../../option]\n",
    );
    work.commit("second");
    let said = create(&work, &["--cluster", "clusters/ap"]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(
        said.err
            .contains("flux-system/more (envs/more) is written in option/more.yaml")
            && said
                .err
                .contains("write a Kustomization like it into clusters/lab"),
        "{}",
        said.err
    );
}

#[test]
fn the_secrets_of_an_environment_that_joins_its_model_s_cluster_are_for_that_cluster() {
    let work = platform("prod-eu.yaml");
    let rule = |folder: &str| {
        format!(
            "- path_regex: ^envs/{folder}/\n  encrypted_regex: ^(data|stringData)$\n  age: {RECIPIENT}\n"
        )
    };
    work.write("envs/prod-eu/secrets.yaml.encrypted", encrypted("secrets"));
    work.write(
        "envs/prod-eu/kustomization.yaml",
        "namespace: prod-eu\nresources: [config.yaml, secrets.yaml.encrypted]\n",
    );
    work.write(
        "clusters/lab/prod-eu.yaml",
        kustomization(
            "apps-prod-eu",
            "./envs/prod-eu",
            "  decryption: {provider: sops}\n",
        ),
    );
    for (pattern, is_written) in [("prod-eu", true), (".*", false)] {
        let rules = format!("creation_rules:\n{}", rule(pattern));
        work.write(".sops.yaml", &rules);
        work.commit(pattern);
        let said = create(&work, &[]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let after = read(&work, ".sops.yaml");
        assert_eq!(after != rules, is_written, "{after}");
        assert_eq!(after.contains("^(envs/prod-ap)/"), is_written, "{after}");
        let sealed = read(&work, "envs/prod-ap/secrets.yaml.encrypted");
        assert!(sealed.contains(RECIPIENT), "{sealed}");
        work.git(&["checkout", "--quiet", "."]);
        work.git(&["clean", "--quiet", "-fd"]);
    }
}
