//! `ValueAddTransformer`: a value set in a field, or put into a path that the field holds.

use ecow::EcoString;

use super::namespace::Namespace;
use super::{Setting, Transformer};
use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors};
use crate::fieldspec::{Make, split_path, visit};
use crate::load::Session;
use crate::path;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::select::Selector;
use crate::yaml::{Dialect, Mark, Node};

/// Puts one value in several places.
#[derive(Clone, Debug, Default)]
struct ValueAdd {
    mark: Mark,
    /// The folder's name when left out.
    value: Text,
    targets: Vec<Target>,
    target_file: Text,
}

fields!(ValueAdd { "value" => value, "targets" => targets, "targetFilePath" => target_file });

/// Where the value goes.
#[derive(Clone, Debug, Default)]
struct Target {
    mark: Mark,
    /// All objects when left out.
    selector: Option<Selector>,
    field: Text,
    /// From 1: the value becomes this part of the path that the field holds.
    position: i64,
}

fields!(Target { "selector" => selector, "fieldPath" => field, "filePathPosition" => position });

pub(super) fn from_object(
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let mut configured: ValueAdd = decode(node, Rules::Object)?;
    configured.value.text = configured.value.trim().into();
    if configured.value.is_empty() {
        configured.value.text = path::base(&setting.folder.path).into();
    }
    if !configured.target_file.is_empty() {
        let file = &configured.target_file;
        let documents =
            setting
                .session
                .plain_documents(setting.folder, file, Dialect::Kubernetes)?;
        if let Some(document) = documents.first() {
            configured
                .targets
                .extend(decode::<ValueAdd>(document, Rules::Object)?.targets);
        }
    }
    check(&configured)?;
    Ok(Box::new(configured))
}

fn check(configured: &ValueAdd) -> Result<(), Error> {
    if configured.targets.is_empty() {
        return Err(Error::new("`targets` is empty").at_mark(configured.mark));
    }
    for target in &configured.targets {
        if target.field.is_empty() {
            return Err(Error::new("`fieldPath` is empty").at_mark(target.mark));
        }
        if target.position < 0 {
            return Err(Error::new("`filePathPosition` is negative").at_mark(target.mark));
        }
    }
    Ok(())
}

impl Transformer for ValueAdd {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        for target in &self.targets {
            session.steps.take(resources.list.len())?;
            let positions = match &target.selector {
                Some(selector) => resources.select(selector, &mut session.steps)?,
                None => (0..resources.list.len()).collect(),
            };
            for position in positions {
                let resource = &mut resources.list[position];
                self.apply(target, resource)
                    .map_err(|error| resource.blame(error))?;
            }
        }
        Ok(())
    }
}

impl ValueAdd {
    fn apply(&self, target: &Target, resource: &mut Resource) -> Result<(), Error> {
        if *target.field == *"metadata/namespace" {
            return Namespace::plain(self.value.clone()).apply(resource);
        }
        let path = split_path(&target.field);
        reach(&mut resource.node, &path, &mut |node| {
            let old = node.exposed().unwrap_or_default();
            let new = match usize::try_from(target.position) {
                Ok(position @ 1..) => insert_part(old, position - 1, &self.value),
                _ => self.value.text.clone(),
            };
            scalar::set(node, new, Meaning::AsWritten, self.value.mark)
        })
    }
}

/// Follows keys, which are made where they are missing, and indexes of lists, which are not.
fn reach(
    node: &mut Node,
    path: &[EcoString],
    set: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Error> {
    match path.split_first() {
        Some((part, rest)) if node.as_sequence().is_some() => {
            let index = part.parse::<usize>().ok();
            match index.and_then(|index| node.as_sequence_mut()?.get_mut(index)) {
                Some(item) => reach(item, rest, set),
                None => Ok(()),
            }
        }
        Some((part, rest)) => visit(
            node,
            std::slice::from_ref(part),
            Make::Scalar,
            &mut |node| {
                if node.is_null() && !rest.is_empty() {
                    *node = Node::mapping();
                }
                reach(node, rest, set)
            },
        ),
        None => set(node),
    }
}

/// Puts a part into a path, which stays absolute when it was. A position behind the end means the end.
fn insert_part(path: &str, position: usize, part: &str) -> EcoString {
    let (start, relative) = match path.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", path),
    };
    let mut parts: Vec<&str> = relative
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    parts.insert(position.min(parts.len()), part);
    ecow::eco_format!("{start}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::insert_part;

    #[test]
    fn parts_go_into_paths() {
        for (path, position, want) in [
            ("", 0, "X"),
            ("/", 0, "/X"),
            ("pie", 0, "X/pie"),
            ("/pie", 0, "/X/pie"),
            ("raw", 1, "raw/X"),
            ("a/nice/warm/pie", 3, "a/nice/warm/X/pie"),
            ("/a/b", 9, "/a/b/X"),
        ] {
            assert_eq!(insert_part(path, position, "X"), want);
        }
    }
}
