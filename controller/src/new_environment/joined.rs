//! The Kustomizations of a new environment on the cluster of its model: beside the model's, in its form.

use std::collections::BTreeMap;

use overlay::path::base;
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{EntryKind, Tree, TreeError};

use super::platform::{Platform, Written};
use super::renamed::{renamed, words_replaced};
use super::{DraftError, Request, documents, listing};
use crate::promotion::overlaid::Changes;

/// The files of the cluster with what brings the new environment: a file of its own where the model has one that is
/// called after it, else documents more in the model's.
pub(super) fn joined(
    tree: &dyn Tree,
    request: &Request<'_>,
    platform: &Platform,
) -> Result<Changes, DraftError> {
    let mut files: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for written in &platform.own {
        let lines = files.entry(written.file.as_str()).or_default();
        lines.push(written.line);
    }
    let mut changes = Changes::new();
    for (file, lines) in files {
        let bytes = tree.read(file)?;
        let text = String::from_utf8_lossy(&bytes);
        let new = made(tree, file, &text, &lines, &platform.own, request)?;
        let other = called(file, platform, request);
        let is_models_alone = documents::without(&text, &lines).is_none();
        let list = match is_models_alone && other != file && tree.kind(&other)?.is_none() {
            true => listed(tree, file, &other)?,
            false => None,
        };
        match list {
            Some(list) => {
                changes.extend(list);
                changes.insert(other, Some(new.into_bytes()));
            }
            None => {
                let gap = if text.ends_with('\n') { "" } else { "\n" };
                let text = format!("{text}{gap}---\n{new}");
                changes.insert(file.to_owned(), Some(text.into_bytes()));
            }
        }
    }
    Ok(changes)
}

/// What makes the folder of a file take in another one; nothing when it would not.
fn listed(tree: &dyn Tree, file: &str, new: &str) -> Result<Option<Changes>, TreeError> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    for list in listing::files_of(folder) {
        if tree.kind(&list)? == Some(EntryKind::File) {
            let bytes = tree.read(&list)?;
            let text = String::from_utf8_lossy(&bytes);
            let text = listing::with(&text, base(file), base(new));
            return Ok(text.map(|text| Changes::from([(list, Some(text.into_bytes()))])));
        }
    }
    // A folder without a list takes in every file.
    Ok(Some(Changes::new()))
}

/// The file of the cluster that is called after the new environment; the cluster's folder may be called after the model.
fn called(file: &str, platform: &Platform, request: &Request<'_>) -> String {
    let rest = file.strip_prefix(&platform.path).unwrap_or(file);
    let folder = &file[..file.len() - rest.len()];
    format!(
        "{folder}{}",
        words_replaced(rest, &request.model.name, request.name)
    )
}

/// The model's documents for the new environment, each under a name of its own.
fn made(
    tree: &dyn Tree,
    file: &str,
    text: &str,
    lines: &[u32],
    own: &[Written],
    request: &Request<'_>,
) -> Result<String, TreeError> {
    let mut made = Vec::new();
    for document in documents::only(text, lines) {
        let document = renamed(tree, request, file, &document)?;
        made.push(with_own_names(document, own, base(request.name)));
    }
    Ok(made.join("---\n"))
}

/// Names that the new ones would share with the model's get another ending, in `dependsOn` too.
fn with_own_names(mut text: String, own: &[Written], ending: &str) -> String {
    let Ok(documents) = read_documents(text.as_bytes(), 0, Dialect::Kustomize) else {
        return text;
    };
    let mut names: Vec<&Node> = Vec::new();
    for document in &documents {
        names.extend(document.find(&["metadata", "name"]));
        let others = document.find(&["spec", "dependsOn"]);
        let others = others.and_then(Node::as_sequence).unwrap_or_default();
        names.extend(others.iter().filter_map(|other| other.get("name")));
    }
    names.sort_by_key(|name| (name.mark.line, name.mark.column));
    // From the end on, so that the places of the others stay right.
    for node in names.into_iter().rev() {
        let name = node.as_str().unwrap_or_default();
        let is_taken = own.iter().any(|written| written.name == name);
        if let Some(at) = listing::offset(&text, node.mark).filter(|_| is_taken) {
            let behind = text[at..].find(name).map(|found| at + found + name.len());
            if let Some(behind) = behind {
                text.insert_str(behind, &format!("-{ending}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_another_ending() {
        let written = |name: &str| Written {
            file: "apps.yaml".to_owned(),
            line: 1,
            name: name.to_owned(),
        };
        let text =
            "metadata: {name: \"shop\"}\nspec:\n  dependsOn:\n  - name: base\n  - name: shop-db\n";
        assert_eq!(
            with_own_names(
                text.to_owned(),
                &[written("shop"), written("shop-db")],
                "staging"
            ),
            "metadata: {name: \"shop-staging\"}\nspec:\n  dependsOn:\n  - name: base\n  - name: shop-db-staging\n"
        );
        assert_eq!(with_own_names("[".to_owned(), &[written("shop")], "x"), "[");
    }
}
