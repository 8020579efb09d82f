//! References to what never travels: the target must have its own.

use std::collections::BTreeSet;

use overlay::Tree;
use overlay::path::clean;
use overlay::yaml::{Node, Value};

use super::file::Fate;
use super::files::is_kustomization;
use super::prepare::{FileChange, PrepareError, read};

/// Refuses kustomization files that would name what is not there.
pub(super) fn check_references(
    tree: &dyn Tree,
    files: &[FileChange],
    stay: &[(String, &'static str)],
) -> Result<(), PrepareError> {
    for file in files.iter().filter(|file| is_kustomization(&file.target)) {
        let Fate::Written(bytes) = &file.outcome.fate else {
            continue;
        };
        let folder = file
            .target
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let documents = documents(bytes);
        if let Some(generator) = without_literals(tree, file, &documents)? {
            return Err(PrepareError::Literals {
                file: file.target.clone(),
                generator,
            });
        }
        if let Some(generator) = written_in_place(tree, file, &documents)? {
            return Err(PrepareError::InPlace {
                file: file.target.clone(),
                generator,
            });
        }
        let mut texts = Vec::new();
        documents
            .iter()
            .for_each(|document| collect(document, &mut texts));
        for text in texts {
            let Some(path) = clean(folder, &text) else {
                continue;
            };
            let kept = stay.iter().find(|(kept, _)| *kept == path);
            if let Some((_, why)) = kept.filter(|_| matches!(tree.kind(&path), Ok(None))) {
                return Err(PrepareError::Reference {
                    file: file.target.clone(),
                    missing: path,
                    why,
                });
            }
        }
    }
    Ok(())
}

fn documents(bytes: &[u8]) -> Vec<Node> {
    overlay::yaml::read_documents(bytes, 0, Default::default()).unwrap_or_default()
}

/// A generator of a Secret that comes with the file, and is given in place what stays behind.
fn without_literals(
    tree: &dyn Tree,
    file: &FileChange,
    after: &[Node],
) -> Result<Option<String>, PrepareError> {
    let [source, target] = [&file.source, &file.target].map(|path| read(tree, path));
    let [source, target] = [source?, target?].map(|bytes| documents(&bytes.unwrap_or_default()));
    let had: BTreeSet<&str> = generators(&target).filter_map(name).collect();
    let has: BTreeSet<&str> = generators(after).filter_map(name).collect();
    let mut given = generators(&source).filter(|generator| generator.get("literals").is_some());
    let found = given.find_map(|generator| {
        let name = name(generator)?;
        (has.contains(name) && !had.contains(name)).then(|| name.to_owned())
    });
    Ok(found)
}

/// A generator of a Secret that stands as a text in the list of generators, and that the target has not got so.
fn written_in_place(
    tree: &dyn Tree,
    file: &FileChange,
    after: &[Node],
) -> Result<Option<String>, PrepareError> {
    let before = documents(&read(tree, &file.target)?.unwrap_or_default());
    let had: BTreeSet<&str> = texts_of_generators(&before).collect();
    let new = texts_of_generators(after).filter(|text| !had.contains(text));
    let found = new
        .flat_map(|text| documents(text.as_bytes()))
        .find_map(|generator| {
            let is_secret = generator.find_str(&["kind"]) == Some("SecretGenerator");
            let name = generator
                .find_str(&["metadata", "name"])
                .unwrap_or_default();
            is_secret.then(|| name.to_owned())
        });
    Ok(found)
}

fn texts_of_generators(documents: &[Node]) -> impl Iterator<Item = &str> {
    let lists = documents
        .iter()
        .filter_map(|document| document.get("generators")?.as_sequence());
    lists.flatten().filter_map(Node::as_str)
}

fn generators(documents: &[Node]) -> impl Iterator<Item = &Node> {
    let lists = documents
        .iter()
        .filter_map(|document| document.get("secretGenerator")?.as_sequence());
    lists.flatten()
}

fn name(generator: &Node) -> Option<&str> {
    generator.find_str(&["name"])
}

/// All texts in a document; of `name=path` the path.
fn collect(node: &Node, texts: &mut Vec<String>) {
    match &node.value {
        Value::Scalar(scalar) => {
            let text = scalar.text.as_str();
            texts.push(
                text.split_once('=')
                    .map_or(text, |(_, path)| path)
                    .to_owned(),
            );
        }
        Value::Secret(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Mapping(mapping) => mapping.iter().for_each(|(_, value)| collect(value, texts)),
    }
}
