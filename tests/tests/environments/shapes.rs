//! The six shapes that repositories grow through: in each, environments are found, built, compared, looked through, and
//! new ones made after them.

use serde_json::Value;
use weir_tests::Repository;

use crate::said::{RECIPIENT, encrypted, json, kustomization, map, printed, repository, weir};

/// What a repository of a shape holds, which environments that gives, in which of them a change of a file is seen, and
/// what a new environment is made of.
struct Shape {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    environments: &'static [(&'static str, &'static str)],
    touched: &'static str,
    seen_in: &'static [&'static str],
    new: New,
}

/// A new environment: its name, its model, and the files that are written.
struct New {
    name: &'static str,
    like: &'static str,
    more: &'static [&'static str],
    files: &'static [&'static str],
}

const APP: &str = "resources: [config.yaml, secrets.yaml.encrypted]\n";

const SHAPES: [Shape; 7] = [
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
        new: New {
            name: "app-two",
            like: "app",
            more: &[],
            files: &[
                ".sops.yaml",
                "app-two/config.yaml",
                "app-two/kustomization.yaml",
                "app-two/secrets.yaml.encrypted",
            ],
        },
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
        new: New {
            name: "test",
            like: "staging",
            more: &[],
            files: &[
                ".sops.yaml",
                "envs/test/config.yaml",
                "envs/test/kustomization.yaml",
                "envs/test/secrets.yaml.encrypted",
            ],
        },
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
        new: New {
            name: "prod-ap",
            like: "prod-eu",
            more: &[],
            files: &[
                "envs/prod-ap/config.yaml",
                "envs/prod-ap/kustomization.yaml",
            ],
        },
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
        new: New {
            name: "prod-ap",
            like: "prod-eu",
            more: &[],
            files: &[
                ".sops.yaml",
                "envs/prod-ap/kustomization.yaml",
                "envs/prod-ap/secrets.yaml.encrypted",
            ],
        },
    },
    Shape {
        name: "many apps, bound together",
        files: &[
            (
                "envs/prod/kustomization.yaml",
                "namespace: apps\nresources: [shop, billing]\n",
            ),
            (
                "envs/prod/shop/kustomization.yaml",
                "namePrefix: shop-\nresources: [config.yaml]\n",
            ),
            ("envs/prod/shop/config.yaml", ""),
            (
                "envs/prod/billing/kustomization.yaml",
                "namePrefix: billing-\nresources: [config.yaml]\n",
            ),
            ("envs/prod/billing/config.yaml", ""),
            ("clusters/prod/apps.yaml", "./envs/prod"),
        ],
        environments: &[("prod", "cluster")],
        touched: "envs/prod/shop/config.yaml",
        seen_in: &["prod"],
        new: New {
            name: "staging",
            like: "prod",
            more: &[],
            files: &[
                "clusters/staging/apps.yaml",
                "envs/staging/billing/config.yaml",
                "envs/staging/billing/kustomization.yaml",
                "envs/staging/kustomization.yaml",
                "envs/staging/shop/config.yaml",
                "envs/staging/shop/kustomization.yaml",
            ],
        },
    },
    Shape {
        name: "many apps, each for itself",
        files: &[
            (
                "envs/billing/prod/kustomization.yaml",
                "namespace: billing\nresources: [config.yaml]\n",
            ),
            ("envs/billing/prod/config.yaml", ""),
            (
                "envs/shop/prod/kustomization.yaml",
                "namespace: shop\nresources: [config.yaml]\n",
            ),
            ("envs/shop/prod/config.yaml", ""),
            (
                "clusters/prod/kustomization.yaml",
                "resources: [billing.yaml, shop.yaml]\n",
            ),
            ("clusters/prod/billing.yaml", "./envs/billing/prod"),
            ("clusters/prod/shop.yaml", "./envs/shop/prod"),
        ],
        environments: &[("billing/prod", "cluster"), ("shop/prod", "cluster")],
        touched: "envs/shop/prod/config.yaml",
        seen_in: &["shop/prod"],
        new: New {
            name: "shop/staging",
            like: "shop/prod",
            more: &["--cluster", "clusters/staging"],
            files: &[
                "clusters/staging/kustomization.yaml",
                "clusters/staging/shop.yaml",
                "envs/shop/staging/config.yaml",
                "envs/shop/staging/kustomization.yaml",
            ],
        },
    },
    Shape {
        name: "a platform under the apps",
        files: &[
            (
                "clusters/_profiles/_base/kustomization.yaml",
                "kind: Component\nresources: [ingress.yaml]\n",
            ),
            (
                "clusters/_profiles/_base/ingress.yaml",
                "./platform/ingress/_base",
            ),
            (
                "clusters/_profiles/prod/kustomization.yaml",
                "kind: Component\ncomponents: [../_base]\npatches:\n- target: {kind: Kustomization, name: ingress}\n  patch: |\n    - {op: add, path: /spec/components, value: [../nodeport]}\n",
            ),
            (
                "clusters/prod/eu/kustomization.yaml",
                "resources: [apps.yaml]\ncomponents: [../../_profiles/prod]\n",
            ),
            ("clusters/prod/eu/apps.yaml", "./envs/prod-eu"),
            (
                "clusters/prod/us/kustomization.yaml",
                "resources: [apps.yaml]\ncomponents: [../../_profiles/prod]\n",
            ),
            ("clusters/prod/us/apps.yaml", "./envs/prod-us"),
            (
                "clusters/staging/kustomization.yaml",
                "resources: [apps.yaml]\ncomponents: [../_profiles/_base]\n",
            ),
            ("clusters/staging/apps.yaml", "./envs/staging"),
            (
                "platform/ingress/_base/kustomization.yaml",
                "namespace: ingress\nresources: [config.yaml]\n",
            ),
            ("platform/ingress/_base/config.yaml", ""),
            (
                "platform/ingress/nodeport/kustomization.yaml",
                "kind: Component\nresources: [config.yaml]\nnameSuffix: -nodeport\n",
            ),
            ("platform/ingress/nodeport/config.yaml", "nodeport"),
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
                "namespace: apps\nresources: [../../stages/prod]\n",
            ),
            (
                "envs/prod-us/kustomization.yaml",
                "namespace: apps\nresources: [../../stages/prod]\n",
            ),
            (
                "envs/staging/kustomization.yaml",
                "namespace: apps\nresources: [../../stages/staging]\n",
            ),
        ],
        environments: &[
            ("prod-eu", "cluster"),
            ("prod-us", "cluster"),
            ("staging", "cluster"),
        ],
        touched: "platform/ingress/nodeport/config.yaml",
        seen_in: &["prod-eu", "prod-us"],
        new: New {
            name: "prod-ap",
            like: "prod-eu",
            more: &[],
            files: &[
                "clusters/prod/ap/apps.yaml",
                "clusters/prod/ap/kustomization.yaml",
                "envs/prod-ap/kustomization.yaml",
            ],
        },
    },
];

/// A file's content: what its name promises, or what the table says.
fn content(path: &str, text: &str) -> String {
    match path.rsplit('/').next().unwrap() {
        "config.yaml" if text.is_empty() => map("config", "{version: '1'}"),
        "config.yaml" => map(text, "{version: '1'}"),
        "secrets.yaml.encrypted" => encrypted("secrets"),
        name if text.starts_with("./") => kustomization(name.trim_end_matches(".yaml"), text, ""),
        _ => text.to_owned(),
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
        let touched = std::fs::read_to_string(work.path().join(shape.touched)).unwrap();
        work.write(shape.touched, touched.replace("'1'", "'2'"));
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
        reaches(shape, &work);
    }
}

/// `weir affected` names the same environments, and why.
fn reaches(shape: &Shape, work: &Repository) {
    let sides = ["affected", "--from", "HEAD~1", "--to", "HEAD"];
    let said = weir(work.path(), &[&sides[..], &["-o", "json"]].concat());
    assert!([2, 3].contains(&said.code), "{}: {}", shape.name, said.err);
    let affected: Value = serde_json::from_str(&said.out).unwrap();
    let reached = affected["environments"].as_array().unwrap();
    let names: Vec<&str> = reached
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, shape.seen_in, "{}", shape.name);
    for environment in reached {
        let files = &environment["changed"][0]["because"][0]["files"];
        assert_eq!(*files, serde_json::json!([shape.touched]), "{affected:#}");
    }
}

#[test]
fn nothing_is_wrong_with_any_shape() {
    for shape in &SHAPES {
        let work = create(shape);
        let said = weir(work.path(), &["lint"]);
        assert_eq!(said.code, 0, "{}: {}{}", shape.name, said.out, said.err);
        // What is wrong is found in each: in the file, in the environments that it is seen in.
        let file = work.path().join(shape.touched);
        let text = std::fs::read_to_string(&file).unwrap();
        work.write(shape.touched, text.replace("\ndata:", "\ndaata:"));
        let found = json(work.path(), &["lint"], 3);
        let finding = &found["findings"][0];
        assert_eq!(
            (&finding["file"], &finding["rule"]),
            (&shape.touched.into(), &"schema".into()),
            "{found:#}"
        );
        assert_eq!(
            finding["environments"],
            serde_json::json!(shape.seen_in),
            "{found:#}"
        );
    }
}

#[test]
fn a_new_environment_is_made_in_every_shape() {
    for shape in &SHAPES {
        let (work, new) = (create(shape), &shape.new);
        let create = [
            &["env", "create", new.name, "--like", new.like][..],
            &["--recipient", RECIPIENT],
            new.more,
        ];
        let said = weir(work.path(), &create.concat());
        assert_eq!(said.code, 0, "{}: {}{}", shape.name, said.out, said.err);
        let status = work.git(&["status", "--porcelain", "--untracked-files=all"]);
        let written: Vec<&str> = status
            .lines()
            .map(|line| line.strip_prefix("?? ").unwrap())
            .collect();
        assert_eq!(written, new.files, "{}: {}", shape.name, said.out);
        let found = json(work.path(), &["envs"], 0);
        let (kind, count) = (shape.environments[0].1, shape.environments.len());
        assert!(names(&found).contains(&(new.name, kind)), "{found:#}");
        assert_eq!(names(&found).len(), count + 1, "{found:#}");
        // Nothing becomes of the environments that are there.
        work.commit("one more");
        let plan = ["plan", "--from", "HEAD~1", "--to", "HEAD", "--short"];
        let plan = printed(work.path(), &plan, 2);
        assert!(plan.contains("1 of"), "{}: {plan}", shape.name);
        let lint = weir(work.path(), &["lint"]);
        assert_eq!(lint.code, 0, "{}: {}{}", shape.name, lint.out, lint.err);
    }
}
