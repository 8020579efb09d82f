//! `configMapGenerator`.

use super::data::{Pair, pairs};
use super::{base, finish, wrapped_base64};
use crate::error::Errors;
use crate::kustomization::GeneratorEntry;
use crate::load::{Folder, Session};
use crate::resource::Resource;
use crate::yaml::{Mapping, Node};

/// Makes the ConfigMap of an entry. Text goes to `data`, other bytes to `binaryData`.
pub(super) fn generate(
    entry: &GeneratorEntry,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Resource, Errors> {
    let mut node = base("ConfigMap", entry)?;
    let (mut data, mut binary_data) = (Mapping::default(), Mapping::default());
    for Pair {
        key, value, mark, ..
    } in pairs(entry, false, folder, session)?
    {
        let (data, value) = match std::str::from_utf8(&value) {
            Ok(text) => (&mut data, Node::string(text)),
            Err(_) => (&mut binary_data, Node::string(wrapped_base64(&value))),
        };
        data.push(key.as_str().into(), value.at(mark));
    }
    if let Some(mapping) = node.as_mapping_mut() {
        for (field, data) in [("data", data), ("binaryData", binary_data)] {
            if !data.is_empty() {
                mapping.push(field.into(), data.into());
            }
        }
    }
    Ok(finish(node, entry, "ConfigMapGenerator", session))
}
