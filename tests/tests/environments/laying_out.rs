//! `weir init`: a new repository, and what an old one lacks.

use std::fs;

use crate::said::{json, map, printed, repository, weir};

#[test]
fn a_new_repository_builds_and_is_clean() {
    let work = repository();
    let would = printed(work.path(), &["init", "--dry-run"], 0);
    assert!(
        would.contains("would be written:") && work.git(&["status", "--porcelain"]).is_empty(),
        "{would}"
    );
    let recipient = "age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8";
    let more = [
        "--env",
        "prod-eu=prod",
        "--env",
        "prod-us=prod",
        "--env",
        "staging",
        "--recipient",
        recipient,
    ];
    let text = printed(work.path(), &[&["init"], &more[..]].concat(), 0);
    assert!(
        text.contains("environments: prod-eu, prod-us, staging"),
        "{text}"
    );
    let envs = json(work.path(), &["envs"], 0);
    let envs = envs.as_array().unwrap().iter();
    let found: Vec<(&str, &str, &str)> = envs
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["path"].as_str().unwrap(),
                it["stages"][0].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("prod-eu", "clusters/prod-eu", "prod"),
            ("prod-us", "clusters/prod-us", "prod"),
            ("staging", "clusters/staging", "staging")
        ]
    );
    let lint = weir(work.path(), &["lint"]);
    assert_eq!(lint.code, 0, "{}", lint.out);
    assert_eq!(printed(work.path(), &["init"], 0), "Nothing is missing.\n");
    let rules = fs::read_to_string(work.path().join(".sops.yaml")).unwrap();
    assert!(rules.contains(recipient), "{rules}");
    assert_eq!(
        fs::read_to_string(work.path().join(".gitignore")).unwrap(),
        "*.agekey\n"
    );
}

#[test]
fn an_old_repository_keeps_its_files_and_gets_the_clusters_that_it_lacks() {
    let work = repository();
    work.write("envs/prod/kustomization.yaml", "resources: [config.yaml]\n");
    work.write("envs/prod/config.yaml", map("config", "{a: b}"));
    work.write(
        "envs/staging/kustomization.yaml",
        "resources: [config.yaml]\n",
    );
    work.write("envs/staging/config.yaml", map("config", "{a: c}"));
    work.write(".gitignore", "/target");
    work.write("weir.yaml", "promote: {never: ['x.yaml']}\n");
    work.commit("shape two");
    let text = printed(work.path(), &["init"], 0);
    assert!(
        text.contains("clusters/prod/apps.yaml") && !text.contains("weir.yaml"),
        "{text}"
    );
    assert_eq!(work.git(&["diff", "--name-only"]), ".gitignore");
    assert_eq!(
        fs::read_to_string(work.path().join(".gitignore")).unwrap(),
        "/target\n*.agekey\n"
    );
    let envs = json(work.path(), &["envs"], 0);
    let kinds: Vec<&str> = envs
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["cluster", "cluster"]);
    assert_eq!(printed(work.path(), &["init"], 0), "Nothing is missing.\n");
    let said = weir(work.path(), &["init", "--env", "../out"]);
    assert!(
        said.code == 1 && said.err.contains("names are letters"),
        "{}",
        said.err
    );
}

#[test]
fn what_nothing_can_be_encrypted_for_is_not_written() {
    let work = repository();
    for (recipient, want) in [
        ("AGE-SECRET-KEY-1QQQQ", "that is a private key"),
        ("garbage", "garbage"),
    ] {
        let said = weir(work.path(), &["init", "--recipient", recipient]);
        assert!(
            said.code == 1 && said.err.contains(want),
            "{}{}",
            said.out,
            said.err
        );
        assert!(!said.err.contains("1QQQQ"), "{}", said.err);
        assert_eq!(work.git(&["status", "--porcelain"]), "");
    }
}

#[test]
fn an_environment_is_made_after_one_that_is_called_as_its_stage() {
    let work = repository();
    printed(work.path(), &["init"], 0);
    work.commit("laid out");
    let arguments = ["env", "create", "prod-eu", "--like", "prod"];
    let text = printed(work.path(), &arguments, 0);
    assert!(!text.contains("another repository"), "{text}");
    let read = |path: &str| fs::read_to_string(work.path().join(path)).unwrap();
    assert!(read("clusters/prod-eu/apps.yaml").contains("path: ./envs/prod-eu\n"));
    assert!(read("envs/prod-eu/kustomization.yaml").contains("- ../../stages/prod\n"));
    assert!(read("envs/prod-eu/env-config.yaml").contains("environment: prod-eu\n"));
    let lint = weir(work.path(), &["lint"]);
    assert_eq!(lint.code, 0, "{}", lint.out);
}
