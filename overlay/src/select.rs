//! Which objects a `target` means: anchored regular expressions on ids, and label selectors.

use ecow::EcoString;
use regex::Regex;

use crate::budget::Steps;
use crate::error::Error;
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

/// The size that a compiled expression may have.
const EXPRESSION_SIZE: usize = 1 << 20;

/// An expression that is anchored at both ends.
enum Expression {
    /// One that means itself, as most names do.
    Text(EcoString),
    /// Any other.
    Regex(Regex),
}

impl Expression {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Text(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles one part of a selector, anchored at both ends; an empty part matches anything.
fn anchored(pattern: &str) -> Result<Option<Expression>, Error> {
    let means_itself = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'/' | b':');
    if pattern.is_empty() {
        return Ok(None);
    }
    if pattern.bytes().all(means_itself) {
        return Ok(Some(Expression::Text(pattern.into())));
    }
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(EXPRESSION_SIZE)
        .build()
        .map(|regex| Some(Expression::Regex(regex)))
        .map_err(|error| no_expression(pattern, &error))
}

/// The error of an expression that cannot be compiled, on one line.
pub(crate) fn no_expression(pattern: &str, error: &regex::Error) -> Error {
    let whole = error.to_string();
    let reason = whole.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ");
    Error::new(format!("`{pattern}` is no regular expression: {reason}"))
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
        steps.take(2 * self.list.len())?;
        let matcher = Matcher::new(selector)?;
        Ok(self
            .list
            .iter()
            .enumerate()
            .filter_map(|(position, resource)| matcher.accepts(resource).then_some(position))
            .collect())
    }
}
