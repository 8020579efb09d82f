//! The six shapes that repositories have, and what a change reaches.

use std::collections::BTreeMap;
use std::sync::Arc;

use overlay::MemTree;
use overlay::unknown::Marker;
use overlay::yaml::{Secrets, to_json};

use super::*;

fn tree(files: &[(&str, &str)]) -> MemTree {
    let mut tree = MemTree::new();
    for (path, text) in files {
        tree.insert(path, text.as_bytes());
    }
    tree
}

fn settings() -> Settings {
    Settings {
        marker: Marker::new(1),
        variables: BTreeMap::new(),
    }
}

fn of(tree: &MemTree) -> Graph {
    graph(tree, &settings()).expect("a tree in memory can be read")
}

/// `name (kind, path): namespace/name of its leaves`.
fn shown(graph: &Graph) -> Vec<String> {
    let line = |environment: &Environment| {
        let leaves: Vec<String> = environment
            .leaves
            .iter()
            .map(|leaf| leaf.name.to_string())
            .collect();
        let Environment {
            name, kind, path, ..
        } = environment;
        format!("{name} ({kind:?}, {path}): {}", leaves.join(" "))
    };
    graph.environments.iter().map(line).collect()
}

/// Notation does not count: a patch anywhere in a build may change that of all objects.
fn json(object: &Object) -> serde_json::Value {
    to_json(&object.node, Secrets::Masked)
}

const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {host: '${host}'}\n";

fn kustomization(name: &str, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec:\n  interval: 1m\n  prune: true\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{rest}---\n"
    )
}

fn source(name: &str, url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec: {{interval: 1m, url: '{url}'}}\n---\n"
    )
}

#[test]
fn one_app_is_one_environment_named_by_its_path() {
    let tree = tree(&[
        ("app/kustomization.yaml", "resources: [map.yaml]\n"),
        ("app/map.yaml", MAP),
    ]);
    let graph = of(&tree);
    assert_eq!(shown(&graph), ["app (Folder, app): app"]);
    assert_eq!(graph.environments[0].leaves[0].objects().len(), 1);
}

#[test]
fn environments_without_clusters_are_folders() {
    let tree = tree(&[
        ("envs/prod/kustomization.yaml", "resources: [map.yaml]\n"),
        ("envs/prod/map.yaml", MAP),
        ("envs/staging/kustomization.yaml", "resources: [map.yaml]\n"),
        ("envs/staging/map.yaml", MAP),
        ("tools/kustomization.yaml", "resources: [map.yaml]\n"),
        ("tools/map.yaml", MAP),
    ]);
    assert_eq!(
        shown(&of(&tree)),
        [
            "prod (Folder, envs/prod): envs/prod",
            "staging (Folder, envs/staging): envs/staging"
        ]
    );
}

fn staged() -> MemTree {
    tree(&[
        ("stages/prod/kustomization.yaml", "resources: [map.yaml]\n"),
        ("stages/prod/map.yaml", MAP),
        (
            "stages/staging/kustomization.yaml",
            "resources: [map.yaml]\n",
        ),
        ("stages/staging/map.yaml", MAP),
        (
            "envs/prod-eu/kustomization.yaml",
            "resources: [../../stages/prod]\n",
        ),
        (
            "envs/prod-us/kustomization.yaml",
            "resources: [../../stages/prod]\n",
        ),
    ])
}

#[test]
fn stages_are_named_and_those_that_nobody_extends_are_shown() {
    let graph = of(&staged());
    assert_eq!(
        shown(&graph),
        [
            "prod-eu (Folder, envs/prod-eu): envs/prod-eu",
            "prod-us (Folder, envs/prod-us): envs/prod-us",
            "stages/staging (Folder, stages/staging): stages/staging",
        ]
    );
    let facts = facts(&graph.environments[0], &graph.folders);
    assert_eq!(facts.stages, ["prod"]);
    assert_eq!(facts.bases, ["envs/prod-eu", "stages/prod"]);
}

#[test]
fn many_apps_are_bound_by_a_kustomization_above_them() {
    let mut tree = tree(&[
        (
            "bound/prod/kustomization.yaml",
            "resources: [../../envs/shop/prod, ../../envs/billing/prod]\n",
        ),
        (
            "bound/staging/kustomization.yaml",
            "resources: [../../envs/shop/staging]\n",
        ),
    ]);
    for path in [
        "shop/prod",
        "billing/prod",
        "shop/staging",
        "billing/staging",
    ] {
        tree.insert(
            &format!("envs/{path}/kustomization.yaml"),
            *b"resources: [map.yaml]\n",
        );
        let text = MAP.replace("name: app", &format!("name: {}", path.replace('/', "-")));
        tree.insert(&format!("envs/{path}/map.yaml"), text.as_bytes());
    }
    assert_eq!(
        shown(&of(&tree)),
        [
            "billing/staging (Folder, envs/billing/staging): envs/billing/staging",
            "bound/prod (Folder, bound/prod): bound/prod",
            "shop/staging (Folder, bound/staging): bound/staging",
        ]
    );
}

/// Two clusters that were bootstrapped, with a profile each, and an environment that nothing leads to.
fn platform() -> MemTree {
    let mut tree = staged();
    for cluster in ["eu", "us"] {
        let folder = format!("clusters/prod/{cluster}");
        let sync = source("flux-system", "https://git.example.com/fleet.git")
            + &kustomization(
                "flux-system",
                &format!("./{folder}"),
                "  decryption: {provider: sops}\n",
            );
        tree.insert(
            &format!("{folder}/flux-system/gotk-sync.yaml"),
            sync.as_bytes(),
        );
        let apps = kustomization(
            "apps",
            &format!("./envs/prod-{cluster}"),
            "  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n",
        );
        tree.insert(&format!("{folder}/apps.yaml"), apps.as_bytes());
        let facts = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: facts, namespace: flux-system}}\ndata: {{host: {cluster}.example.com}}\n"
        );
        tree.insert(&format!("{folder}/facts.yaml"), facts.as_bytes());
        let profile = match cluster {
            "eu" => "components: [../../../_profiles/plain]\n",
            _ => "components: [../../../_profiles/rich]\n",
        };
        tree.insert(
            &format!("{folder}/platform/kustomization.yaml"),
            profile.as_bytes(),
        );
    }
    let dns = kustomization("dns", "./platform/dns/_base", "");
    let tenant = source("team", "https://git.example.com/team.git")
        + &kustomization("team", "./deploy", "").replace(
            "GitRepository, name: flux-system",
            "GitRepository, name: team",
        );
    for (path, text) in [
        (
            "clusters/_profiles/plain/kustomization.yaml",
            "kind: Component\nresources: [dns.yaml, team.yaml]\n",
        ),
        ("clusters/_profiles/plain/dns.yaml", dns.as_str()),
        ("clusters/_profiles/plain/team.yaml", tenant.as_str()),
        (
            "clusters/_profiles/rich/kustomization.yaml",
            "kind: Component\ncomponents: [../plain]\n",
        ),
        (
            "platform/dns/_base/kustomization.yaml",
            "resources: [map.yaml, other.yaml]\n",
        ),
        (
            "platform/dns/_base/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dns}\n",
        ),
        (
            "platform/dns/_base/other.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
        ),
        (
            "platform/dns/fast/kustomization.yaml",
            "kind: Component\npatches: [{target: {name: dns}, patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {\"fast\": \"yes\"}}]'}]\n",
        ),
        ("envs/lab/kustomization.yaml", "resources: [map.yaml]\n"),
        ("envs/lab/map.yaml", MAP),
    ] {
        tree.insert(path, text.as_bytes());
    }
    tree
}

#[test]
fn a_cluster_is_walked_as_it_walks_itself() {
    let graph = of(&platform());
    let leaves = "flux-system/flux-system flux-system/apps flux-system/dns flux-system/team";
    assert_eq!(
        shown(&graph),
        [
            "lab (Unreached, envs/lab): envs/lab".to_owned(),
            format!("prod-eu (Cluster, clusters/prod/eu): {leaves}"),
            format!("prod-us (Cluster, clusters/prod/us): {leaves}"),
            "stages/staging (Unreached, stages/staging): stages/staging".to_owned(),
        ]
    );
    assert!(graph.warnings.is_empty(), "{:?}", graph.warnings);
    let us = &graph.environments[2];
    let apps = &us.leaves[1];
    assert_eq!(
        apps.objects()[0].node.find_str(&["data", "host"]),
        Some("us.example.com")
    );
    let Outcome::External(repository) = &us.leaves[3].outcome else {
        panic!("the tenant lies elsewhere: {:?}", us.leaves[3].outcome);
    };
    assert_eq!(repository, "https://git.example.com/team.git");
}

#[test]
fn a_profile_s_patch_reaches_that_service_in_the_clusters_of_that_profile_and_nothing_else() {
    let from = platform();
    let mut to = from.clone();
    to.insert(
        "clusters/_profiles/rich/kustomization.yaml",
        *b"kind: Component\ncomponents: [../plain]\npatches:\n- target: {kind: Kustomization, name: dns}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/components\", \"value\": [\"../fast\"]}]'\n",
    );
    let (before, after, changed) =
        graphs(&from, &to, &settings()).expect("trees in memory can be read");
    assert_eq!(changed.files.len(), 1);
    for environment in &after.environments {
        assert_eq!(facts(environment, &after.folders).failures, []);
    }
    let mut different = Vec::new();
    for (old, new) in before.environments.iter().zip(&after.environments) {
        for (one, other) in old.leaves.iter().zip(&new.leaves) {
            if Arc::ptr_eq(one, other) {
                continue;
            }
            for (object, later) in one.objects().iter().zip(other.objects()) {
                if json(object) != json(later) {
                    different.push(format!("{} {} {}", new.name, other.name, later.id));
                }
            }
        }
    }
    assert_eq!(
        different,
        [
            "prod-us flux-system/flux-system Kustomization/flux-system/dns",
            "prod-us flux-system/dns ConfigMap/dns",
        ]
    );
    let leaves = before.environments.iter().zip(&after.environments);
    let same = leaves.flat_map(|(old, new)| old.leaves.iter().zip(&new.leaves));
    let taken_over = same.filter(|(one, other)| Arc::ptr_eq(one, other)).count();
    assert_eq!(taken_over, 6, "all that builds but two leaves of prod-us");
}

#[test]
fn a_cluster_may_reach_several_environments() {
    let mut tree = staged();
    let both =
        kustomization("eu", "./envs/prod-eu", "") + &kustomization("us", "./envs/prod-us", "");
    tree.insert("clusters/all/apps.yaml", both.as_bytes());
    let text = kustomization("one", "./platform", "");
    tree.insert("clusters/all/one.yaml", text.as_bytes());
    tree.insert("platform/map.yaml", MAP.as_bytes());
    let other = kustomization("eu", "./envs/prod-eu", "");
    let graph = of(&tree);
    assert_eq!(
        shown(&graph)[..2],
        [
            "prod-eu (Cluster, clusters/all): clusters/all flux-system/eu flux-system/one",
            "prod-us (Cluster, clusters/all): clusters/all flux-system/us flux-system/one",
        ]
    );
    let [eu, us] = [&graph.environments[0], &graph.environments[1]];
    assert!(Arc::ptr_eq(&eu.leaves[2], &us.leaves[2]), "one platform");
    tree.insert("clusters/spare/apps.yaml", other.as_bytes());
    let names: Vec<String> = of(&tree)
        .environments
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(
        names,
        [
            "clusters/all",
            "clusters/spare",
            "prod-us",
            "stages/staging"
        ]
    );
}

#[test]
fn clusters_that_reach_the_same_several_folders_are_told_apart() {
    let mut tree = staged();
    let both =
        kustomization("eu", "./envs/prod-eu", "") + &kustomization("us", "./envs/prod-us", "");
    for cluster in ["clusters/one/apps.yaml", "clusters/two/apps.yaml"] {
        tree.insert(cluster, both.as_bytes());
    }
    assert_eq!(
        shown(&of(&tree))[..4],
        [
            "clusters/one:prod-eu (Cluster, clusters/one): clusters/one flux-system/eu",
            "clusters/one:prod-us (Cluster, clusters/one): clusters/one flux-system/us",
            "clusters/two:prod-eu (Cluster, clusters/two): clusters/two flux-system/eu",
            "clusters/two:prod-us (Cluster, clusters/two): clusters/two flux-system/us",
        ]
    );
}

#[test]
fn a_folder_that_another_one_brings_is_no_environment_of_its_own() {
    let defaults = "  patches:\n  - target: {kind: Kustomization}\n    patch: |\n      - {op: add, path: /spec/targetNamespace, value: everywhere}\n";
    let tree = tree(&[
        (
            "kubernetes/flux/cluster.yaml",
            &kustomization("cluster", "./kubernetes/apps", defaults),
        ),
        (
            "kubernetes/apps/default/kustomization.yaml",
            "resources: [./plex/ks.yaml]\n",
        ),
        (
            "kubernetes/apps/default/plex/ks.yaml",
            &kustomization("plex", "./kubernetes/apps/default/plex/app", ""),
        ),
        (
            "kubernetes/apps/default/plex/app/kustomization.yaml",
            "resources: [map.yaml]\n",
        ),
        ("kubernetes/apps/default/plex/app/map.yaml", MAP),
        ("bootstrap/kustomization.yaml", "resources: [map.yaml]\n"),
        ("bootstrap/map.yaml", MAP),
    ]);
    let graph = of(&tree);
    assert_eq!(
        shown(&graph),
        [
            "bootstrap (Folder, bootstrap): bootstrap",
            "kubernetes/flux (Folder, kubernetes/flux): kubernetes/flux flux-system/cluster flux-system/plex",
        ]
    );
    let plex = &graph.environments[1].leaves[2];
    assert_eq!(plex.objects()[0].id.namespace, "everywhere");
}

#[test]
fn kustomizations_that_bring_each_other_end() {
    let tree = tree(&[
        ("clusters/one/a.yaml", &kustomization("a", "./a", "")),
        ("a/b.yaml", &kustomization("b", "./b", "")),
        ("b/a.yaml", &kustomization("a", "./c", "")),
    ]);
    let graph = of(&tree);
    assert_eq!(
        graph.warnings,
        [
            "clusters/one: cycle: clusters/one → flux-system/a → flux-system/b bring flux-system/a again"
        ]
    );
    assert_eq!(graph.environments[0].leaves.len(), 3);
}

#[test]
fn a_cluster_without_end_is_ended() {
    let mut deep = MemTree::new();
    let first = kustomization("k-0", "./k-0", "");
    deep.insert("clusters/one/first.yaml", first.as_bytes());
    for number in 0..40 {
        let next = number + 1;
        let text = kustomization(&format!("k-{next}"), &format!("./k-{next}"), "");
        deep.insert(&format!("k-{number}/next.yaml"), text.as_bytes());
    }
    let mut wide = MemTree::new();
    let many = (0..5_001).map(|number| kustomization(&format!("k-{number}"), "./none", ""));
    let many: String = many.collect();
    wide.insert("clusters/one/many.yaml", many.as_bytes());
    for (tree, why, leaves) in [
        (
            deep,
            "Kustomizations bring one another more than 32 deep",
            34,
        ),
        (wide, "the cluster has more than 5000 Kustomizations", 5_002),
    ] {
        let graph = of(&tree);
        let failures = facts(&graph.environments[0], &graph.folders).failures;
        assert_eq!(failures.last().map(|(_, why)| why.as_str()), Some(why));
        assert_eq!(graph.environments[0].leaves.len(), leaves);
    }
}
