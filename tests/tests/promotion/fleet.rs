//! A repository with two stages and three environments, and Weir in its folder.

use std::fs;
use std::path::Path;

use weir_tests::{Repository, Weir};

/// What the program says, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Fails unless it ended so.
    pub(crate) fn with(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

/// Runs `weir` in a folder.
pub(crate) fn weir(folder: &Path, arguments: &[&str]) -> Said {
    let output = Weir::command()
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_SSL_CAINFO")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs `weir promote` in a repository.
pub(crate) fn promote(work: &Repository, arguments: &[&str]) -> Said {
    let all: Vec<&str> = std::iter::once("promote")
        .chain(arguments.iter().copied())
        .collect();
    weir(work.path(), &all)
}

/// A repository in which both stages have the same shop, in one commit.
pub(crate) fn fleet() -> Repository {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    fill(&work);
    work.commit("first");
    work
}

/// Somebody to commit as, and the files of two stages and three environments.
pub(crate) fn fill(work: &Repository) {
    work.git(&["config", "user.name", "Ada"]);
    work.git(&["config", "user.email", "ada@example.org"]);
    for stage in ["staging", "prod"] {
        work.write(
            &format!("stages/{stage}/kustomization.yaml"),
            "resources:\n- shop\n",
        )
        .write(
            &format!("stages/{stage}/shop/kustomization.yaml"),
            "resources:\n- helm.yaml\n- app-config.yaml\n",
        )
        .write(&format!("stages/{stage}/shop/helm.yaml"), HELM)
        .write(&format!("stages/{stage}/shop/app-config.yaml"), CONFIG);
    }
    for (environment, stage, region) in [
        ("staging", "staging", "eu-west-1"),
        ("prod-eu", "prod", "eu-central-1"),
        ("prod-us", "prod", "us-east-1"),
    ] {
        let config = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: env-config\ndata:\n  REGION: {region}\n  HOST: \
             {environment}.example.com\n"
        );
        let file = format!("resources:\n- ../../stages/{stage}\n- env-config.yaml\n");
        work.write(&format!("envs/{environment}/kustomization.yaml"), file)
            .write(&format!("envs/{environment}/env-config.yaml"), config);
    }
}

pub(crate) const HELM: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: shop
spec:
  interval: 10m
  chart:
    spec:
      chart: shop
      version: 1.0.0
  values:
    replicas: 2
    image:
      tag: v1
";

pub(crate) const CONFIG: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: shop-config
data:
  LOG_LEVEL: info
  shop.properties: |
    checkout.steps=2
    cache=off
";

/// Replaces a text in a file of the work tree.
pub(crate) fn edit(work: &Repository, path: &str, old: &str, new: &str) {
    let text = read(work, path);
    assert!(text.contains(old), "{path} has no {old:?}:\n{text}");
    work.write(path, text.replace(old, new));
}

/// A file of the work tree.
pub(crate) fn read(work: &Repository, path: &str) -> String {
    fs::read_to_string(work.path().join(path)).unwrap()
}

/// Whether a file is in the work tree.
pub(crate) fn exists(work: &Repository, path: &str) -> bool {
    work.path().join(path).exists()
}

pub(crate) const STAGING: &str = "stages/staging/shop/helm.yaml";
pub(crate) const PROD: &str = "stages/prod/shop/helm.yaml";
