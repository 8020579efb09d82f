//! `vars`: `$(NAME)` in some fields stands for the value of a field of an object.

use std::collections::BTreeMap;

use ecow::EcoString;

use crate::budget::Steps;
use crate::error::{Error, Errors, Mistakes};
use crate::field_path;
use crate::fieldspec::{FieldSpec, Make};
use crate::kustomization::Variable;
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;
use crate::yaml::{Node, Tag, Value};

/// The variables of a kustomization and those below it, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    all: BTreeMap<EcoString, Variable>,
}

impl Variables {
    /// Adds a kustomization's own variables, and notes on each object those that read it.
    pub(crate) fn declare(
        &mut self,
        variables: &[Variable],
        resources: &mut Resources,
        steps: &mut Steps,
    ) -> Result<(), Error> {
        for variable in variables {
            steps.take(resources.list.len())?;
            let wanted = object_of(variable);
            let any_namespace = wanted.namespace.is_empty() && !wanted.is_cluster_wide();
            let found = resources.positions_of(&wanted.name, |id| {
                (any_namespace && id.gvk == wanted.gvk) || id.is_same(&wanted)
            });
            match found[..] {
                [] => {}
                [position] => resources.list[position]
                    .variables
                    .push(variable.name.text.clone()),
                _ => {
                    return Err(Error::new(format!(
                        "{} objects are or were what the var {} reads",
                        found.len(),
                        &*variable.name
                    ))
                    .at_mark(variable.mark)
                    .hint("say the namespace in objref"));
                }
            }
        }
        variables.iter().try_for_each(|variable| self.add(variable))
    }

    /// Adds the variables of a kustomization below.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Error> {
        other
            .all
            .values()
            .try_for_each(|variable| self.add(variable))
    }

    fn add(&mut self, variable: &Variable) -> Result<(), Error> {
        match self
            .all
            .insert(variable.name.text.clone(), variable.clone())
        {
            None => Ok(()),
            Some(_) => Err(
                Error::new(format!("the var {} is declared twice", &*variable.name))
                    .at_mark(variable.mark),
            ),
        }
    }

    /// Puts the values where `$(NAME)` stands.
    pub(crate) fn resolve(
        &self,
        resources: &mut Resources,
        specs: &[FieldSpec],
        steps: &mut Steps,
    ) -> Result<(), Errors> {
        let mut values: BTreeMap<&str, Node> = BTreeMap::new();
        let mut mistakes = Mistakes::default();
        for (name, variable) in &self.all {
            steps.take(resources.list.len())?;
            let value = mistakes.of(value_of(variable, resources));
            values.extend(value.map(|value| (name.as_str(), value)));
        }
        mistakes.or(())?;
        if values.is_empty() {
            return Ok(());
        }
        for resource in &mut resources.list {
            let gvk = resource.gvk();
            for spec in specs.iter().filter(|spec| spec.is_for(&gvk)) {
                let replace = &mut |node: &mut Node| replace_in(node, &values, steps);
                spec.visit(&mut resource.node, Make::Nothing, replace)
                    .map_err(|error| resource.blame(error))?;
            }
        }
        Ok(())
    }
}

fn object_of(variable: &Variable) -> Id {
    let object = &variable.object;
    let gvk = if object.api_version.is_empty() {
        Gvk {
            group: object.group.clone(),
            version: object.version.clone(),
            kind: object.kind.clone(),
        }
    } else {
        let mut gvk = Gvk::new(&object.api_version, &object.kind);
        if gvk.group.is_empty() {
            gvk.group.clone_from(&object.group);
        }
        gvk
    };
    Id {
        gvk,
        name: object.name.clone(),
        namespace: object.namespace.clone(),
    }
}

fn value_of(variable: &Variable, resources: &Resources) -> Result<Node, Error> {
    let reads = |resource: &&Resource| resource.variables.contains(&variable.name.text);
    let Some(resource) = resources.list.iter().find(reads) else {
        return Err(Error::new(format!(
            "no object is what the var {} reads",
            &*variable.name
        ))
        .at_mark(variable.mark));
    };
    let path = match variable.field.field_path.as_str() {
        "" => "metadata.name",
        path => path,
    };
    match find_field(&resource.node, &field_path(path)) {
        Some(node) => Ok(node.clone()),
        None => Err(Error::new(format!(
            "{} has no field `{path}` for the var {}",
            resource.id(),
            &*variable.name
        ))
        .at_mark(variable.mark)),
    }
}

/// Splits a path at dots: a dot behind a backslash and what stands in brackets are kept; `name[0]` is a key and
/// an index.
pub(crate) fn field_path(path: &str) -> Vec<EcoString> {
    let mut parts: Vec<EcoString> = Vec::new();
    for part in field_path::split(path) {
        match part
            .strip_suffix(']')
            .and_then(|part| part.rsplit_once('['))
        {
            Some((key, index))
                if !index.is_empty() && index.bytes().all(|c| c.is_ascii_digit()) =>
            {
                if !key.is_empty() {
                    parts.push(key.into());
                }
                parts.push(index.into());
            }
            _ => parts.push(part),
        }
    }
    parts
}

/// Follows keys, indexes and `[key=value]`.
fn find_field<'n>(node: &'n Node, path: &[EcoString]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, part| {
        if let Ok(index) = part.parse::<usize>() {
            return node.as_sequence()?.get(index);
        }
        let bracketed = part
            .strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'));
        if let Some((key, value)) = bracketed.and_then(|part| part.split_once('=')) {
            return node.as_sequence()?.iter().find(|item| match key {
                "" => item.exposed() == Some(value),
                key => item.get(key).and_then(Node::exposed) == Some(value),
            });
        }
        node.get(part)
    })
}

/// Text, the texts of a list, or the text values of a mapping.
fn replace_in(
    node: &mut Node,
    values: &BTreeMap<&str, Node>,
    steps: &mut Steps,
) -> Result<(), Error> {
    if let Some(items) = node.as_sequence_mut() {
        return items.iter_mut().try_for_each(|item| {
            if item.tag() != Some(Tag::Str) {
                return Err(Error::new("only text can hold a var").at_mark(item.mark));
            }
            replace_scalar(item, values, steps)
        });
    }
    match node.as_mapping_mut() {
        Some(mapping) => mapping
            .iter_mut()
            .try_for_each(|(_, value)| replace_scalar(value, values, steps)),
        None => replace_scalar(node, values, steps),
    }
}

fn replace_scalar(
    node: &mut Node,
    values: &BTreeMap<&str, Node>,
    steps: &mut Steps,
) -> Result<(), Error> {
    if node.tag() != Some(Tag::Str) {
        return Ok(());
    }
    let Some(text) = node.exposed().filter(|text| text.contains('$')) else {
        return Ok(());
    };
    let whole = text
        .strip_prefix("$(")
        .and_then(|text| text.strip_suffix(')'));
    if let Some(value) = whole
        .and_then(|name| values.get(name))
        .filter(|value| is_scalar(value))
    {
        let mark = node.mark;
        *node = value.clone().at(mark);
        return Ok(());
    }
    let (new, secret) = expand(text, values, steps)?;
    let mark = node.mark;
    let secret = secret || node.is_secret();
    *node = if secret {
        let sealed = crate::yaml::Secret::new(new, Tag::Str, crate::yaml::Style::Plain);
        Node::from(Value::Secret(sealed)).at(mark)
    } else {
        Node::string(new).at(mark)
    };
    Ok(())
}

fn is_scalar(node: &Node) -> bool {
    node.tag().is_some()
}

/// `$(NAME)` becomes the value, `$$` becomes `$`, anything else stays. True when a value is secret.
fn expand(
    text: &str,
    values: &BTreeMap<&str, Node>,
    steps: &mut Steps,
) -> Result<(String, bool), Error> {
    let mut out = String::with_capacity(text.len());
    let mut secret = false;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.is_empty() {
            out.push('$');
        } else if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = variable_at(rest) {
            match values.get(name).filter(|value| is_scalar(value)) {
                Some(value) => {
                    steps.copy(value)?;
                    secret |= value.is_secret();
                    out.push_str(value.exposed().unwrap_or_default());
                }
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok((out, secret))
}

fn variable_at(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_at_dots_outside_brackets() {
        for (path, want) in [
            ("metadata.name", &["metadata", "name"][..]),
            ("a.b[2].c", &["a", "b", "2", "c"]),
            ("m.[a.b/c]", &["m", "a.b/c"]),
            ("m.[name=x.y].z", &["m", "[name=x.y]", "z"]),
            (r"m.a\.b", &["m", "a.b"]),
        ] {
            assert_eq!(field_path(path), want, "{path}");
        }
    }

    #[test]
    fn variables_expand_and_unknown_ones_stay() {
        let values = BTreeMap::from([("A", Node::string("x"))]);
        for (text, want) in [
            ("$(A)-$(A)", "x-x"),
            ("$(B) $$(A) $", "$(B) $(A) $"),
            ("$x $(A", "$x $(A"),
        ] {
            let expanded = expand(text, &values, &mut Steps::new(100));
            assert_eq!(expanded.map(|(text, _)| text).as_deref(), Ok(want));
        }
    }
}
