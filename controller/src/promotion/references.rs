//! References to files that never travel: the target must have its own.

use overlay::Tree;
use overlay::path::clean;
use overlay::yaml::{Node, Value};

use super::file::Fate;
use super::files::is_kustomization;

use super::prepare::{FileChange, PrepareError};

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
        let documents =
            overlay::yaml::read_documents(bytes, 0, Default::default()).unwrap_or_default();
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
