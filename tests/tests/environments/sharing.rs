//! Clusters that reach the same folders, and environments that lie on one cluster.

use weir_tests::Repository;

use crate::said::{json, kustomization, map, printed, repository};

/// Clusters that each reach the same two folders under `envs/`.
fn twice(clusters: &[&str]) -> Repository {
    let work = repository();
    for team in ["shop", "billing"] {
        let folder = format!("envs/{team}/prod");
        for cluster in clusters {
            let text = kustomization(team, &folder, "");
            work.write(&format!("clusters/{cluster}/{team}.yaml"), text);
        }
        let list = format!("namespace: {team}\nresources: [map.yaml]\n");
        work.write(&format!("{folder}/kustomization.yaml"), list)
            .write(&format!("{folder}/map.yaml"), map("map", "{a: b}"));
    }
    work.commit("before");
    work
}

fn names(environments: &serde_json::Value) -> Vec<&str> {
    let environments = environments.as_array().unwrap().iter();
    environments
        .map(|it| it["name"].as_str().unwrap())
        .collect()
}

#[test]
fn clusters_that_reach_the_same_several_folders_have_each_its_own() {
    let work = twice(&["eu", "us"]);
    let all = [
        "clusters/eu:billing/prod",
        "clusters/eu:shop/prod",
        "clusters/us:billing/prod",
        "clusters/us:shop/prod",
    ];
    assert_eq!(names(&json(work.path(), &["envs"], 0)), all);
    work.write("envs/shop/prod/map.yaml", map("map", "{a: c}"));
    let text = printed(work.path(), &["plan"], 2);
    assert!(
        text.contains("clusters/eu:shop/prod, clusters/us:shop/prod\n"),
        "{text}"
    );
    assert!(text.contains("Plan: 2 change, "), "{text}");
    for arguments in [
        &["affected", "--no-cache"][..],
        &["affected"],
        &["affected"],
    ] {
        let affected = json(work.path(), arguments, 2);
        assert_eq!(names(&affected["environments"]), [all[1], all[3]]);
    }
    let text = printed(work.path(), &["plan", "clusters/eu:shop/prod"], 2);
    assert!(text.contains("Plan: 1 change, "), "{text}");
}

#[test]
fn an_environment_stays_the_same_when_others_come_to_reach_its_folder() {
    let work = twice(&["eu"]);
    for team in ["shop", "billing"] {
        let text = kustomization(team, &format!("envs/{team}/prod"), "");
        work.write(&format!("clusters/us/{team}.yaml"), text);
    }
    let plan = json(work.path(), &["plan"], 2);
    assert_eq!(
        names(&plan["environments"]),
        ["clusters/us:billing/prod", "clusters/us:shop/prod"]
    );
    assert_eq!(plan["counts"]["add"], 4, "{plan:#}");
}

/// Two environments on one cluster, with a platform that they share.
fn platform() -> Repository {
    let work = repository();
    for (name, folder) in [("a", "envs/a"), ("b", "envs/b"), ("p", "platform")] {
        work.write(
            &format!("clusters/lab/{name}.yaml"),
            kustomization(name, folder, ""),
        )
        .write(
            &format!("{folder}/map.yaml"),
            map(name, "{k: v}") + &map(&format!("{name}-2"), "{}"),
        );
    }
    work.commit("before");
    work
}

#[test]
fn what_environments_of_one_cluster_share_counts_once() {
    let work = platform();
    work.write("platform/map.yaml", map("p", "{k: w}") + &map("p-2", "{}"));
    let text = printed(work.path(), &["plan"], 2);
    assert!(
        text.contains("Plan: 1 change, 8 unchanged · 2 of 2"),
        "{text}"
    );
    let text = printed(work.path(), &["affected"], 2);
    assert!(text.contains("Affected: 1 objects in 2 of 2"), "{text}");
}

#[test]
fn environments_that_differ_in_what_stays_are_told_once_without_its_number() {
    let work = twice(&["eu", "us"]);
    work.write("clusters/us/more.yaml", map("more", "{}"));
    work.commit("more in one");
    work.write("envs/shop/prod/map.yaml", map("map", "{a: c}"));
    let text = printed(work.path(), &["plan", "--stat"], 2);
    assert!(
        text.contains("clusters/eu:shop/prod, clusters/us:shop/prod: 1 change\n"),
        "{text}"
    );
}

#[test]
fn an_environment_that_comes_to_a_cluster_brings_nothing_that_is_there() {
    let work = platform();
    work.write("clusters/lab/c.yaml", kustomization("c", "envs/c", ""))
        .write("envs/c/map.yaml", map("c", "{}"));
    let plan = json(work.path(), &["plan"], 2);
    assert_eq!(plan["counts"]["add"], 2, "{plan:#}");
    work.commit("after");
    work.remove("clusters/lab/c.yaml").remove("envs/c/map.yaml");
    let text = printed(work.path(), &["plan"], 3);
    assert!(
        text.contains("- ConfigMap c  (of flux-system/c)\n"),
        "{text}"
    );
    assert!(text.contains("Plan: 2 prune, "), "{text}");
}

#[test]
fn an_object_that_two_environments_of_a_cluster_bring_is_told() {
    let work = platform();
    work.write("envs/a/more.yaml", map("same", "{k: a}"))
        .write("envs/b/more.yaml", map("same", "{k: b}"));
    work.commit("twice");
    let text = printed(work.path(), &["lint", "--rule", "duplicate-object"], 3);
    assert!(
        text.contains("flux-system/a") && text.contains("flux-system/b"),
        "{text}"
    );
    work.write("envs/a/more.yaml", map("same", "{k: c}"));
    let text = printed(work.path(), &["plan"], 2);
    assert!(
        text.contains("warning: ConfigMap/same is wanted by flux-system/a and flux-system/b"),
        "{text}"
    );
}
