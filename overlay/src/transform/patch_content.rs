//! What the text of a patch holds: patches that look like their targets, or JSON 6902 operations.

use super::Setting;
use crate::build::Purpose;
use crate::decode::Text;
use crate::error::{Error, Errors};
use crate::load::Session;
use crate::manifest::manifests;
use crate::merge::json6902::{self, Operation};
use crate::resource::Resource;
use crate::yaml::{Dialect, Mark, Node, from_json};

/// What a patch's text holds.
pub(super) enum Content {
    /// Patches that look like their targets.
    Merge(Vec<Resource>),
    /// Operations on paths.
    Json(Vec<Operation>),
}

/// An entry of `patchesStrategicMerge`: the patch itself, or the path of one.
pub(super) fn read_path_or_inline(
    text: &Text,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Resource>, Errors> {
    let inline = parse_inline(text, Dialect::Kustomize, setting.session)
        .map_err(Errors::from)
        .and_then(|documents| manifests(&documents, &setting.session.files));
    match inline {
        Ok(patches) => Ok(patches),
        Err(error) if text.contains('\n') => Err(error),
        Err(_) => {
            let documents = setting
                .session
                .documents(setting.folder, text, Purpose::Patch)?;
            manifests(&documents, &setting.session.files)
        }
    }
}

pub(super) fn parse_inline(
    text: &Text,
    dialect: Dialect,
    session: &mut Session<'_>,
) -> Result<Vec<Node>, Error> {
    let path = session.files.place(text.mark).file;
    session.parse_inline(&path, text, dialect)
}

pub(super) fn read_inline(text: &Text, session: &mut Session<'_>) -> Result<Content, Errors> {
    let trimmed = Text {
        text: text.trim().into(),
        mark: text.mark,
    };
    if trimmed.starts_with('[') {
        return strict_json(&trimmed, text.mark);
    }
    let documents = parse_inline(&trimmed, Dialect::Kustomize, session);
    content_of(documents, session, |session| {
        parse_inline(&trimmed, Dialect::Kubernetes, session)
    })
}

pub(super) fn read_file(path: &Text, setting: &mut Setting<'_, '_>) -> Result<Content, Errors> {
    let session = &mut *setting.session;
    let real = session.file(setting.folder, path)?;
    let bytes = session.read_real(&real)?;
    if bytes.first() == Some(&b'[') {
        let text = String::from_utf8_lossy(&bytes);
        let mark = Mark {
            line: 1,
            column: 1,
            file: session.files.number(&real),
        };
        return strict_json(&text, mark);
    }
    let documents = session.documents(setting.folder, path, Purpose::Patch);
    let documents = documents.map(|documents| documents.to_vec());
    content_of(documents, session, |session| {
        session.parse(&real, &bytes, Dialect::Kubernetes)
    })
}

/// What documents are as a patch. kustomize reads operations by the rules of Kubernetes (`yes` is true), and
/// patches that look like their targets by its own; but there a key may be a number.
fn content_of(
    documents: Result<Vec<Node>, Error>,
    session: &mut Session<'_>,
    read_again: impl FnOnce(&mut Session<'_>) -> Result<Vec<Node>, Error>,
) -> Result<Content, Errors> {
    let documents = match documents {
        Ok(documents) if !is_list(&documents) => documents,
        Ok(documents) => match read_again(session) {
            Ok(again) if is_list(&again) => again,
            _ => documents,
        },
        Err(error) => read_again(session).map_err(|_| error)?,
    };
    match documents.first() {
        Some(operations) if is_list(&documents) => Ok(Content::Json(json6902::parse(operations)?)),
        _ => Ok(Content::Merge(manifests(&documents, &session.files)?)),
    }
}

/// A list that is not empty makes a JSON patch.
fn is_list(documents: &[Node]) -> bool {
    documents.first().is_some_and(has_items)
}

/// An empty list is no patch at all.
fn has_items(node: &Node) -> bool {
    node.as_sequence().is_some_and(|items| !items.is_empty())
}

/// A text that begins with `[` is JSON, and no YAML that looks like it.
fn strict_json(text: &str, mark: Mark) -> Result<Content, Errors> {
    let json = serde_json::from_str(text).map_err(|error| {
        Error::new(format!("the JSON patch is no JSON: {error}"))
            .at_mark(mark)
            .hint("a patch that begins with `[` must be JSON; write it as YAML with one `- op: …` a line")
    })?;
    let mut document = from_json(json);
    set_mark(&mut document, mark);
    if !has_items(&document) {
        return Ok(Content::Merge(Vec::new()));
    }
    Ok(Content::Json(json6902::parse(&document)?))
}

fn set_mark(node: &mut Node, mark: Mark) {
    node.mark = mark;
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(|item| set_mark(item, mark));
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping
            .iter_mut()
            .for_each(|(_, value)| set_mark(value, mark));
    }
}
