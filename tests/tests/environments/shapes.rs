//! The six shapes that repositories grow through: each is found, built and compared.

use serde_json::Value;
use weir_tests::Repository;

use crate::said::{json, kustomization, map, repository, sealed};

/// What a repository of a shape holds, which environments that gives, and in which of them a change of a file is seen.
struct Shape {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    environments: &'static [(&'static str, &'static str)],
    touched: &'static str,
    seen_in: &'static [&'static str],
}

const APP: &str = "resources: [config.yaml, secrets.yaml.encrypted]\n";

const SHAPES: [Shape; 5] = [
    Shape {
        name: "one app, one environment",
        files: &[
            ("app/kustomization.yaml", APP),
            ("app/config.yaml", ""),
            ("app/secrets.yaml.encrypted", ""),
        ],
        environments: &[("app", "folder")],
        touched: "app/config.yaml",
        seen_in: &["app"],
    },
    Shape {
        name: "several environments, one app",
        files: &[
            ("envs/prod/kustomization.yaml", APP),
            ("envs/prod/config.yaml", ""),
            ("envs/prod/secrets.yaml.encrypted", ""),
            ("envs/staging/kustomization.yaml", APP),
            ("envs/staging/config.yaml", ""),
            ("envs/staging/secrets.yaml.encrypted", ""),
        ],
        environments: &[("prod", "folder"), ("staging", "folder")],
        touched: "envs/prod/config.yaml",
        seen_in: &["prod"],
    },
    Shape {
        name: "similar environments",
        files: &[
            (
                "envs/prod-eu/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("envs/prod-eu/config.yaml", ""),
            (
                "envs/prod-us/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("envs/prod-us/config.yaml", ""),
            (
                "envs/staging/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("envs/staging/config.yaml", ""),
        ],
        environments: &[
            ("prod-eu", "folder"),
            ("prod-us", "folder"),
            ("staging", "folder"),
        ],
        touched: "envs/prod-us/config.yaml",
        seen_in: &["prod-us"],
    },
    Shape {
        name: "stages",
        files: &[
            (
                "stages/prod/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("stages/prod/config.yaml", ""),
            (
                "stages/staging/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("stages/staging/config.yaml", ""),
            (
                "envs/prod-eu/kustomization.yaml",
                "resources: [../../stages/prod, secrets.yaml.encrypted]\n",
            ),
            ("envs/prod-eu/secrets.yaml.encrypted", ""),
            (
                "envs/prod-us/kustomization.yaml",
                "resources: [../../stages/prod]\n",
            ),
            (
                "envs/staging/kustomization.yaml",
                "resources: [../../stages/staging]\n",
            ),
        ],
        environments: &[
            ("prod-eu", "folder"),
            ("prod-us", "folder"),
            ("staging", "folder"),
        ],
        touched: "stages/prod/config.yaml",
        seen_in: &["prod-eu", "prod-us"],
    },
    Shape {
        name: "many apps, each for itself",
        files: &[
            (
                "envs/billing/prod/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("envs/billing/prod/config.yaml", ""),
            (
                "envs/shop/prod/kustomization.yaml",
                "resources: [config.yaml]\n",
            ),
            ("envs/shop/prod/config.yaml", ""),
            (
                "clusters/prod/kustomization.yaml",
                "resources: [apps.yaml]\n",
            ),
            ("clusters/prod/apps.yaml", "apps"),
        ],
        environments: &[("billing/prod", "cluster"), ("shop/prod", "cluster")],
        touched: "envs/shop/prod/config.yaml",
        seen_in: &["shop/prod"],
    },
];

fn content(path: &str, text: &str) -> String {
    match (path.rsplit('/').next().unwrap(), text) {
        ("config.yaml", _) => map("config", "{version: '1'}"),
        ("secrets.yaml.encrypted", _) => sealed("secrets", &[("token", "one")]),
        (_, "apps") => {
            kustomization("shop", "./envs/shop/prod", "")
                + &kustomization("billing", "./envs/billing/prod", "")
        }
        (_, text) => text.to_owned(),
    }
}

fn create(shape: &Shape) -> Repository {
    let work = repository();
    for (path, text) in shape.files {
        work.write(path, content(path, text));
    }
    work.commit("first");
    work
}

fn names(environments: &Value) -> Vec<(&str, &str)> {
    let environments = environments.as_array().unwrap().iter();
    environments
        .map(|it| (it["name"].as_str().unwrap(), it["kind"].as_str().unwrap()))
        .collect()
}

#[test]
fn environments_are_found_and_changes_seen_in_every_shape() {
    for shape in &SHAPES {
        let work = create(shape);
        let found = json(work.path(), &["envs"], 0);
        assert_eq!(names(&found), shape.environments, "{}", shape.name);
        assert_eq!(
            json(work.path(), &["envs", "--rev", "HEAD"], 0),
            found,
            "{}",
            shape.name
        );
        work.write(shape.touched, map("config", "{version: '2'}"));
        work.commit("second");
        let plan = json(
            work.path(),
            &["plan", "--from", "HEAD~1", "--to", "HEAD"],
            2,
        );
        let changed = plan["environments"].as_array().unwrap();
        let changed: Vec<&str> = changed
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!(changed, shape.seen_in, "{}", shape.name);
        let counts = &plan["counts"];
        assert_eq!(
            counts["change"],
            shape.seen_in.len(),
            "{}: {counts}",
            shape.name
        );
        assert_eq!(counts["mayChange"], 0, "{}: {counts}", shape.name);
    }
}
