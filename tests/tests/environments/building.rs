//! `weir build --kustomization`: what the controller would make of one Kustomization.

use crate::example::example;
use crate::said::{printed, weir};

const FILE: &str = "clusters/_profiles/_base/ingress-nginx.yaml#ingress-nginx";

#[test]
fn a_kustomization_is_built_with_the_spec_that_its_cluster_gives_it() {
    let work = example();
    let build = |environment: &str| {
        let arguments = [
            "build",
            "--environment",
            environment,
            "--kustomization",
            FILE,
        ];
        printed(work.path(), &arguments, 0)
    };
    let (eu, staging) = (build("prod-eu"), build("staging"));
    assert!(
        eu.contains("replicas: 2") && eu.contains("type: LoadBalancer"),
        "{eu}"
    );
    assert!(
        staging.contains("replicas: 1") && staging.contains("nodePort: 30080"),
        "{staging}"
    );
    assert!(
        eu.starts_with("apiVersion: v1\nkind: ServiceAccount"),
        "in the order of the input: {eu}"
    );
}

#[test]
fn one_of_several_must_be_chosen_unless_all_are_alike() {
    let work = example();
    let said = weir(work.path(), &["build", "--kustomization", FILE]);
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("is not the same in prod-eu, prod-us, staging"),
        "{}",
        said.err
    );
    assert!(said.err.contains("--environment"), "{}", said.err);
    let alike = "clusters/_profiles/_base/helm-crds.yaml#helm-crds";
    let out = printed(work.path(), &["build", "--kustomization", alike], 0);
    assert!(out.contains("kind: CustomResourceDefinition"), "{out}");
    let said = weir(
        work.path(),
        &["build", "--kustomization", "clusters/staging/apps.yaml#app"],
    );
    assert!(
        said.err.contains("holds no Kustomization `app`"),
        "{}",
        said.err
    );
}

#[test]
fn one_that_no_environment_brings_is_built_from_its_file() {
    let work = example();
    let text = std::fs::read_to_string(work.path().join("clusters/staging/apps.yaml")).unwrap();
    work.write(
        "drafts/apps.yaml",
        text.replace("envs/staging", "envs/prod-eu"),
    );
    let out = printed(
        work.path(),
        &["build", "--kustomization", "drafts/apps.yaml#apps"],
        0,
    );
    assert!(out.contains("(known after apply: cluster-config."), "{out}");
}

#[test]
fn an_environment_that_there_is_not_or_that_does_not_bring_it_is_no_other_one() {
    let work = example();
    let apps = "clusters/staging/apps.yaml#apps";
    for (environment, want) in [
        ("stagin", "there is no environment stagin"),
        ("stagin", "there are prod-eu, prod-us, staging"),
        (
            "prod-eu",
            "environment prod-eu brings no Kustomization apps of clusters/staging/apps.yaml",
        ),
    ] {
        let arguments = [
            "build",
            "--environment",
            environment,
            "--kustomization",
            apps,
        ];
        let said = weir(work.path(), &arguments);
        assert_eq!(said.code, 1, "{environment}: {}", said.out);
        assert!(said.err.contains(want), "{environment}: {}", said.err);
        assert_eq!(said.out, "");
    }
}
