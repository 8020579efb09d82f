//! After substitution the object is read anew: what it takes over from the object before, places and secrecy.

use zeroize::Zeroizing;

use super::expand::expand;
use super::steps::Steps;
use super::template::parse;
use super::{Variables, has_expression};
use crate::yaml::{Mapping, Mark, Node, Secret, Value};

/// Gives the new nodes the places of the old ones, and seals every scalar that has, or may have, a secret part:
/// one that was secret, one into which a secret variable went, and everything below a place where such a scalar
/// changed the structure. Apiversion, kind, name and namespace stay readable: an identity cannot be secret.
/// Nor can a key; so a secret value must not become one by chance.
pub(super) fn adopt(new: &mut Node, old: &Node, variables: &Variables) -> Result<(), KeyOfSecret> {
    let secrets = Secrets::of(variables);
    if secrets.touch(old) && crosses_scalars(old) {
        seal(new);
    }
    secrets.adopt(new, old)?;
    unseal_identity(new);
    Ok(())
}

/// Part of a secret value would be a mapping's key, though it stands where a value belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyOfSecret;

/// True when the object has a secret scalar, or an expression that may name a secret variable.
pub(super) fn has_secret_part(node: &Node, variables: &Variables) -> bool {
    Secrets::of(variables).touch(node)
}

/// An expression that begins in one scalar and ends in another can move any text anywhere.
fn crosses_scalars(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.iter().any(crosses_scalars),
        Value::Mapping(mapping) => mapping
            .iter()
            .any(|(key, value)| parse(&key.text).is_err() || crosses_scalars(value)),
        Value::Scalar(_) | Value::Secret(_) => {
            has_expression(node) && node.exposed().is_some_and(|text| parse(text).is_err())
        }
    }
}

/// The names of the secret variables.
struct Secrets<'v> {
    names: Vec<&'v str>,
    variables: &'v Variables,
    steps: Steps,
}

impl<'v> Secrets<'v> {
    fn of(variables: &'v Variables) -> Self {
        let names = variables
            .iter()
            .filter(|(_, variable)| variable.secret)
            .map(|(name, _)| name)
            .collect();
        Self {
            names,
            variables,
            steps: Steps::new(variables.steps),
        }
    }

    /// True when an expression in the text may name a secret variable; rather too often than too seldom.
    fn are_in(&self, text: &str) -> bool {
        text.contains('$') && self.names.iter().any(|name| text.contains(name))
    }

    fn touch(&self, node: &Node) -> bool {
        match &node.value {
            Value::Secret(_) => true,
            Value::Scalar(scalar) => self.are_in(&scalar.text),
            Value::Sequence(items) => items.iter().any(|item| self.touch(item)),
            Value::Mapping(mapping) => mapping
                .iter()
                .any(|(key, value)| self.are_in(&key.text) || self.touch(value)),
        }
    }

    fn adopt(&self, new: &mut Node, old: &Node) -> Result<(), KeyOfSecret> {
        new.mark = old.mark;
        match &old.value {
            Value::Mapping(before) if new.as_mapping().is_some() => {
                self.adopt_entries(new, old, before)
            }
            Value::Sequence(before)
                if new.as_sequence().map(<[Node]>::len) == Some(before.len()) =>
            {
                let mut items = new.as_sequence_mut().into_iter().flatten();
                items
                    .by_ref()
                    .zip(before.iter())
                    .try_for_each(|(item, before)| self.adopt(item, before))
            }
            Value::Scalar(_) | Value::Secret(_) if new.tag().is_some() => {
                if self.touch(old) {
                    seal(new);
                }
                Ok(())
            }
            _ => self.displace(new, old, self.is_meant_as_mapping(old)),
        }
    }

    fn adopt_entries(
        &self,
        new: &mut Node,
        old: &Node,
        before: &Mapping,
    ) -> Result<(), KeyOfSecret> {
        let mut renamed: Vec<_> = before
            .iter()
            .filter(|(key, _)| key.text.contains('$'))
            .filter_map(|(key, value)| Some((self.expanded(&key.text)?, (key, value))))
            .collect();
        renamed.sort_by(|(one, _), (other, _)| one.cmp(other));
        // A key that is gone has become part of some other scalar, and its value with it.
        if self.touch(old) && new.as_mapping().map(Mapping::len) != Some(before.len()) {
            seal(new);
        }
        let Some(mapping) = new.as_mapping_mut() else {
            return Ok(());
        };
        for (key, value) in mapping.entries_mut() {
            let text = &key.text;
            let renamed = || {
                let at = renamed.partition_point(|(other, _)| other.as_str() < text.as_str());
                let (other, entry) = renamed.get(at)?;
                (**other == **text).then_some(*entry)
            };
            match before.entry(text).or_else(renamed) {
                Some((old, before)) => {
                    key.mark = old.mark;
                    self.adopt(value, before)?;
                }
                None if !self.touch(old) => {
                    key.mark = old.mark;
                    self.displace(value, old, false)?;
                }
                None => return Err(KeyOfSecret),
            }
        }
        Ok(())
    }

    /// Takes in what was not there before. Its keys are shown, so they must be meant as keys where a secret
    /// may be part of them.
    fn displace(
        &self,
        new: &mut Node,
        old: &Node,
        keys_are_meant: bool,
    ) -> Result<(), KeyOfSecret> {
        if self.touch(old) {
            if has_keys(new) && !keys_are_meant {
                return Err(KeyOfSecret);
            }
            seal(new);
        }
        set_mark(new, old.mark);
        Ok(())
    }

    /// True for a scalar whose text is written as a mapping: `{…}`.
    fn is_meant_as_mapping(&self, old: &Node) -> bool {
        let text = old.exposed().unwrap_or_default();
        self.expanded(text)
            .is_some_and(|text| text.starts_with('{'))
    }

    fn expanded(&self, text: &str) -> Option<Zeroizing<String>> {
        expand(text, self.variables, false, &self.steps).ok()
    }
}

fn has_keys(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(mapping) => !mapping.is_empty(),
        Value::Sequence(items) => items.iter().any(has_keys),
        Value::Scalar(_) | Value::Secret(_) => false,
    }
}

fn set_mark(node: &mut Node, mark: Mark) {
    node.mark = mark;
    if let Value::Mapping(_) = &node.value {
        let mapping = node.as_mapping_mut().into_iter();
        for (key, value) in mapping.flat_map(|mapping| mapping.entries_mut()) {
            key.mark = mark;
            set_mark(value, mark);
        }
        return;
    }
    let items = node.as_sequence_mut().into_iter().flatten();
    items.for_each(|item| set_mark(item, mark));
}

/// Makes every scalar secret.
fn seal(node: &mut Node) {
    if let Value::Scalar(scalar) = &node.value {
        let secret = Secret::new(scalar.text.to_string(), scalar.tag, scalar.style);
        node.value = Value::Secret(secret);
    }
    for child in children_mut(node) {
        seal(child);
    }
}

fn children_mut(node: &mut Node) -> Vec<&mut Node> {
    match &node.value {
        Value::Mapping(_) => node
            .as_mapping_mut()
            .into_iter()
            .flat_map(|mapping| mapping.iter_mut().map(|(_, value)| value))
            .collect(),
        _ => node.as_sequence_mut().into_iter().flatten().collect(),
    }
}

fn unseal_identity(node: &mut Node) {
    for path in [
        &["apiVersion"][..],
        &["kind"],
        &["metadata", "name"],
        &["metadata", "namespace"],
    ] {
        let found = path
            .iter()
            .try_fold(&mut *node, |node, key| node.get_mut(key));
        if let Some(field) = found
            && let (Value::Secret(_), Some(text), Some(tag)) =
                (&field.value, field.exposed(), field.tag())
        {
            *field = Node::scalar(text, tag).at(field.mark);
        }
    }
}
