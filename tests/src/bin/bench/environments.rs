//! A repository of many environments, without a cluster: all of them built and compared between two revisions, and the
//! blast radius of one file.

use std::time::Instant;

use weir_tests::{Repository, Weir};

use crate::table::Row;

/// Environments that share a stage.
const PER_STAGE: usize = 100;
/// Applications of a stage.
const APPLICATIONS: usize = 10;
/// How often each command runs; the median counts.
pub(crate) const RUNS: usize = 5;
/// What the comparison of all environments may take, in seconds.
const PLAN_GOAL: f64 = 5.0;
/// What the blast radius of one file may take, in seconds.
const AFFECTED_GOAL: f64 = 3.0;
/// The same, in seconds, when what the environments are made of is remembered from an earlier run.
const WARM_GOAL: f64 = 0.05;

/// Measures with so many environments.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let repository = Repository::create("http://127.0.0.1:1/none.git", None);
    write(&repository, count, PER_STAGE);
    repository.commit("first");
    let own = "envs/env-7/size.yaml";
    repository.write(own, size(9));
    repository.commit("one environment");
    let stage = "stages/stage-0/app-0/deployment.yaml";
    repository.write(stage, deployment("app-0", "2.0.0"));
    repository.commit("one stage");
    let service = "platform/service/_base/map.yaml";
    repository.write(service, map("service", "second"));
    repository.commit("the platform");
    let detail = format!("cold, median of {RUNS}; debug builds take several times as long");
    let row = |what: String, seen: f64, goal: f64| Row {
        what,
        peer: "–",
        floor: None,
        seen,
        goal,
        unit: "s",
        detail: detail.clone(),
    };
    let sides = |from: &'static str, to: &'static str| ["--from", from, "--to", to];
    vec![
        row(
            format!("{count} environments compared, {PER_STAGE} change"),
            run(&repository, "plan", &sides("main~2", "main~1")),
            PLAN_GOAL,
        ),
        row(
            format!("{count} environments compared, all change"),
            run(&repository, "plan", &sides("main~1", "main")),
            PLAN_GOAL,
        ),
        row(
            format!("blast radius of one file among {count} environments"),
            run(
                &repository,
                "affected",
                &["--no-cache", "--from", "main~2", "--to", "main~1"],
            ),
            AFFECTED_GOAL,
        ),
        Row {
            detail: format!(
                "warm, median of {RUNS}: what the environments are made of is remembered"
            ),
            ..row(
                format!("the same of one environment's own file, among {count}"),
                warm(&repository),
                WARM_GOAL,
            )
        },
    ]
}

/// The second time and later: the first one remembers.
fn warm(repository: &Repository) -> f64 {
    let sides = ["--from", "main~3", "--to", "main~2"];
    run(repository, "affected", &sides);
    run(repository, "affected", &sides)
}

/// The median of the whole processes of a command that sees a change.
pub(crate) fn run(repository: &Repository, command: &str, arguments: &[&str]) -> f64 {
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            let output = Weir::command()
                .arg(command)
                .args(arguments)
                .current_dir(repository.path())
                .output()
                .expect("run Weir");
            assert_eq!(output.status.code(), Some(2), "{command} sees the change");
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

/// Writes environments, so many of which share a stage.
pub(crate) fn write(repository: &Repository, count: usize, per_stage: usize) {
    for number in 0..count {
        write_environment(repository, number, number / per_stage);
    }
    for stage in 0..count.div_ceil(per_stage) {
        write_stage(repository, stage);
    }
    repository
        .write(
            "clusters/_profiles/all/kustomization.yaml",
            "kind: Component\nresources: [service.yaml]\n",
        )
        .write(
            "clusters/_profiles/all/service.yaml",
            kustomization("service", "./platform/service/_base"),
        )
        .write(
            "platform/service/_base/kustomization.yaml",
            "resources: [map.yaml, deployment.yaml]\n",
        )
        .write("platform/service/_base/map.yaml", map("service", "first"))
        .write(
            "platform/service/_base/deployment.yaml",
            deployment("service", "1.0.0"),
        );
}

/// A cluster with facts of its own, and an environment of a stage.
fn write_environment(repository: &Repository, number: usize, stage: usize) {
    let (cluster, environment) = (format!("clusters/c-{number}"), format!("envs/env-{number}"));
    repository
        .write(&format!("{cluster}/apps.yaml"), kustomization("apps", &format!("./{environment}")))
        .write(
            &format!("{cluster}/platform/kustomization.yaml"),
            "namespace: flux-system\ncomponents: [../../_profiles/all]\nresources: [facts.yaml]\n",
        )
        .write(
            &format!("{cluster}/platform/facts.yaml"),
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: facts}}\ndata: {{domain: c-{number}.example.com}}\n"),
        )
        .write(
            &format!("{environment}/kustomization.yaml"),
            format!("namespace: apps\nresources: [../../stages/stage-{stage}]\npatches: [{{path: size.yaml}}]\n"),
        )
        .write(
            &format!("{environment}/size.yaml"),
            size(number % 7 + 1),
        );
}

/// The patch that one environment has of its own.
fn size(replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-0}}\nspec: {{replicas: {replicas}}}\n"
    )
}

fn write_stage(repository: &Repository, stage: usize) {
    let mut resources = String::new();
    for application in 0..APPLICATIONS {
        let folder = format!("stages/stage-{stage}/app-{application}");
        let name = format!("app-{application}");
        repository
            .write(
                &format!("{folder}/kustomization.yaml"),
                "resources: [deployment.yaml, map.yaml]\n",
            )
            .write(
                &format!("{folder}/deployment.yaml"),
                deployment(&name, "1.0.0"),
            )
            .write(&format!("{folder}/map.yaml"), map(&name, "first"));
        resources += &format!("  - app-{application}\n");
    }
    let text = format!("resources:\n{resources}");
    repository.write(&format!("stages/stage-{stage}/kustomization.yaml"), text);
}

fn kustomization(name: &str, path: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec:\n  interval: 10m\n  prune: true\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n  \
         postBuild: {{substituteFrom: [{{kind: ConfigMap, name: facts}}]}}\n"
    )
}

fn map(name: &str, state: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{state: {state}, host: '{name}.${{domain}}'}}\n"
    )
}

/// The Deployment of an application, in a version.
pub(crate) fn deployment(name: &str, version: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers:\n        - name: {name}\n          image: registry.example.com/{name}:{version}\n"
    )
}
