//! Which files never travel: secrets, what belongs to an environment, policy, links.

use std::collections::BTreeSet;

use overlay::path::{clean, is_within};
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{EntryKind, Tree, TreeError};

use super::policy::{Policy, matches_file};
use crate::environments::Graph;

/// Names of files that never travel, and why.
const NAMES: [(&str, &str); 7] = [
    ("env-config*", "settings of an environment"),
    ("*.env.yaml", "settings of an environment"),
    ("secrets*", "secrets"),
    (".sops.yaml", "a policy"),
    ("CODEOWNERS", "a policy"),
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
}

impl<'a> Stays<'a> {
    /// Reads from the Kustomizations of all environments which ConfigMaps are sources of variables, and from all
    /// kustomization files what the generators of such and of Secrets read.
    pub fn new(policy: &'a Policy, graph: &Graph, tree: &dyn Tree) -> Result<Self, TreeError> {
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
            variables,
            inputs,
        })
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
        if kind == "Secret" {
            return Some("a Secret");
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
    if !bytes.windows(9).any(|window| window == b"Generator") {
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
    let paths = closed.flat_map(inputs);
    Ok(paths.filter_map(|path| clean(folder, path)).collect())
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

/// The folders that only the source has, by which entries of kustomization files lead back to it: the source's own, and
/// those of the environments that reach it and not the target.
pub fn home(graph: &Graph, from: &str, to: &str) -> Vec<String> {
    let reaches = |folder: &str, stage: &str| {
        let closure = graph.folders.closure(folder);
        closure.iter().any(|path| is_within(path, stage))
    };
    let environments = graph.folders.by_path.keys().filter(|folder| {
        folder.starts_with("envs/") && reaches(folder, from) && !reaches(folder, to)
    });
    std::iter::once(from.to_owned())
        .chain(environments.cloned())
        .collect()
}
