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
    let first = repository.commit("first");
    let change = |path: &str, text: String| {
        repository.write(path, text);
        repository.commit(path)
    };
    let own = change("envs/env-7/size.yaml", size(count + 1));
    let application = "stages/stage-0/app-0/deployment.yaml";
    let stage = change(application, deployment("app-0", "2.0.0"));
    let platform = change("platform/service/_base/map.yaml", map("service", "second"));
    let mut rows = whole(&repository, count, [&own, &stage, &platform]);
    let service = "platform/service/_base/deployment.yaml";
    let plain = change(service, deployment("service", "2.0.0"));
    add_base(&repository, count.div_ceil(PER_STAGE));
    let with_base = repository.commit("a base of all stages");
    let base = change(
        "stages/_base/deployment.yaml",
        deployment("common", "2.0.0"),
    );
    let shared = |what: &str, by: usize| format!("the same of {what} that {by} of them share");
    let own_file = format!("the same of one environment's own file, among {count}");
    for (what, from, to, code) in [
        (own_file, &first, &own, 2),
        (shared("a file of a stage", PER_STAGE), &own, &stage, 2),
        (
            shared("a file of the platform", count),
            &platform,
            &plain,
            3,
        ),
        (
            shared("such a file with variables", count),
            &stage,
            &platform,
            3,
        ),
        (
            shared("a file of the stages' base", count),
            &with_base,
            &base,
            3,
        ),
    ] {
        rows.push(Row {
            what,
            peer: "–",
            floor: None,
            seen: warm(&repository, from, to, code),
            goal: WARM_GOAL,
            unit: "s",
            detail: format!(
                "warm, median of {RUNS}: what the environments are made of is remembered"
            ),
        });
    }
    rows
}

/// What looks at all environments.
fn whole(repository: &Repository, count: usize, [own, stage, platform]: [&str; 3]) -> Vec<Row> {
    let row = |what: String, seen: f64, goal: f64| Row {
        what,
        peer: "–",
        floor: None,
        seen,
        goal,
        unit: "s",
        detail: format!("cold, median of {RUNS}; debug builds take several times as long"),
    };
    let plan = |from: &str, to: &str| run(repository, "plan", &["--from", from, "--to", to]);
    let cold = ["--no-cache", "--from", own, "--to", stage];
    vec![
        row(
            format!("{count} environments compared, {PER_STAGE} change"),
            plan(own, stage),
            PLAN_GOAL,
        ),
        row(
            format!("{count} environments compared, all change"),
            plan(stage, platform),
            PLAN_GOAL,
        ),
        row(
            format!("blast radius of one file among {count} environments"),
            run(repository, "affected", &cold),
            AFFECTED_GOAL,
        ),
    ]
}

/// The second time and later: the first one remembers.
fn warm(repository: &Repository, from: &str, to: &str, code: i32) -> f64 {
    let sides = ["--from", from, "--to", to];
    median(1, repository, "affected", &sides, code);
    median(RUNS, repository, "affected", &sides, code)
}

/// The median of the whole processes of a command that sees a change.
pub(crate) fn run(repository: &Repository, command: &str, arguments: &[&str]) -> f64 {
    median(RUNS, repository, command, arguments, 2)
}

/// The same of so many processes, which end with this code.
fn median(
    runs: usize,
    repository: &Repository,
    command: &str,
    arguments: &[&str],
    code: i32,
) -> f64 {
    let mut seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            let output = Weir::command()
                .arg(command)
                .args(arguments)
                .current_dir(repository.path())
                .output()
                .expect("run Weir");
            assert_eq!(
                output.status.code(),
                Some(code),
                "{command} sees the change"
            );
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[runs / 2]
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
            size(number + 1),
        );
}

/// The patch that one environment has of its own.
fn size(replicas: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-0}}\nspec: {{replicas: {replicas}}}\n"
    )
}

/// What all stages take in besides.
fn add_base(repository: &Repository, stages: usize) {
    repository
        .write(
            "stages/_base/kustomization.yaml",
            "resources: [deployment.yaml, map.yaml]\n",
        )
        .write(
            "stages/_base/deployment.yaml",
            deployment("common", "1.0.0"),
        )
        .write("stages/_base/map.yaml", map("common", "first"));
    for stage in 0..stages {
        let path = format!("stages/stage-{stage}/kustomization.yaml");
        repository.write(&path, stage_file("  - ../_base\n"));
    }
}

fn write_stage(repository: &Repository, stage: usize) {
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
    }
    let path = format!("stages/stage-{stage}/kustomization.yaml");
    repository.write(&path, stage_file(""));
}

/// A stage of all its applications, and what else it takes in.
fn stage_file(more: &str) -> String {
    let applications = (0..APPLICATIONS).map(|application| format!("  - app-{application}\n"));
    format!("resources:\n{}{more}", applications.collect::<String>())
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
