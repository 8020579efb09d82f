//! `weir build --kustomization FILE#NAME`: what the controller would make of one Kustomization.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anstream::eprintln;
use overlay::Tree;
use overlay::unknown::Marker;
use overlay::yaml::{Dialect, Node, Secrets, read_documents, to_json, write_documents};

use crate::api::kustomization::KustomizationSpec;
use crate::cli::Failure;
use crate::cli::fleet::{Fleet, unreadable};
use crate::cluster::redact::clean_names;
use crate::environments::{
    self, Environment, Graph, Leaf, LeafName, Outcome, alone, secrets_in, spelled_out,
};

/// Prints the objects of the Kustomization, variables put in, in the order in which it is built.
pub(super) fn print(
    fleet: &Fleet,
    revision: Option<&str>,
    wanted: &str,
    environment: Option<&str>,
) -> Result<(), Failure> {
    let (file, name) = wanted.rsplit_once('#').ok_or_else(|| {
        Failure::with_hint(
            format!("`{wanted}` names no Kustomization"),
            "write the file, `#` and the name: clusters/prod/apps.yaml#apps",
        )
    })?;
    let tree = fleet.open(revision)?;
    let settings = fleet.settings()?;
    let graph = environments::graph(tree.as_ref(), &settings).map_err(unreadable)?;
    if let Some(environment) = environment {
        known(&graph, environment)?;
    }
    let file = overlay::path::inside(file);
    let found: Vec<(&Environment, &Arc<Leaf>)> = graph
        .environments
        .iter()
        .filter(|it| environment.is_none_or(|wanted| it.name == wanted))
        .flat_map(|it| it.leaves.iter().map(move |leaf| (it, leaf)))
        .filter(|(_, leaf)| is_meant(leaf, &file, name))
        .collect();
    let text = match found.split_first() {
        Some(((place, leaf), others)) => {
            let text = text_of(leaf, &place.leaves, &settings.marker)?;
            for (place, other) in others {
                let is_same = Arc::ptr_eq(leaf, other);
                if !is_same && text_of(other, &place.leaves, &settings.marker)? != text {
                    return Err(ambiguous(name, &found));
                }
            }
            text
        }
        None => {
            let spec = spec_in(tree.as_ref(), &file, name)?;
            if let Some(environment) = environment {
                return Err(Failure::with_hint(
                    format!("environment {environment} brings no Kustomization {name} of {file}"),
                    "without `--environment` it is built as its file has it",
                ));
            }
            eprintln!("warning: no environment brings it: it is built as its file has it");
            let leaf = Arc::new(alone(tree.as_ref(), &settings, spec.0, spec.1));
            text_of(&leaf, std::slice::from_ref(&leaf), &settings.marker)?
        }
    };
    super::written(std::io::stdout().lock().write_all(text.as_bytes()))
}

/// Refuses the name of an environment that there is none of: what is built would not be what was asked for.
fn known(graph: &Graph, wanted: &str) -> Result<(), Failure> {
    let environments = graph.environments.iter();
    let names: Vec<&str> = environments.map(|it| it.name.as_str()).collect();
    match names.contains(&wanted) {
        true => Ok(()),
        false => Err(Failure::with_hint(
            format!("there is no environment {wanted}"),
            format!("there are {}", names.join(", ")),
        )),
    }
}

fn is_meant(leaf: &Leaf, file: &str, name: &str) -> bool {
    let is_written_there = leaf
        .place
        .as_ref()
        .is_some_and(|place| *place.file == *file);
    is_written_there && leaf.name.name == name
}

fn ambiguous(name: &str, found: &[(&Environment, &Arc<Leaf>)]) -> Failure {
    let names: Vec<&str> = found
        .iter()
        .map(|(environment, _)| environment.name.as_str())
        .collect();
    Failure::with_hint(
        format!(
            "Kustomization {name} is not the same in {}",
            names.join(", ")
        ),
        "choose one with `--environment`",
    )
}

/// What is secret in any Kustomization beside it is not shown: a variable may put it into a name.
fn text_of(leaf: &Leaf, beside: &[Arc<Leaf>], marker: &Marker) -> Result<String, Failure> {
    match &leaf.outcome {
        Outcome::Built(built) => {
            let redactor = secrets_in(beside.iter().flat_map(|leaf| leaf.objects()), marker);
            let objects = built.objects.iter();
            let nodes: Vec<Node> = objects
                .map(|object| clean_names(&spelled_out(object, marker), &redactor))
                .collect();
            Ok(write_documents(&nodes.iter().collect::<Vec<_>>()))
        }
        Outcome::External(repository) => Err(Failure::new(format!(
            "the files of Kustomization {} lie in another repository, {repository}",
            leaf.name
        ))),
        Outcome::Failed(problem) => Err(Failure::new(problem.as_str())),
    }
}

/// The Kustomization of a name in a file, as it stands there.
fn spec_in(
    tree: &dyn Tree,
    file: &str,
    name: &str,
) -> Result<(LeafName, KustomizationSpec), Failure> {
    let bytes = tree.read(file).map_err(unreadable)?;
    let documents = read_documents(&bytes, 0, Dialect::Kubernetes)
        .map_err(|error| Failure::new(format!("{}: {error}", Path::new(file).display())))?;
    let is_meant = |document: &&Node| {
        document.find_str(&["kind"]) == Some("Kustomization")
            && document.find_str(&["metadata", "name"]) == Some(name)
            && document.get("spec").is_some()
    };
    let found = documents.iter().find(is_meant);
    let Some(document) = found else {
        return Err(Failure::new(format!(
            "{file} holds no Kustomization `{name}`"
        )));
    };
    let spec = document
        .get("spec")
        .map(|spec| to_json(spec, Secrets::Masked));
    let spec = serde_json::from_value(spec.unwrap_or_default())
        .map_err(|error| Failure::new(format!("{file}: Kustomization {name}: {error}")))?;
    let namespace = document
        .find_str(&["metadata", "namespace"])
        .unwrap_or_default();
    let name = LeafName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Ok((name, spec))
}
