//! Field specs: which field of which kinds a transformer changes, and the walk to that field.

use ecow::EcoString;

use crate::decode::fields;
use crate::error::Error;
use crate::resource::Gvk;
use crate::yaml::{Mark, Node, Tag, Value};

/// A field of some kinds. Lists on the way are entered: the path names mappings' keys only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    /// Where it was written.
    pub mark: Mark,
    /// API group; empty for any.
    pub group: EcoString,
    /// API version; empty for any.
    pub version: EcoString,
    /// Kind; empty for any.
    pub kind: EcoString,
    /// Keys joined by `/`; `\/` stands for a slash in a key, `[]` behind a key says that it holds a list.
    pub path: EcoString,
    /// Makes the field when it is missing.
    pub create: bool,
}

fields!(FieldSpec {
    "group" => group,
    "version" => version,
    "kind" => kind,
    "path" => path,
    "create" => create,
});

impl FieldSpec {
    /// The kinds it is for, as a selector.
    pub(crate) fn gvk(&self) -> Gvk {
        Gvk {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
        }
    }

    /// True when an object of these kinds has the field.
    pub(crate) fn is_for(&self, gvk: &Gvk) -> bool {
        let allows = |wanted: &str, have: &str| wanted.is_empty() || wanted == have;
        allows(&self.kind, &gvk.kind)
            && allows(&self.group, &gvk.group)
            && allows(&self.version, &gvk.version)
    }

    /// Gives the field to `set`, wherever it is in an object. Where it is missing it becomes what `made` says, if the
    /// spec wants it made.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        made: Make,
        set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let make = if self.create { made } else { Make::Nothing };
        visit(node, &split_path(&self.path), make, set)
    }
}

/// Splits a path at slashes that are not escaped; a leading slash does not count.
pub(crate) fn split_path(path: &str) -> Vec<EcoString> {
    let path = match path.strip_prefix('/') {
        Some(rest) => rest,
        None => path,
    };
    let mut parts: Vec<EcoString> = Vec::new();
    let mut joined = false;
    for part in path.split('/') {
        match parts.last_mut() {
            Some(last) if joined => {
                last.pop();
                last.push('/');
                last.push_str(part);
            }
            _ => parts.push(part.into()),
        }
        joined = part.ends_with('\\');
    }
    parts
}

/// What to make where a field is missing or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// Nothing: a missing field is passed over.
    Nothing,
    /// A scalar, at first null.
    Scalar,
    /// A mapping.
    Mapping,
}

/// Gives the field at the end of a path to `set`, wherever the path leads. Null on the way ends it.
pub(crate) fn visit(
    node: &mut Node,
    path: &[EcoString],
    make: Make,
    set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some((key, rest)) = path.split_first() else {
        return set(node);
    };
    if let Some(items) = node.as_sequence_mut() {
        return items
            .iter_mut()
            .try_for_each(|item| visit(item, path, make, set));
    }
    match field(node, key, make, rest.is_empty())? {
        Some(field) => visit(field, rest, make, set),
        None => Ok(()),
    }
}

/// Gives those of the fields at the end of a path to `set` that are wanted. What is shared on the way to the others
/// stays shared.
pub(crate) fn visit_wanted(
    node: &mut Node,
    path: &[EcoString],
    wants: &dyn Fn(&Node) -> bool,
    set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Error> {
    if !leads_to(node, path, wants) {
        return Ok(());
    }
    enter_wanted(node, path, wants, set)
}

fn enter_wanted(
    node: &mut Node,
    path: &[EcoString],
    wants: &dyn Fn(&Node) -> bool,
    set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some((key, rest)) = path.split_first() else {
        return set(node);
    };
    if let Some(items) = node.as_sequence_mut() {
        return items
            .iter_mut()
            .try_for_each(|item| visit_wanted(item, path, wants, set));
    }
    match field(node, key, Make::Nothing, rest.is_empty())? {
        Some(field) => enter_wanted(field, rest, wants, set),
        None => Ok(()),
    }
}

/// True when a path leads to a field that is wanted, or to what the visit changes or refuses on its way.
pub(crate) fn leads_to(node: &Node, path: &[EcoString], wants: &dyn Fn(&Node) -> bool) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return wants(node);
    };
    let is_list = key.ends_with("[]");
    let key = key.strip_suffix("[]").unwrap_or(key);
    match &node.value {
        Value::Sequence(items) => items.iter().any(|item| leads_to(item, path, wants)),
        Value::Mapping(_) if key.is_empty() => true,
        Value::Mapping(mapping) => mapping
            .get(key)
            .is_some_and(|field| (is_list && field.is_null()) || leads_to(field, rest, wants)),
        Value::Scalar(_) | Value::Secret(_) => !node.is_null(),
    }
}

/// The field of a key, made when that is wanted. A shared mapping is only copied when it has the field.
fn field<'n>(
    node: &'n mut Node,
    key: &str,
    make: Make,
    is_last: bool,
) -> Result<Option<&'n mut Node>, Error> {
    if node.is_null() {
        return Ok(None);
    }
    let mark = node.mark;
    let (key, make) = match key.strip_suffix("[]") {
        Some(short) => (short, None),
        None => (key, Some(make)),
    };
    if key.is_empty() {
        return Err(Error::new("a field spec's path has an empty part"));
    }
    let has_field = node.get(key).is_some();
    if !has_field && make.is_none_or(|make| make == Make::Nothing) && node.as_mapping().is_some() {
        return Ok(None);
    }
    let Some(mapping) = node.as_mapping_mut() else {
        let wanted = format!("a mapping or list is wanted where `{key}` should be");
        return Err(Error::new(wanted).at_mark(mark));
    };
    let makes_scalar = is_last && make == Some(Make::Scalar);
    let field = mapping.get_or_insert_with(key, || match makes_scalar {
        true => Node::scalar("", Tag::Null),
        false => Node::mapping(),
    });
    if field.is_null() && !makes_scalar {
        match make {
            None => field.value = Value::Sequence(Default::default()),
            Some(Make::Nothing) => {}
            Some(Make::Scalar | Make::Mapping) => field.value = Node::mapping().value,
        }
    }
    Ok(Some(field))
}
