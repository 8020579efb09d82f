//! Which objects a `target` means: anchored regular expressions on ids, and label selectors.

use ecow::EcoString;

use crate::budget::Steps;
use crate::error::Error;
use crate::expression::Expression;
use crate::labels::LabelSelector;
use crate::object::ObjectId;
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;
use crate::yaml::{Mark, Node};

/// `target` of a patch, `select` and `reject` of a replacement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selector {
    /// Where it was written.
    pub mark: Mark,
    /// Regular expression; empty for any.
    pub group: EcoString,
    /// Regular expression; empty for any.
    pub version: EcoString,
    /// Regular expression; empty for any.
    pub kind: EcoString,
    /// Regular expression; empty for any.
    pub name: EcoString,
    /// Regular expression; empty for any.
    pub namespace: EcoString,
    /// Label selector over annotations.
    pub annotation_selector: EcoString,
    /// Label selector over labels.
    pub label_selector: EcoString,
}

/// Names are rarely longer: Kubernetes takes 63 characters of most.
const NAME: usize = 64;

/// A selector with its expressions compiled.
pub(crate) struct Matcher {
    group: Option<Expression>,
    version: Option<Expression>,
    kind: Option<Expression>,
    name: Option<Expression>,
    namespace: Option<Expression>,
    annotations: LabelSelector,
    labels: LabelSelector,
}

/// One part of a selector; an empty part matches anything.
fn anchored(pattern: &str) -> Result<Option<Expression>, Error> {
    match pattern {
        "" => Ok(None),
        pattern => Expression::anchored(pattern).map(Some),
    }
}

impl Matcher {
    /// Compiles a selector.
    pub(crate) fn new(selector: &Selector) -> Result<Self, Error> {
        Ok(Self {
            group: anchored(&selector.group)?,
            version: anchored(&selector.version)?,
            kind: anchored(&selector.kind)?,
            name: anchored(&selector.name)?,
            namespace: anchored(&selector.namespace)?,
            annotations: LabelSelector::parse(&selector.annotation_selector)?,
            labels: LabelSelector::parse(&selector.label_selector)?,
        })
    }

    /// The steps to make it and to try it on objects, whose names may be long.
    pub(crate) fn steps(&self, resources: &[Resource]) -> usize {
        let parts = [
            &self.group,
            &self.version,
            &self.kind,
            &self.name,
            &self.namespace,
        ];
        let parts = || parts.iter().copied().flatten();
        let to_make: usize = parts().map(|part| part.to_make).sum();
        let to_try: usize = parts().map(|part| part.to_try).sum();
        let longer = |resource: &Resource| resource.name().len() / NAME;
        let names: usize = resources.iter().map(|resource| 1 + longer(resource)).sum();
        to_make + (1 + to_try) * names
    }

    /// Group, version and kind.
    pub(crate) fn accepts_gvk(&self, gvk: &Gvk) -> bool {
        accepts(&self.group, &gvk.group)
            && accepts(&self.version, &gvk.version)
            && accepts(&self.kind, &gvk.kind)
    }

    /// A name.
    pub(crate) fn accepts_name(&self, name: &str) -> bool {
        accepts(&self.name, name)
    }

    /// A namespace.
    pub(crate) fn accepts_namespace(&self, namespace: &str) -> bool {
        accepts(&self.namespace, namespace)
    }

    /// One id as a whole, the namespace as written.
    pub(crate) fn accepts_id(&self, id: &Id) -> bool {
        self.accepts_gvk(&id.gvk)
            && self.accepts_name(&id.name)
            && self.accepts_namespace(&id.namespace)
    }

    /// Labels and annotations.
    pub(crate) fn accepts_metadata(&self, resource: &Resource) -> bool {
        self.labels
            .accepts(resource.node.find(&["metadata", "labels"]))
            && self
                .annotations
                .accepts(resource.node.find(&["metadata", "annotations"]))
    }

    /// An object, as `patches` choose: name and namespace by its first id or by today's.
    pub(crate) fn accepts(&self, resource: &Resource) -> bool {
        let first = resource.previous.first();
        let name = first.map_or(resource.name(), |first| &first.name);
        if !(self.accepts_name(name) || self.accepts_name(resource.name())) {
            return false;
        }
        let id = resource.id();
        self.accepts_gvk(&id.gvk)
            && (self.accepts_namespace(resource.original_id().effective_namespace())
                || self.accepts_namespace(id.effective_namespace()))
            && self.accepts_metadata(resource)
    }
}

/// Which finished objects are meant, as text: every part is a regular expression or a label selector, and an
/// empty one means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Label selector over annotations.
    pub annotation_selector: String,
    /// Label selector over labels.
    pub label_selector: String,
}

/// A target with its expressions compiled.
#[derive(Clone)]
pub struct TargetMatcher(std::sync::Arc<Matcher>);

impl std::fmt::Debug for TargetMatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TargetMatcher")
    }
}

impl TargetMatcher {
    /// Compiles a target.
    pub fn new(target: &Target) -> Result<Self, Error> {
        let selector = Selector {
            mark: Mark::default(),
            group: target.group.as_str().into(),
            version: target.version.as_str().into(),
            kind: target.kind.as_str().into(),
            name: target.name.as_str().into(),
            namespace: target.namespace.as_str().into(),
            annotation_selector: target.annotation_selector.as_str().into(),
            label_selector: target.label_selector.as_str().into(),
        };
        Matcher::new(&selector).map(|matcher| Self(matcher.into()))
    }

    /// Whether an object is meant.
    pub fn accepts(&self, id: &ObjectId, node: &Node) -> bool {
        let Self(matcher) = self;
        let metadata = |section: &str| node.find(&["metadata", section]);
        accepts(&matcher.group, &id.group)
            && accepts(&matcher.version, &id.version)
            && accepts(&matcher.kind, &id.kind)
            && matcher.accepts_name(&id.name)
            && matcher.accepts_namespace(&id.namespace)
            && matcher.labels.accepts(metadata("labels"))
            && matcher.annotations.accepts(metadata("annotations"))
    }
}

fn accepts(expression: &Option<Expression>, text: &str) -> bool {
    expression
        .as_ref()
        .is_none_or(|expression| expression.is_match(text))
}

impl Resources {
    /// The positions of the objects that a selector accepts.
    pub(crate) fn select(
        &self,
        selector: &Selector,
        steps: &mut Steps,
    ) -> Result<Vec<usize>, Error> {
        let matcher = Matcher::new(selector)?;
        steps.take(matcher.steps(&self.list))?;
        Ok(self
            .list
            .iter()
            .enumerate()
            .filter_map(|(position, resource)| matcher.accepts(resource).then_some(position))
            .collect())
    }
}
