//! How a repository is laid out: what a new one begins with, and what an old one lacks. Computed here, written by `cli`.
//!
//! Nothing that is there is changed, but for the list of files that Git ignores.

mod templates;

use overlay::path::is_within;
use overlay::{EntryKind, Tree, TreeError};

use crate::environments::{Environment, Graph, Kind};
use crate::promotion::overlaid::Changes;

use templates::{CLUSTER, DECRYPTION, ENVIRONMENT, PLATFORM, STAGE, Template};

/// The file of patterns that Git ignores, and the pattern for private keys.
const IGNORED: (&str, &str) = (".gitignore", "*.agekey");

/// An environment that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub environment: String,
    /// The stage that it extends.
    pub stage: String,
}

/// An environment, and the folder that its cluster builds.
struct Place {
    name: String,
    path: String,
}

/// The files that a repository lacks. A new one is laid out for the wishes; of an old one, every environment that no
/// cluster brings gets a cluster.
pub fn missing(
    tree: &dyn Tree,
    graph: &Graph,
    wishes: &[Wish],
    recipient: Option<&str>,
) -> Result<Changes, TreeError> {
    let mut changes = Changes::new();
    add(tree, &mut changes, &templates::POLICY, &[])?;
    ignore_keys(tree, &mut changes)?;
    if let Some(recipient) = recipient {
        add(
            tree,
            &mut changes,
            &templates::RULES,
            &[("RECIPIENT", recipient)],
        )?;
    }
    let mut places: Vec<Place> = graph
        .environments
        .iter()
        .filter_map(without_cluster)
        .collect();
    for Wish { environment, stage } in wishes {
        let values = [
            ("ENVIRONMENT", environment.as_str()),
            ("STAGE", stage.as_str()),
        ];
        add_folder(tree, &mut changes, &STAGE, &values)?;
        let path = format!("envs/{environment}");
        add_folder(tree, &mut changes, &ENVIRONMENT, &values)?;
        if !places.iter().any(|place| place.path == path) && !is_reached(graph, &path) {
            places.push(Place {
                name: environment.clone(),
                path,
            });
        }
    }
    let has_rules = recipient.is_some() || tree.kind(sops::RULES_FILE)?.is_some();
    let decryption = if has_rules { DECRYPTION } else { "" };
    for Place { name, path } in &places {
        // From the platform's folder up to that of all clusters.
        let up = "../".repeat(name.split('/').count() + 1);
        let values = [
            ("ENVIRONMENT", name.as_str()),
            ("PATH", path.as_str()),
            ("UP", up.as_str()),
            ("DECRYPTION", decryption),
        ];
        add_folder(tree, &mut changes, &CLUSTER, &values)?;
    }
    if !places.is_empty() {
        for template in &PLATFORM {
            add(tree, &mut changes, template, &[])?;
        }
    }
    Ok(changes)
}

/// Where an environment lies that no cluster brings. A folder that brings Kustomizations is a cluster's own.
fn without_cluster(environment: &Environment) -> Option<Place> {
    let is_alone = environment.kind != Kind::Cluster && environment.leaves.len() == 1;
    let is_place = !environment.path.is_empty() && !is_within(&environment.path, "stages");
    (is_alone && is_place).then(|| Place {
        name: environment.name.clone(),
        path: environment.path.clone(),
    })
}

fn is_reached(graph: &Graph, path: &str) -> bool {
    let leaves = graph
        .environments
        .iter()
        .flat_map(|environment| &environment.leaves);
    leaves.into_iter().any(|leaf| leaf.path == path)
}

/// Adds the files of a folder that is not there yet.
fn add_folder(
    tree: &dyn Tree,
    changes: &mut Changes,
    templates: &[Template],
    values: &[(&str, &str)],
) -> Result<(), TreeError> {
    let Some((first, _)) = templates.first() else {
        return Ok(());
    };
    let path = filled(first, values);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if tree.kind(folder)?.is_some() {
        return Ok(());
    }
    templates
        .iter()
        .try_for_each(|template| add(tree, changes, template, values))
}

fn add(
    tree: &dyn Tree,
    changes: &mut Changes,
    (path, text): &Template,
    values: &[(&str, &str)],
) -> Result<(), TreeError> {
    let path = filled(path, values);
    if tree.kind(&path)?.is_none() {
        changes.insert(path, Some(filled(text, values).into_bytes()));
    }
    Ok(())
}

fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let fill =
        |text: String, (name, value): &(&str, &str)| text.replace(&format!("<{name}>"), value);
    values.iter().fold(text.to_owned(), fill)
}

/// Private keys are kept out of the repository.
fn ignore_keys(tree: &dyn Tree, changes: &mut Changes) -> Result<(), TreeError> {
    let (path, pattern) = IGNORED;
    let mut text = match tree.kind(path)? {
        Some(EntryKind::File) => String::from_utf8_lossy(&tree.read(path)?).into_owned(),
        Some(_) => return Ok(()),
        None => String::new(),
    };
    if text.lines().any(|line| line.trim() == pattern) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(pattern);
    text.push('\n');
    changes.insert(path.to_owned(), Some(text.into_bytes()));
    Ok(())
}
