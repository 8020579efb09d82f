//! `configMapGenerator`.

use super::data::{Pair, pairs};
use super::{base, finish, wrapped_base64};
use crate::error::Error;
use crate::kustomization::GeneratorEntry;
use crate::load::{Folder, Session};
use crate::resource::Resource;
use crate::yaml::Node;

/// Makes the ConfigMap of an entry. Text goes to `data`, other bytes to `binaryData`.
pub(super) fn generate(
    entry: &GeneratorEntry,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Resource, Error> {
    let mut node = base("ConfigMap", entry)?;
    for Pair {
        key, value, mark, ..
    } in pairs(entry, false, folder, session)?
    {
        let (field, value) = match std::str::from_utf8(&value) {
            Ok(text) => ("data", Node::string(text)),
            Err(_) => ("binaryData", Node::string(wrapped_base64(&value))),
        };
        if let Some(mapping) = node.as_mapping_mut() {
            let data = mapping.get_or_insert_with(field, Node::mapping);
            if let Some(data) = data.as_mapping_mut() {
                data.insert(key.as_str(), value.at(mark));
            }
        }
    }
    Ok(finish(node, entry, "ConfigMapGenerator", session))
}
