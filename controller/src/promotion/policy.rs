//! `weir.yaml`, the file at the root of a repository that says what is promoted how.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use overlay::yaml::{Dialect, Node, Secrets, read_documents, to_json};
use overlay::{Tree, TreeError};
use regex::Regex;
use serde::Deserialize;

use super::merge::Rules;
use super::route::{Edge, Publisher, Publishing, Routes, StageRules};
use crate::api::duration;

/// The file's name.
pub const FILE: &str = "weir.yaml";

/// What stands for the stage's name in the globs of apps.
const STAGE: &str = "{stage}";

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Apps whose files do not lie in one folder: globs with `{stage}` in them, by the app's name.
    pub apps: BTreeMap<String, Vec<String>>,
    /// What promotions do.
    pub promote: Promote,
    /// Times in which nothing is promoted.
    pub freezes: Vec<Freeze>,
    /// What `weir lint` does not tell.
    pub lint: crate::lint::policy::Policy,
    /// Environments that publish what they run, by name.
    pub environments: BTreeMap<String, Publisher>,
    /// Public keys of people, by name.
    pub people: BTreeMap<String, String>,
    /// Names for several environments.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Ways that versions take by themselves.
    pub edges: Vec<Edge>,
    /// What holds for single stages.
    pub stages: BTreeMap<String, StageRules>,
    /// How often environments say what they run.
    pub publish: Publishing,
}

/// What promotions do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Promote {
    /// Files, and fields of files, that never travel: `**/ingress.yaml`, `*.yaml:spec.replicas`.
    pub never: Vec<String>,
    /// How long the source must have run what is promoted, where its cluster is asked: `1h30m`.
    pub soak: Option<String>,
}

/// A time in which nothing is promoted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What people call it.
    pub name: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
    /// The stages that it holds for; all when none is named.
    #[serde(default)]
    pub stages: Vec<String>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The tree does not give it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It says something else than it may.
    #[error("weir.yaml: {0}")]
    Content(String),
    /// It says so on a line.
    #[error("weir.yaml:{line}: {problem}")]
    Line {
        /// The line.
        line: u32,
        /// What is wrong there.
        problem: String,
    },
}

/// Reads the file at the root of a tree; without one nothing special holds.
pub fn read(tree: &dyn Tree) -> Result<Policy, PolicyError> {
    if tree.kind(FILE)?.is_none() {
        return Ok(Policy::default());
    }
    let bytes = tree.read(FILE)?;
    let documents = read_documents(&bytes, 0, Dialect::Kustomize)
        .map_err(|error| PolicyError::Content(error.to_string()))?;
    let Some(document) = documents.first() else {
        return Ok(Policy::default());
    };
    let policy: Policy = serde_json::from_value(to_json(document, Secrets::Masked))
        .map_err(|error| PolicyError::Content(error.to_string()))?;
    if let Some(soak) = policy
        .promote
        .soak
        .as_ref()
        .filter(|soak| duration::parse(soak).is_none())
    {
        return Err(PolicyError::Content(format!(
            "soak: {soak:?} is no duration"
        )));
    }
    if let Some(mistake) = policy.lint.mistake() {
        return Err(PolicyError::Content(mistake));
    }
    if let Some(name) = policy.apps.keys().find(|name| !is_name(name)) {
        let problem = format!("{name:?} is no name for an app");
        return Err(PolicyError::Content(problem));
    }
    if let Some(mistake) = without_stage(document) {
        return Err(mistake);
    }
    if let Some(name) = policy.environments.keys().find(|name| !is_name(name)) {
        let problem = format!("{name:?} is no name for an environment that publishes");
        return Err(PolicyError::Content(problem));
    }
    match policy.routes().problem() {
        Some(problem) => Err(PolicyError::Content(problem)),
        None => Ok(policy),
    }
}

/// A glob of an app that is the same for all stages: nothing could be promoted by it.
fn without_stage(document: &Node) -> Option<PolicyError> {
    let apps = document.get("apps").and_then(Node::as_mapping)?;
    apps.iter().find_map(|(app, globs)| {
        let mut globs = globs.as_sequence()?.iter();
        let glob = globs.find(|glob| !glob.as_str().is_some_and(|glob| glob.contains(STAGE)))?;
        Some(PolicyError::Line {
            line: glob.mark.line,
            problem: format!(
                "the app {} has the glob {:?}, in which {STAGE} does not stand for the stage",
                app.text,
                glob.as_str().unwrap_or_default()
            ),
        })
    })
}

/// Names of apps become names of files, those of environments names of refs.
fn is_name(name: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_part)
}

impl Policy {
    /// Whether a whole file never travels.
    pub fn keeps_file(&self, path: &str) -> bool {
        let whole = self.promote.never.iter().filter(|rule| !rule.contains(':'));
        whole.into_iter().any(|glob| matches_file(glob, path))
    }

    /// The fields of a file that never travel.
    pub fn kept_fields(&self, path: &str) -> Vec<String> {
        let fields = self
            .promote
            .never
            .iter()
            .filter_map(|rule| rule.split_once(':'));
        fields
            .filter(|(glob, _)| matches_file(glob, path))
            .map(|(_, field)| field.to_owned())
            .collect()
    }

    /// The freeze that holds for a stage at a time.
    pub fn freeze(&self, stage: &str, now: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| {
            let is_meant =
                freeze.stages.is_empty() || freeze.stages.iter().any(|name| name == stage);
            is_meant && freeze.from <= now && now < freeze.to
        })
    }

    /// What it says of promotions that nobody starts.
    pub fn routes(&self) -> Routes<'_> {
        Routes {
            environments: &self.environments,
            people: &self.people,
            groups: &self.groups,
            edges: &self.edges,
            stages: &self.stages,
        }
    }

    /// How long the source must have run what is promoted.
    pub fn soak(&self) -> Duration {
        let soak = self.promote.soak.as_deref();
        soak.and_then(duration::parse).unwrap_or_default()
    }

    /// The rules of a merge into a file.
    pub fn rules(&self, path: &str, home: &[String]) -> Rules {
        Rules {
            never: self.kept_fields(path),
            folder: path
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder)
                .to_owned(),
            home: home.to_vec(),
            ..Rules::default()
        }
    }
}

/// A glob without `/` names files by their last part, any other the whole path.
pub fn matches_file(glob: &str, path: &str) -> bool {
    let subject = match glob.contains('/') {
        true => path,
        false => overlay::path::base(path),
    };
    expression(glob).is_some_and(|expression| expression.is_match(subject))
}

/// `*` within a name, `**` over folders, `?` one character.
fn expression(glob: &str) -> Option<Regex> {
    Regex::new(&format!("^{}$", pattern(glob))).ok()
}

fn pattern(glob: &str) -> String {
    regex::escape(glob)
        .replace(r"\*\*/", "(?:.*/)?")
        .replace(r"\*\*", ".*")
        .replace(r"\*", "[^/]*")
        .replace(r"\?", "[^/]")
}

/// The paths of one app's glob for a stage, and the same paths for another stage.
pub struct StageGlob {
    expression: Regex,
}

impl StageGlob {
    /// For a stage by its name; none where the glob is none.
    pub fn new(glob: &str, stage: &str) -> Option<Self> {
        let parts: Vec<String> = glob.split(STAGE).map(pattern).collect();
        let stage = format!("({})", regex::escape(stage));
        let expression = Regex::new(&format!("^{}$", parts.join(&stage))).ok()?;
        Some(Self { expression })
    }

    /// A path of the stage as it is called for another one; none for a path that is not the stage's.
    pub fn renamed(&self, path: &str, other: &str) -> Option<String> {
        let found = self.expression.captures(path)?;
        let mut renamed = String::new();
        let mut end = 0;
        for place in found.iter().skip(1).flatten() {
            renamed.push_str(&path[end..place.start()]);
            renamed.push_str(other);
            end = place.end();
        }
        renamed.push_str(&path[end..]);
        Some(renamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::MemTree;

    #[test]
    fn globs_name_files() {
        for (glob, path, want) in [
            ("*.yaml", "a/b/c.yaml", true),
            ("**/ingress.yaml", "a/b/ingress.yaml", true),
            ("**/ingress.yaml", "ingress.yaml", true),
            ("stages/*/x.yaml", "stages/prod/x.yaml", true),
            ("stages/*/x.yaml", "stages/prod/shop/x.yaml", false),
            ("stages/**", "stages/prod/shop/x.yaml", true),
            ("env-?.yaml", "a/env-1.yaml", true),
        ] {
            assert_eq!(matches_file(glob, path), want, "{glob} {path}");
        }
    }

    #[test]
    fn globs_of_apps_name_the_same_file_for_each_stage() {
        for (glob, path, want) in [
            (
                "values/{stage}/*.yaml",
                "values/staging/a.yaml",
                Some("values/prod/a.yaml"),
            ),
            (
                "values/{stage}.yaml",
                "values/staging.yaml",
                Some("values/prod.yaml"),
            ),
            ("{stage}/**", "staging/a/staging", Some("prod/a/staging")),
            (
                "{stage}/{stage}-*",
                "staging/staging-1",
                Some("prod/prod-1"),
            ),
            ("values/{stage}/*.yaml", "values/prod/a.yaml", None),
            ("values/{stage}/*.yaml", "values/staging/b/a.yaml", None),
            ("{stage}.yaml", "values/staging.yaml", None),
        ] {
            let glob = StageGlob::new(glob, "staging").expect(glob);
            assert_eq!(glob.renamed(path, "prod").as_deref(), want, "{path}");
        }
    }

    #[test]
    fn a_glob_of_an_app_that_names_no_stage_is_a_mistake_with_its_line() {
        let mut tree = MemTree::new();
        let text = "apps:\n  shop: ['stages/{stage}/shop/**']\n  search:\n  - 'values/{stage}/search.yaml'\n  - values/search.yaml\n";
        tree.insert(FILE, text.as_bytes());
        let error = read(&tree).expect_err("a mistake").to_string();
        assert_eq!(
            error,
            "weir.yaml:5: the app search has the glob \"values/search.yaml\", in which {stage} does not stand for the stage"
        );
    }

    #[test]
    fn the_file_is_read_and_its_mistakes_are_named() {
        let mut tree = MemTree::new();
        assert!(read(&tree).is_ok());
        let text = "promote:\n  never: ['*.yaml:spec.replicas', '**/x.yaml']\nfreezes:\n- {name: holidays, from: \
                    2026-12-20T00:00:00Z, to: 2027-01-03T00:00:00Z, stages: [prod]}\n";
        tree.insert(FILE, text.as_bytes());
        let policy = read(&tree).expect("a policy");
        assert_eq!(policy.kept_fields("a/helm.yaml"), ["spec.replicas"]);
        assert!(policy.keeps_file("a/x.yaml") && !policy.keeps_file("a/y.yaml"));
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(policy.freeze("prod", at("2026-12-24T00:00:00Z")).is_some());
        assert!(
            policy
                .freeze("staging", at("2026-12-24T00:00:00Z"))
                .is_none()
        );
        assert!(policy.freeze("prod", at("2027-01-03T00:00:00Z")).is_none());
        tree.insert(FILE, *b"promotte: {}\n");
        let error = read(&tree).expect_err("a mistake").to_string();
        assert!(error.contains("promotte"), "{error}");
        tree.insert(FILE, *b"apps: {'../../out': ['{stage}/x']}\n");
        let error = read(&tree).expect_err("a path").to_string();
        assert!(error.contains("is no name for an app"), "{error}");
    }
}
