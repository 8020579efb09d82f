//! The folders that are built.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder, how often it is built, and what is wanted.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) runs: usize,
    pub(crate) time_goal: u32,
    pub(crate) memory_goal: u32,
}

impl Input {
    fn new(name: impl Into<String>, folder: PathBuf) -> Self {
        Self {
            name: name.into(),
            folder,
            runs: 15,
            time_goal: 15,
            memory_goal: 5,
        }
    }
}

/// The inputs; those of the corpus when it is there.
pub(crate) fn all(folder: &Path, corpus: Option<&Path>) -> Vec<Input> {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flux-structure/envs/prod-eu");
    let mut inputs = vec![Input::new(
        "a small overlay: the example's envs/prod-eu",
        example,
    )];
    if let Some(corpus) = corpus {
        inputs.extend(median_case(corpus));
    }
    inputs.push(Input {
        runs: 11,
        ..Input::new(
            "200 Deployments of 8 containers, 30 patches",
            deployments(&folder.join("mid"), 200),
        )
    });
    if let Some(corpus) = corpus {
        inputs.extend(largest_roots(corpus));
    }
    inputs.push(Input {
        runs: 3,
        time_goal: 40,
        memory_goal: 8,
        ..Input::new(
            "2,000 Deployments of 8 containers, 30 patches",
            deployments(&folder.join("large"), 2000),
        )
    });
    inputs
}

/// A base of one file, and an overlay with a namespace, a prefix, labels in selectors, images and 30 patches.
fn deployments(folder: &Path, count: usize) -> PathBuf {
    let base: Vec<String> = (0..count).map(deployment).collect();
    let mut overlay = String::from(
        "resources: [../base]\nnamespace: prod\nnamePrefix: eu-\nlabels:\n- pairs: {team: a, env: prod}\n  includeSelectors: true\n\
         images:\n- {name: registry.example.com/team/app-1, newTag: v2}\n- {name: registry.example.com/team/app-2, newName: mirror/app-2}\npatches:\n",
    );
    for patch in 0..30 {
        let _ = write!(
            overlay,
            "- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: app-{}}}\n    spec:\n      replicas: {patch}\n      \
             template:\n        spec:\n          containers:\n          - name: c3\n            env:\n            - {{name: LOG_LEVEL, value: debug}}\n",
            patch * count / 30
        );
    }
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder)).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("base/kustomization.yaml", "resources: [all.yaml]\n");
    write("base/all.yaml", &base.join("---\n"));
    write("overlay/kustomization.yaml", &overlay);
    folder.join("overlay")
}

/// A Deployment of eight containers.
pub(crate) fn deployment(number: usize) -> String {
    let mut text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{number}\n  labels:\n    app: app-{number}\nspec:\n  replicas: 3\n  \
         selector:\n    matchLabels:\n      app: app-{number}\n  template:\n    metadata:\n      labels:\n        app: app-{number}\n    \
         spec:\n      containers:\n"
    );
    for container in 0..8 {
        let _ = write!(
            text,
            "      - name: c{container}\n        image: registry.example.com/team/app-{container}:v1.{number}\n        \
             args: [\"--listen=:808{container}\", \"--verbose\"]\n        env:\n        - name: LOG_LEVEL\n          value: \"info\"\n        \
             - name: PASSWORD\n          valueFrom:\n            secretKeyRef:\n              name: database-{container}\n              \
             key: password\n        ports:\n        - containerPort: 808{container}\n          protocol: TCP\n        resources:\n          \
             limits:\n            cpu: 500m\n            memory: 128Mi\n          requests:\n            cpu: 100m\n            memory: 64Mi\n        \
             readinessProbe:\n          httpGet:\n            path: /healthz\n            port: 808{container}\n          periodSeconds: 10\n"
        );
    }
    text
}

/// A build of the corpus and the size of its output.
struct Case {
    folder: PathBuf,
    size: u64,
}

/// The case in the middle by the size of its output.
fn median_case(corpus: &Path) -> Option<Input> {
    let mut cases = cases(&corpus.join("kustomize"));
    cases.sort_by_key(|case| case.size);
    let middle = cases.len() / 2;
    let case = cases.into_iter().nth(middle)?;
    Some(Input::new(
        format!("the corpus's median case, {} bytes", case.size),
        case.folder,
    ))
}

fn largest_roots(corpus: &Path) -> Vec<Input> {
    let mut cases = cases(&corpus.join("repos"));
    cases.sort_by_key(|case| std::cmp::Reverse(case.size));
    let name = |case: &Case| {
        let parts: Vec<_> = case
            .folder
            .iter()
            .rev()
            .take(2)
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        format!("{}/{}, {} KB", parts[1], parts[0], case.size / 1000)
    };
    cases
        .into_iter()
        .take(10)
        .map(|case| Input::new(name(&case), case.folder.clone()))
        .collect()
}

/// The builds without flags that come out well.
fn cases(suite: &Path) -> Vec<Case> {
    let mut found = Vec::new();
    for folder in fs::read_dir(suite).into_iter().flatten().flatten() {
        let folder = folder.path();
        let Ok(text) = fs::read_to_string(folder.join("case.json")) else {
            continue;
        };
        let Ok(case) = serde_json::from_str::<serde_json::Value>(&text) else {
            continue;
        };
        let roots = match case["roots"].as_array() {
            Some(roots) => roots.clone(),
            None => vec![case],
        };
        for root in roots {
            let (Some(path), Some(expected)) = (root["root"].as_str(), root["expected"].as_str())
            else {
                continue;
            };
            if root["kind"] != "ok" || !root["options"].is_null() {
                continue;
            }
            let size = fs::metadata(folder.join(expected)).map_or(0, |file| file.len());
            found.push(Case {
                folder: folder.join("input").join(path),
                size,
            });
        }
    }
    found
}
