//! `secretGenerator`.

use super::data::{Pair, pairs};
use super::{base, finish, wrapped_base64};
use crate::error::Errors;
use crate::kustomization::GeneratorEntry;
use crate::load::{Folder, Session};
use crate::resource::Resource;
use crate::yaml::{Mapping, Node, Secret, Style, Tag, Value};

/// Makes the Secret of an entry. What an opener decrypted stays secret.
pub(super) fn generate(
    entry: &GeneratorEntry,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Resource, Errors> {
    let mut node = base("Secret", entry)?;
    let mut data = Mapping::default();
    for Pair {
        key,
        value,
        mark,
        secret,
    } in pairs(entry, true, folder, session)?
    {
        let text = wrapped_base64(&value);
        let value = if secret {
            Node::from(Value::Secret(Secret::new(text, Tag::Str, Style::Plain)))
        } else {
            Node::string(text)
        };
        data.push(key.as_str().into(), value.at(mark));
    }
    if let Some(mapping) = node.as_mapping_mut() {
        let kind = match &*entry.kind_of_secret {
            "" => "Opaque",
            kind => kind,
        };
        mapping.insert("type", Node::string(kind).at(entry.kind_of_secret.mark));
        mapping.insert("data", data.into());
    }
    Ok(finish(node, entry, "SecretGenerator", session))
}
