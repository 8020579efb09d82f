//! Objects that configure built-in generators, transformers and validators.

use crate::decode::Text;
use crate::error::Error;
use crate::load::{Folder, Session};
use crate::manifest;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::yaml::{Dialect, Node};

/// The API version of built-in ones.
const BUILTIN: &str = "builtin";

/// The label that validators may set.
const VALIDATED_BY: &str = "validated-by";

/// The objects that an entry holds itself; none when it is a path.
pub(crate) fn inline(
    entry: &Text,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Option<Resources> {
    let path = session
        .files
        .path(entry.mark)
        .unwrap_or_else(|| folder.path.as_str().into());
    let documents = session
        .parse_inline(&path, entry, Dialect::Kustomize)
        .ok()?;
    manifest::collection(&documents, &session.files).ok()
}

/// The kind of built-in that an object configures.
pub(crate) fn builtin_kind(resource: &Resource) -> Result<&str, Error> {
    let gvk = resource.gvk();
    if gvk.group.is_empty() && gvk.version == BUILTIN {
        return Ok(resource.kind());
    }
    Err(Error::new(format!(
        "{} is no built-in: programs and containers are never run",
        resource.kind()
    ))
    .at_mark(resource.node.mark)
    .hint("built-in ones have `apiVersion: builtin`"))
}

/// An object without the label that a validator may have set.
pub(crate) fn without_validated_label(node: &Node) -> Node {
    let mut node = node.clone();
    if let Some(metadata) = node.get_mut("metadata").and_then(Node::as_mapping_mut)
        && let Some(labels) = metadata.get_mut("labels").and_then(Node::as_mapping_mut)
        && labels.remove(VALIDATED_BY).is_some()
        && labels.is_empty()
    {
        metadata.remove("labels");
    }
    node
}
