//! Strategic merge: a patch that looks like its target, with directives, as kustomize 5.8 merges it.
//!
//! Merging also tidies the target where the patch says nothing: empty nulls go, and lists that merge by key lose
//! doubles. What looks odd here is kustomize's; the tables in the tests were checked against it.

use crate::budget::Steps;
use crate::error::Error;
use crate::yaml::{Mapping, Mark, Node, Secret, Style, Tag, Value};

use super::elements::{Elements, Origin, list_directive, merge_elements};
use super::schema::{Schema, Shape};

/// The field, in a mapping or an element of its own, that says what a patch does there.
pub(crate) const DIRECTIVE: &str = "$patch";

/// What a patch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    /// The usual.
    Merge,
    /// The patch takes the target's place.
    Replace,
    /// The target goes.
    Delete,
}

impl Directive {
    pub(super) fn read(node: &Node) -> Result<Self, Error> {
        match node.exposed() {
            Some("merge") => Ok(Self::Merge),
            Some("replace") => Ok(Self::Replace),
            Some("delete") => Ok(Self::Delete),
            _ => Err(
                Error::new("`$patch` is none of `merge`, `replace` and `delete`")
                    .at_mark(node.mark),
            ),
        }
    }
}

/// What a merge gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Merged {
    /// The target, patched; none when the patch deletes it.
    pub node: Option<Node>,
    /// Elements of the patch that kustomize's rules drop without a word.
    pub losses: Vec<Loss>,
}

/// An element of a patch that is not in the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Where the element is.
    pub mark: Mark,
    /// Its list, keys joined by dots.
    pub field: String,
}

/// Merges a patch into its target.
pub(crate) fn merge(
    target: Node,
    patch: Node,
    schema: &Schema,
    steps: &mut Steps,
) -> Result<Merged, Error> {
    let mut merge = Merge {
        schema,
        steps,
        path: Vec::new(),
        losses: Vec::new(),
    };
    // kustomize merges a replacing patch with itself and forgets the result.
    let replaces = patch.get(DIRECTIVE).and_then(Node::as_str) == Some("replace");
    let unchanged = replaces.then(|| target.clone());
    let node = merge.both(target, patch, None)?;
    let node = unchanged.or(node);
    Ok(Merged {
        node,
        losses: merge.losses,
    })
}

/// A merge in progress. Each step gives nothing when the field is to go.
pub(super) struct Merge<'s> {
    schema: &'s Schema,
    pub(super) steps: &'s mut Steps,
    path: Vec<String>,
    pub(super) losses: Vec<Loss>,
}

type Step = Result<Option<Node>, Error>;

impl<'s> Merge<'s> {
    /// What is known here: by the place, else by what the nodes say that they are.
    fn shape_of(&self, shape: Option<Shape<'s>>, nodes: &[&Node]) -> Option<Shape<'s>> {
        shape.or_else(|| nodes.iter().find_map(|node| self.schema.of_object(node)))
    }

    /// Target and patch both have something here.
    pub(super) fn both(&mut self, target: Node, mut patch: Node, shape: Option<Shape<'s>>) -> Step {
        if target.is_null() {
            let added = self.added(patch, shape)?;
            return Ok(added.map(|node| restyled(node, &target)));
        }
        if patch.is_null() {
            return Ok(None);
        }
        let shape = self.shape_of(shape, &[&target, &patch]);
        match (&target.value, &patch.value) {
            (Value::Mapping(_), Value::Mapping(_)) => match take_directive(&mut patch)? {
                Directive::Delete => Ok(None),
                Directive::Replace => self.same_fields(patch, shape).map(Some),
                Directive::Merge => self.both_fields(target, patch, shape).map(Some),
            },
            (Value::Sequence(_), Value::Sequence(_)) => self.both_lists(target, patch, shape),
            (Value::Mapping(_) | Value::Sequence(_), _)
            | (_, Value::Mapping(_) | Value::Sequence(_)) => {
                Err(self.kinds_differ(&target, &patch))
            }
            _ => Ok(Some(restyled(patch, &target))),
        }
    }

    fn both_lists(&mut self, target: Node, patch: Node, shape: Option<Shape<'s>>) -> Step {
        let Some(keys) = shape.and_then(Shape::merge_keys) else {
            return Ok(Some(patch));
        };
        let (target_mark, patch_mark) = (target.mark, patch.mark);
        let mut added = into_items(patch);
        let (dest, origin, mark) = match list_directive(&mut added)? {
            Directive::Delete => return Ok(None),
            Directive::Replace => (added, Origin::Same, patch_mark),
            Directive::Merge => (into_items(target), Origin::Patch(added), target_mark),
        };
        let elements = Elements { dest, origin };
        let items = merge_elements(self, elements, &keys, shape)?;
        Ok(Some(Node::sequence(items).at(mark)))
    }

    pub(super) fn both_fields(
        &mut self,
        mut target: Node,
        mut patch: Node,
        shape: Option<Shape<'s>>,
    ) -> Result<Node, Error> {
        let fields = |node: &Node| node.as_mapping().map_or(0, Mapping::len);
        self.steps.take_small(fields(&target) * fields(&patch))?;
        self.each_field(&mut target, |merge, key, value| {
            let shape = shape.and_then(|shape| shape.field(key));
            match patch.as_mapping_mut().and_then(|patch| patch.remove(key)) {
                Some(patch) => merge.both(value, patch, shape),
                None => merge.kept(value, shape),
            }
        })?;
        for (key, value) in patch
            .as_mapping()
            .into_iter()
            .flat_map(|patch| patch.iter())
        {
            self.path.push(key.text.to_string());
            let shape = shape.and_then(|shape| shape.field(&key.text));
            let added = self.added(value.clone(), shape)?;
            self.path.pop();
            if let (Some(added), Some(target)) = (added, target.as_mapping_mut()) {
                target.push(key.clone(), added);
            }
        }
        Ok(target)
    }

    /// Only the patch has something here. A directive that nobody knows is no mistake at this place.
    pub(super) fn added(&mut self, mut patch: Node, shape: Option<Shape<'s>>) -> Step {
        let shape = self.shape_of(shape, &[&patch]);
        match &patch.value {
            _ if patch.is_null() => Ok(None),
            Value::Mapping(_) => match take_directive(&mut patch) {
                Ok(Directive::Delete) => Ok(None),
                _ => self.same_fields(patch, shape).map(Some),
            },
            Value::Sequence(_) => self.same_list(patch, shape),
            _ => Ok(Some(patch)),
        }
    }

    /// Below something that only the patch has: directives still hold there.
    fn same(&mut self, mut patch: Node, shape: Option<Shape<'s>>) -> Step {
        let shape = self.shape_of(shape, &[&patch]);
        match &patch.value {
            _ if patch.is_null() => Ok(None),
            Value::Mapping(_) => match take_directive(&mut patch)? {
                Directive::Delete => Ok(None),
                _ => self.same_fields(patch, shape).map(Some),
            },
            Value::Sequence(_) if shape.is_some_and(|shape| shape.merge_keys().is_some()) => {
                let items = patch.as_sequence_mut();
                match items.map(list_directive).transpose()? {
                    Some(Directive::Delete) => Ok(None),
                    _ => self.same_list(patch, shape),
                }
            }
            _ => Ok(Some(patch)),
        }
    }

    pub(super) fn same_fields(
        &mut self,
        mut patch: Node,
        shape: Option<Shape<'s>>,
    ) -> Result<Node, Error> {
        self.each_field(&mut patch, |merge, key, value| {
            merge.same(value, shape.and_then(|shape| shape.field(key)))
        })?;
        Ok(patch)
    }

    fn same_list(&mut self, patch: Node, shape: Option<Shape<'s>>) -> Step {
        let Some(keys) = shape.and_then(Shape::merge_keys) else {
            return Ok(Some(patch));
        };
        let mark = patch.mark;
        let elements = Elements {
            dest: into_items(patch),
            origin: Origin::Same,
        };
        let items = merge_elements(self, elements, &keys, shape)?;
        Ok(Some(Node::sequence(items).at(mark)))
    }

    /// Only the target has something here.
    pub(super) fn kept(&mut self, mut target: Node, shape: Option<Shape<'s>>) -> Step {
        if self.is_tidy(&target, shape) {
            return Ok(Some(target));
        }
        let shape = self.shape_of(shape, &[&target]);
        match &target.value {
            Value::Mapping(_) => {
                self.each_field(&mut target, |merge, key, value| {
                    merge.kept(value, shape.and_then(|shape| shape.field(key)))
                })?;
                Ok(Some(target))
            }
            Value::Sequence(_) => {
                let keys = shape.and_then(Shape::merge_keys).unwrap_or_default();
                let mark = target.mark;
                let elements = Elements {
                    dest: into_items(target),
                    origin: Origin::None,
                };
                let items = merge_elements(self, elements, &keys, shape)?;
                Ok(Some(Node::sequence(items).at(mark)))
            }
            _ => Ok(None),
        }
    }

    /// True when there is nothing to tidy: no empty null in a mapping, no doubles in a list that merges by key.
    fn is_tidy(&self, node: &Node, shape: Option<Shape<'s>>) -> bool {
        let shape = self.shape_of(shape, &[node]);
        match &node.value {
            Value::Mapping(mapping) => mapping.iter().all(|(key, value)| {
                self.is_tidy(value, shape.and_then(|shape| shape.field(&key.text)))
            }),
            Value::Sequence(items) => match shape.and_then(Shape::merge_keys) {
                None => true,
                Some(keys) => self.are_tidy(items, keys.first().copied(), shape),
            },
            Value::Scalar(scalar) => scalar.tag != Tag::Null || !scalar.text.is_empty(),
            Value::Secret(_) => true,
        }
    }

    /// True when all elements have their own first key; without keys, when all are different scalars.
    fn are_tidy(&self, items: &[Node], key: Option<&str>, shape: Option<Shape<'s>>) -> bool {
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        let elements = shape.and_then(Shape::elements);
        items.iter().all(|item| {
            let named = match key {
                Some(key) => item.get(key),
                None => Some(item),
            };
            let text = named
                .filter(|named| !named.is_null())
                .and_then(Node::exposed)
                .filter(|text| !text.is_empty());
            text.is_some_and(|text| seen.insert(text)) && self.is_tidy(item, elements)
        })
    }

    /// Puts what `step` makes of each field in the field's place, or removes the field.
    fn each_field(
        &mut self,
        node: &mut Node,
        mut step: impl FnMut(&mut Self, &str, Node) -> Step,
    ) -> Result<(), Error> {
        let Some(mapping) = node.as_mapping_mut() else {
            return Ok(());
        };
        let mut fault = None;
        mapping.retain(|key, slot| {
            if fault.is_some() {
                return true;
            }
            let value = std::mem::replace(slot, Node::null());
            self.path.push(key.text.to_string());
            let done = step(self, &key.text, value);
            self.path.pop();
            match done {
                Ok(Some(value)) => {
                    *slot = value;
                    true
                }
                Ok(None) => false,
                Err(found) => {
                    fault = Some(found);
                    true
                }
            }
        });
        fault.map_or(Ok(()), Err)
    }

    /// The list or mapping that is being merged.
    pub(super) fn field(&self) -> String {
        self.path.join(".")
    }

    fn kinds_differ(&self, target: &Node, patch: &Node) -> Error {
        let message = format!(
            "`{}` is {} in the patch and {} in its target",
            self.field(),
            describe(patch),
            describe(target)
        );
        Error::new(message).at_mark(patch.mark)
    }
}

/// What a node is, for messages; never its text.
pub(super) fn describe(node: &Node) -> &'static str {
    match node.value {
        Value::Mapping(_) => "a mapping",
        Value::Sequence(_) => "a list",
        Value::Scalar(_) | Value::Secret(_) => "a single value",
    }
}

/// Reads and removes a mapping's directive.
pub(super) fn take_directive(patch: &mut Node) -> Result<Directive, Error> {
    let directive = match patch.get(DIRECTIVE) {
        Some(node) => Directive::read(node)?,
        None => return Ok(Directive::Merge),
    };
    if let Some(mapping) = patch.as_mapping_mut() {
        mapping.remove(DIRECTIVE);
    }
    Ok(directive)
}

fn into_items(node: Node) -> Vec<Node> {
    match node.value {
        Value::Sequence(items) => std::sync::Arc::unwrap_or_clone(items),
        _ => Vec::new(),
    }
}

/// The patch's scalar, written like the one whose place it takes: a number in place of a quoted text is a text.
fn restyled(mut node: Node, before: &Node) -> Node {
    let Some(style) = style_of(before) else {
        return node;
    };
    let retype = |tag: Tag| match tag {
        Tag::Null | Tag::Binary => tag,
        _ if style != Style::Plain => Tag::Str,
        _ => tag,
    };
    match &mut node.value {
        Value::Scalar(scalar) => {
            scalar.tag = retype(scalar.tag);
            scalar.style = style;
        }
        Value::Secret(secret) => {
            let tag = retype(secret.tag);
            *secret = Secret::new(secret.expose().to_owned(), tag, style);
        }
        Value::Mapping(_) | Value::Sequence(_) => {}
    }
    node
}

fn style_of(node: &Node) -> Option<Style> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.style),
        Value::Secret(secret) => Some(secret.style),
        Value::Mapping(_) | Value::Sequence(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Dialect, read_documents, write_documents};

    fn read(text: &str) -> Node {
        read_documents(text.as_bytes(), 1, Dialect::Kustomize)
            .expect("the test's YAML is right")
            .remove(0)
    }

    fn service(ports: &str) -> Node {
        read(&format!(
            "{{apiVersion: v1, kind: Service, spec: {{ports: {ports}}}}}"
        ))
    }

    fn lost(target: &str, patch: &str) -> Vec<String> {
        let merged = merge(
            service(target),
            service(patch),
            &Schema::default(),
            &mut Steps::new(1000),
        );
        let losses = merged.expect("it merges").losses;
        losses.into_iter().map(|loss| loss.field).collect()
    }

    #[test]
    fn lost_ports_are_told() {
        let told = vec!["spec.ports".to_owned()];
        assert_eq!(lost("[{port: 80}]", "[{port: 80, protocol: UDP}]"), told);
        assert_eq!(
            lost("[{port: 80, protocol: TCP}]", "[{port: 80, protocol: UDP}]").len(),
            0
        );
        assert_eq!(lost("[{port: 80}]", "[{port: 81, protocol: UDP}]").len(), 0);
        assert_eq!(
            lost(
                "[{port: 80, protocol: TCP}]",
                "[{port: 80, $patch: delete}]"
            )
            .len(),
            0
        );
    }

    #[test]
    fn secrets_merge_like_any_scalar_and_keep_their_mark() {
        let sealed = |text: &str| {
            let secret = Secret::new(text.to_owned(), Tag::Str, Style::Plain);
            Node::from(Value::Secret(secret))
        };
        let mut target = read("{kind: Secret, stringData: {a: x, c: z}}");
        let mut patch = read("{kind: Secret, stringData: {b: y, c: w}}");
        let seal = |node: &mut Node, key: &str, text: &str| {
            let data = node.get_mut("stringData").and_then(Node::as_mapping_mut);
            data.expect("data").insert(key, sealed(text));
        };
        seal(&mut target, "a", "one");
        seal(&mut patch, "b", "two");
        seal(&mut patch, "c", "three");
        let merged =
            merge(target, patch, &Schema::default(), &mut Steps::new(1000)).expect("it merges");
        let node = merged.node.expect("an object");
        let data = node.get("stringData").expect("data");
        assert_eq!(write_documents(&[data]), "a: '***'\nb: '***'\nc: '***'\n");
        assert_eq!(data.get("c").and_then(Node::exposed), Some("three"));
    }
}
