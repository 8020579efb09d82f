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
