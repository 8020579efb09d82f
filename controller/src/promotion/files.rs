//! Which files never travel: secrets, what belongs to an environment, policy, links.

use std::collections::BTreeSet;

use overlay::path::{clean, is_within};
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{EntryKind, Tree, TreeError};

use super::policy::{Policy, matches_file};
use super::scope::Scope;
use crate::environments::Graph;

/// Names of files that never travel, and why.
const NAMES: [(&str, &str); 9] = [
    ("env-config*", "settings of an environment"),
    ("*.env.yaml", "settings of an environment"),
    ("secrets*", "secrets"),
    (".sops.yaml", "a policy"),
    ("CODEOWNERS", "a policy"),
    ("OWNERS", "a policy"),
    ("OWNERS_ALIASES", "a policy"),
    ("weir.yaml", "a policy"),
    (".weir*", "a policy"),
];

/// What tells files that travel from those that stay.
pub struct Stays<'a> {
    policy: &'a Policy,
    /// ConfigMaps and Secrets that Kustomizations take variables from.
    variables: BTreeSet<(String, String)>,
    /// The files that generators of Secrets and of variables read, wherever those stand.
    inputs: BTreeSet<String>,
    /// The folders that only the source has: entries that lead there never travel.
    pub home: Vec<String>,
}

impl<'a> Stays<'a> {
    /// Reads from the Kustomizations of all environments which ConfigMaps are sources of variables, and from all
    /// kustomization files what the generators of such and of Secrets read.
    pub fn new(
        policy: &'a Policy,
        graph: &Graph,
        tree: &dyn Tree,
        scope: &Scope,
    ) -> Result<Self, TreeError> {
        let leaves = graph
            .environments
            .iter()
            .flat_map(|environment| &environment.leaves);
        let sources = leaves
            .filter_map(|leaf| leaf.spec.post_build.as_ref())
            .flat_map(|post_build| post_build.substitute_from.iter());
        let variables: BTreeSet<(String, String)> = sources
            .map(|source| (source.kind.to_string(), source.name.clone()))
            .collect();
        let mut inputs = BTreeSet::new();
        for (folder, kustomization) in &graph.folders.by_path {
            inputs.extend(closed_inputs(
                tree,
                folder,
                &kustomization.file,
                &variables,
            )?);
        }
        Ok(Self {
            policy,
            home: home(graph, &scope.from.folders(tree)?, &scope.to.folders(tree)?),
            variables,
            inputs,
        })
    }

    /// The places in a kustomization file that never travel: what generators of variables are given there. What those of
    /// Secrets are given never travels anyway.
    pub fn closed_places(&self, path: &str) -> Vec<String> {
        let maps = self
            .variables
            .iter()
            .filter(|(kind, _)| kind == "ConfigMap");
        let maps = maps.filter(|_| is_kustomization(path));
        maps.map(|(_, name)| format!("configMapGenerator[{name}].literals"))
            .collect()
    }

    /// Why a file never travels; nothing for one that does, or that is not there.
    pub fn why(&self, tree: &dyn Tree, path: &str) -> Result<Option<&'static str>, TreeError> {
        let name = overlay::path::base(path);
        match tree.kind(path)? {
            Some(EntryKind::File) => {}
            Some(EntryKind::Link) => return Ok(Some("a link")),
            Some(EntryKind::Submodule) => return Ok(Some("a submodule")),
            _ => return Ok(None),
        }
        if let Some((_, why)) = NAMES.iter().find(|(glob, _)| matches_file(glob, name)) {
            return Ok(Some(why));
        }
        if self.inputs.contains(path) {
            return Ok(Some("input of a generator of secrets or variables"));
        }
        if self.policy.keeps_file(path) {
            return Ok(Some("weir.yaml says so"));
        }
        let bytes = tree.read(path)?;
        if sops::is_encrypted(&bytes, sops::Format::of(name, &bytes)) {
            return Ok(Some("encrypted"));
        }
        let documents = read_documents(&bytes, 0, Dialect::Kustomize).unwrap_or_default();
        Ok(documents
            .iter()
            .find_map(|document| self.why_document(document)))
    }

    fn why_document(&self, document: &Node) -> Option<&'static str> {
        let kind = document.find_str(&["kind"])?;
        let name = document.find_str(&["metadata", "name"]).unwrap_or_default();
        match kind {
            "Secret" => return Some("a Secret"),
            "SecretGenerator" => return Some("a generator of a Secret"),
            _ => {}
        }
        if kind.ends_with("List") {
            let items = document.get("items").and_then(Node::as_sequence);
            let mut items = items.unwrap_or_default().iter();
            return items.find_map(|item| self.why_document(item));
        }
        let is_source = self.variables.contains(&(kind.to_owned(), name.to_owned()));
        is_source.then_some("variables of a cluster")
    }
}

/// The files that a kustomization file's generators of Secrets and of variables read.
fn closed_inputs(
    tree: &dyn Tree,
    folder: &str,
    file: &str,
    variables: &BTreeSet<(String, String)>,
) -> Result<BTreeSet<String>, TreeError> {
    let bytes = tree.read(file)?;
    // Most say nothing of the kind, and need not be parsed.
    let names = [b"Generator", b"generator"];
    if !bytes
        .windows(9)
        .any(|window| names.iter().any(|name| window == *name))
    {
        return Ok(BTreeSet::new());
    }
    let documents = read_documents(&bytes, 0, Dialect::Kustomize).unwrap_or_default();
    let generators = |field: &'static str| {
        let lists = documents
            .iter()
            .filter_map(move |document| document.get(field)?.as_sequence());
        lists.flatten()
    };
    let makes_variables = |generator: &&Node| {
        let name = generator.find_str(&["name"]).unwrap_or_default();
        variables.contains(&("ConfigMap".to_owned(), name.to_owned()))
    };
    let closed = generators("configMapGenerator").filter(makes_variables);
    let closed = generators("secretGenerator").chain(closed);
    let written = generator_files(tree, folder, generators("generators"))?;
    let paths = closed.chain(&written).flat_map(inputs);
    Ok(paths.filter_map(|path| clean(folder, path)).collect())
}

/// The generators of Secrets that are written in files of their own, or as texts in the list.
fn generator_files<'a>(
    tree: &dyn Tree,
    folder: &str,
    entries: impl Iterator<Item = &'a Node>,
) -> Result<Vec<Node>, TreeError> {
    let mut found = Vec::new();
    for entry in entries.filter_map(Node::as_str) {
        let file = clean(folder, entry).filter(|_| !entry.contains('\n'));
        let bytes = match file {
            Some(file) if tree.kind(&file)? == Some(EntryKind::File) => tree.read(&file)?,
            _ => entry.as_bytes().into(),
        };
        let documents = read_documents(&bytes, 0, Dialect::Kustomize).unwrap_or_default();
        let is_secret = |document: &Node| document.find_str(&["kind"]) == Some("SecretGenerator");
        found.extend(documents.into_iter().filter(is_secret));
    }
    Ok(found)
}

fn inputs(generator: &Node) -> impl Iterator<Item = &str> {
    let lists = ["files", "envs"].map(|key| {
        generator
            .get(key)
            .and_then(Node::as_sequence)
            .unwrap_or_default()
    });
    let single = generator.get("env").and_then(Node::as_str);
    let listed = lists.into_iter().flatten().filter_map(Node::as_str);
    listed
        .chain(single)
        .map(|input| input.split_once('=').map_or(input, |(_, path)| path))
}

/// Whether a path is that of a kustomization file.
pub fn is_kustomization(path: &str) -> bool {
    let name = overlay::path::base(path);
    ["kustomization.yaml", "kustomization.yml", "Kustomization"].contains(&name)
}

/// The folders that only the source has, by which entries of kustomization files lead back to it: those of its stage, and
/// those of the environments that reach it and not the target.
fn home(graph: &Graph, from: &[String], to: &[String]) -> Vec<String> {
    let reaches = |folder: &str, stage: &[String]| {
        let closure = graph.folders.closure(folder);
        let is_in = |path: &str| stage.iter().any(|folder| is_within(path, folder));
        closure.into_iter().any(is_in)
    };
    let folders = graph.folders.by_path.keys();
    let (targets, others): (Vec<&String>, Vec<&String>) = folders
        .filter(|folder| folder.starts_with(ENVIRONMENTS))
        .partition(|folder| reaches(folder, to));
    let sources = others.into_iter().filter(|folder| reaches(folder, from));
    let environments = sources.map(|folder| environment(folder, &targets).to_owned());
    from.iter().cloned().chain(environments).collect()
}

/// Where environments have their folders.
const ENVIRONMENTS: &str = "envs/";

/// The folder of the environment that a folder belongs to: the outermost one in which nothing is the target's.
fn environment<'a>(folder: &'a str, targets: &[&String]) -> &'a str {
    let ends = folder.match_indices('/').map(|(end, _)| &folder[..end]);
    let mut around = ends.filter(|around| around.starts_with(ENVIRONMENTS));
    let is_own = |around: &&str| !targets.iter().any(|target| is_within(target, around));
    around.find(is_own).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use overlay::MemTree;

    use super::*;
    use crate::environments::{Settings, graph};

    #[test]
    fn the_source_is_at_home_in_its_stage_and_in_the_folders_of_its_environments() {
        let mut tree = MemTree::new();
        for (folder, base) in [
            ("stages/staging", None),
            ("stages/prod", None),
            ("envs/staging/apps", Some("../../../stages/staging")),
            ("envs/shop/staging", Some("../../../stages/staging")),
            ("envs/shop/prod", Some("../../../stages/prod")),
            ("envs/both", Some("../../stages/staging, ../../stages/prod")),
            ("envs/_base", None),
        ] {
            let file = format!("resources: [{}]\n", base.unwrap_or_default());
            tree.insert(&format!("{folder}/kustomization.yaml"), file.into_bytes());
        }
        let graph = graph(&tree, &Settings::default()).expect("a graph");
        let folder = |name: &str| [name.to_owned()];
        let found = home(&graph, &folder("stages/staging"), &folder("stages/prod"));
        assert_eq!(
            found,
            ["stages/staging", "envs/shop/staging", "envs/staging"]
        );
    }
}
