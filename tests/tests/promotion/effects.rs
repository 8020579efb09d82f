//! What is refused because of what environments would get, and what overrides it.

use crate::fleet::{PROD, STAGING, edit, fleet, promote, read};

#[test]
fn a_result_that_no_longer_builds_is_refused() {
    let work = fleet();
    work.write(
        "stages/prod/shop/extra.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n",
    );
    edit(
        &work,
        "stages/prod/shop/kustomization.yaml",
        "- helm.yaml\n",
        "- helm.yaml\n- extra.yaml\n",
    );
    work.commit("a ConfigMap of its own in prod");
    work.write(
        "stages/staging/shop/other.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n",
    );
    edit(
        &work,
        "stages/staging/shop/kustomization.yaml",
        "- helm.yaml\n",
        "- helm.yaml\n- other.yaml\n",
    );
    work.commit("one of the same name in staging");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        said.err.contains("refused (build)") && said.err.contains("prod-eu would no longer build"),
        "{}",
        said.err
    );
}

#[test]
fn a_value_of_the_sources_environment_does_not_leak() {
    let work = fleet();
    edit(
        &work,
        STAGING,
        "tag: v1",
        "tag: v2\n    url: https://staging.example.com/api",
    );
    let commit = work.commit("a host of staging in the release");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        said.err.contains("refused (leak)") && said.err.contains("`staging"),
        "{}",
        said.err
    );
    assert_eq!(work.head(), commit);
    let overridden = [
        "staging",
        "prod",
        "--commit",
        "--override",
        "leak=the host is public",
    ];
    promote(&work, &overridden).with(0);
    assert!(read(&work, ".weir/promotions/prod/shop.json").contains("the host is public"));
    let message = work.git(&[
        "log",
        "-1",
        "--format=%(trailers:key=Weir-Override,valueonly)",
    ]);
    assert_eq!(message, "leak: the host is public");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
}

#[test]
fn facts_of_the_sources_cluster_do_not_leak_unless_the_target_shares_them() {
    let work = fleet();
    for (cluster, environment, zone) in [
        ("staging", "staging", "north-7"),
        ("prod", "prod-eu", "south-1"),
    ] {
        let apps = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: \
             flux-system}}\nspec:\n  interval: 10m\n  path: ./envs/{environment}\n  prune: true\n  sourceRef: {{kind: \
             GitRepository, name: flux-system}}\n  postBuild: {{substitute: {{zone: {zone}, owner: platform-team, short: \
             abc}}}}\n"
        );
        work.write(&format!("clusters/{cluster}/apps.yaml"), apps);
    }
    work.commit("clusters");
    // Both have an owner, three characters say nothing, and half a word is none.
    edit(
        &work,
        STAGING,
        "tag: v1",
        "tag: v2\n    notes: [platform-team, abc, north-77]",
    );
    work.commit("what leaks nothing");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    edit(&work, STAGING, "north-77", "zone-north-7");
    work.commit("a zone of the cluster");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    let named = "refused (leak): HelmRelease/shop of prod-eu would hold `north-7`, which belongs to the source";
    assert!(said.err.contains(named), "{}", said.err);
}

#[test]
fn what_the_target_has_already_leaks_no_more() {
    let work = fleet();
    let with_host = "tag: v1\n    text: 'see https://staging.example.com for more'";
    for file in [STAGING, PROD] {
        edit(&work, file, "tag: v1", with_host);
    }
    work.commit("both stages tell of the host");
    edit(&work, STAGING, "for more", "for much more");
    let object = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: NAME}\nspec:\n  schedule: '0 0 * * *'\n  \
                  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b:1}]}}}}\n";
    work.write(
        "envs/staging/job.yaml",
        object
            .replace("NAME", "only-in-staging")
            .replace("0 0 *", "9 9 *")
            .replace("Never", "OnFailure"),
    );
    edit(
        &work,
        "envs/staging/kustomization.yaml",
        "- env-config.yaml",
        "- env-config.yaml\n- job.yaml",
    );
    work.write(
        "stages/staging/shop/job.yaml",
        object.replace("NAME", "nightly"),
    );
    edit(
        &work,
        "stages/staging/shop/kustomization.yaml",
        "- helm.yaml",
        "- helm.yaml\n- job.yaml",
    );
    work.commit("another text, and the first job");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(read(&work, PROD).contains("for much more"));
}

#[test]
fn environments_outside_the_target_may_not_change() {
    let work = fleet();
    work.write(
        "envs/staging/kustomization.yaml",
        "resources:\n- ../../stages/staging\n- env-config.yaml\n- ../../stages/prod/tools\n",
    )
    .write(
        "stages/prod/tools/kustomization.yaml",
        "resources: [map.yaml]\n",
    )
    .write(
        "stages/staging/tools/kustomization.yaml",
        "resources: [map.yaml]\n",
    );
    for stage in ["staging", "prod"] {
        work.write(
            &format!("stages/{stage}/tools/map.yaml"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tools}\ndata: {a: x}\n",
        );
    }
    work.commit("staging takes a tool from prod");
    edit(&work, "stages/staging/tools/map.yaml", "a: x", "a: z");
    work.commit("a change");
    let said = promote(&work, &["staging", "prod", "tools", "--commit"]).with(1);
    assert!(
        said.err
            .contains("refused (outside): environments outside the target change: staging"),
        "{}",
        said.err
    );
    promote(
        &work,
        &[
            "staging",
            "prod",
            "tools",
            "--commit",
            "--override",
            "outside=agreed",
        ],
    )
    .with(0);
}

#[test]
fn an_environment_that_did_not_build_before_stands_in_no_way() {
    let work = fleet();
    work.write(
        "envs/trial/kustomization.yaml",
        "resources: [not-there.yaml]\n",
    );
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("a broken environment");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        said.out.contains("does not build, nor did before"),
        "{}",
        said.out
    );
}

#[test]
fn nothing_is_promoted_in_a_freeze() {
    let work = fleet();
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.write(
        "weir.yaml",
        "freezes:\n- {name: the long holidays, from: 2020-01-01T00:00:00Z, to: 2100-01-01T00:00:00Z, stages: [prod]}\n",
    );
    work.commit("v2");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        said.err
            .contains("refused (freeze): prod is frozen until 2100-01-01"),
        "{}",
        said.err
    );
    promote(
        &work,
        &["staging", "prod", "--commit", "--override", "freeze=outage"],
    )
    .with(0);
    assert!(read(&work, PROD).contains("tag: v2"));
    work.write(
        "weir.yaml",
        "freezes:\n- {name: x, form: 2020-01-01T00:00:00Z}\n",
    );
    work.commit("a mistake");
    let said = promote(&work, &["staging", "prod"]).with(1);
    assert!(
        said.err.contains("weir.yaml") && said.err.contains("form"),
        "{}",
        said.err
    );
}

#[test]
fn only_some_refusals_can_be_overridden_and_never_without_a_reason() {
    let work = fleet();
    for text in ["conflict=x", "build=x", "leak", "leak="] {
        promote(&work, &["staging", "prod", "--override", text]).with(1);
    }
}
