//! `dependsOn`: whether the Kustomizations that must be ready first are, at which revision, and who waits in a ring.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use super::context::Context;
use super::elsewhere;
use super::schedule::{Key, Kind, Topic, Wake};
use crate::api::kustomization::{DependencyReference, Kustomization, KustomizationSpec, reason};
use crate::api::meta::condition::READY;
use crate::expression::{Expression, ExpressionError, Variables};
use crate::report::conditions;
use crate::report::failure::{Again, Failure};

/// What a Kustomization was last found ready at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyAt {
    /// Generation of its spec.
    pub generation: i64,
    /// Revision of its source, applied or verified to change nothing.
    pub revision: String,
}

/// What this process knows of its Kustomizations' readiness, which is newer than what their statuses say.
#[derive(Default)]
pub struct Readiness(Mutex<HashMap<Key, Option<ReadyAt>>>);

impl Readiness {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Option<ReadyAt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known; the outer `None` when this process has not looked at it yet.
    fn get(&self, key: &Key) -> Option<Option<ReadyAt>> {
        self.lock().get(key).cloned()
    }
}

impl Context {
    /// Notes a Kustomization's readiness, and wakes those that wait for it.
    pub fn set_ready(&self, key: &Key, ready: Option<ReadyAt>) {
        let news = ready.is_some();
        let before = self.readiness.lock().insert(key.clone(), ready.clone());
        if news && before != Some(ready) {
            self.schedule
                .publish(&Topic::Ready(key.clone()), &Wake::dependency());
        }
    }

    /// Forgets a Kustomization that is gone.
    pub fn forget_ready(&self, key: &Key) {
        self.readiness.lock().remove(key);
    }
}

/// The source that a Kustomization builds from.
pub fn source_key(spec: &KustomizationSpec, namespace: &str) -> Option<Key> {
    let reference = &spec.source_ref;
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    Kind::source(&reference.kind).map(|kind| Key {
        kind,
        namespace: namespace.to_owned(),
        name: reference.name.clone(),
    })
}

/// The Kustomizations that one depends on.
pub fn dependency_keys(spec: &KustomizationSpec, namespace: &str) -> Vec<Key> {
    named(&spec.depends_on, namespace)
}

/// The Kustomizations that references of a namespace name.
pub fn named(references: &[DependencyReference], namespace: &str) -> Vec<Key> {
    let key = |dependency: &DependencyReference| {
        let namespace = dependency.namespace.as_deref().unwrap_or(namespace);
        Key::kustomization(namespace, &dependency.name)
    };
    references.iter().map(key).collect()
}

/// What says of one dependency that it is ready, when the spec brings an expression for it.
pub fn ready_expression(
    spec: &KustomizationSpec,
    index: usize,
) -> Result<Option<Expression>, ExpressionError> {
    let dependency = spec.depends_on.get(index);
    let text = dependency.and_then(|dependency| dependency.ready_expr.as_deref());
    let text = text.filter(|text| !text.is_empty());
    let place = format!("spec.dependsOn[{index}].readyExpr");
    let variables = Variables::Only(&["self", "dep"]);
    text.map(|text| Expression::compile(&place, text, variables))
        .transpose()
}

/// The Kustomizations whose every change may make an expression of the spec true.
pub fn topics(spec: &KustomizationSpec, namespace: &str) -> BTreeSet<Topic> {
    let keys = dependency_keys(spec, namespace);
    let judged = keys.into_iter().zip(&spec.depends_on);
    let judged = judged.filter(|(_, dependency)| dependency.ready_expr.is_some());
    judged.map(|(key, _)| Topic::Object(key)).collect()
}

/// Whether all dependencies are ready, those of the same source at this revision.
pub async fn check(
    context: &Context,
    key: &Key,
    object: &Kustomization,
    revision: &str,
) -> Result<(), Failure> {
    let spec = &object.spec;
    if spec.depends_on.is_empty() {
        return Ok(());
    }
    if let Some(ring) = ring(key, |key| edges(context, key)) {
        let names: Vec<String> = ring
            .iter()
            .map(|key| format!("{}/{}", key.namespace, key.name))
            .collect();
        return Err(not_ready(format!(
            "the dependencies form a ring: {}",
            names.join(" → ")
        )));
    }
    let source = source_key(spec, &key.namespace);
    for (index, dependency) in dependency_keys(spec, &key.namespace).iter().enumerate() {
        let expression =
            ready_expression(spec, index).map_err(Failure::of(reason::INVALID_CEL_EXPRESSION))?;
        if let Some(expression) = &expression {
            check_expression(context, dependency, object, expression).await?;
        }
        // As in Flux, an expression takes the place of the built-in rule.
        if expression.is_none() || context.settings.additive_dependency_check {
            check_one(context, dependency, source.as_ref(), revision).await?;
        }
    }
    Ok(())
}

/// Whether a Kustomization depends on itself, over whatever others.
pub fn is_in_ring(context: &Context, key: &Key) -> bool {
    ring(key, |key| edges(context, key)).is_some()
}

/// A dependency as the watch shows it, or, where another process looks after it, as the API server does.
async fn find(context: &Context, dependency: &Key) -> Result<Arc<Kustomization>, Failure> {
    if let Some(found) = context.kustomization(dependency) {
        return Ok(found);
    }
    let found = match context.settings.shares {
        true => elsewhere::find(context, dependency).await,
        false => Ok(None),
    };
    let name = format!("{}/{}", dependency.namespace, dependency.name);
    match found {
        Ok(Some(found)) => Ok(Arc::new(found)),
        Ok(None) => Err(not_ready(format!("dependency '{name}' not found"))),
        Err(error) => Err(not_ready(format!(
            "dependency '{name}' cannot be read: {error}"
        ))),
    }
}

async fn check_expression(
    context: &Context,
    dependency: &Key,
    object: &Kustomization,
    expression: &Expression,
) -> Result<(), Failure> {
    let name = format!("{}/{}", dependency.namespace, dependency.name);
    let other = find(context, dependency).await?;
    let [own, other] = [object, other.as_ref()].map(serde_json::to_value);
    let (Ok(own), Ok(other)) = (own, other) else {
        return Err(not_ready(format!("dependency '{name}' cannot be read")));
    };
    match expression.holds(&[("self", &own), ("dep", &other)]) {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_ready(format!(
            "dependency '{name}' is not ready according to readyExpr"
        ))),
        Err(error) => Err(not_ready(format!("dependency '{name}': {error}"))),
    }
}

async fn check_one(
    context: &Context,
    dependency: &Key,
    source: Option<&Key>,
    revision: &str,
) -> Result<(), Failure> {
    let name = format!("{}/{}", dependency.namespace, dependency.name);
    let object = find(context, dependency).await?;
    let known = context
        .readiness
        .get(dependency)
        .unwrap_or_else(|| ready_by_status(&object));
    let Some(ready) = known.filter(|ready| Some(ready.generation) == object.metadata.generation)
    else {
        return Err(not_ready(format!("dependency '{name}' is not ready")));
    };
    let same_source = source_key(&object.spec, &dependency.namespace).as_ref() == source;
    if same_source && ready.revision != revision {
        return Err(not_ready(format!(
            "dependency '{name}' revision is not up to date"
        )));
    }
    Ok(())
}

/// What the status says of a Kustomization that this process has not looked at.
fn ready_by_status(object: &Kustomization) -> Option<ReadyAt> {
    let status = object.status.as_ref()?;
    let ready = conditions::is_true(&status.conditions, READY);
    let generation = status.observed_generation?;
    let revision = status.last_applied_revision.clone().unwrap_or_default();
    ready.then_some(ReadyAt {
        generation,
        revision,
    })
}

fn not_ready(message: String) -> Failure {
    Failure::new(reason::DEPENDENCY_NOT_READY, message).again(Again::OnEvent)
}

fn edges(context: &Context, key: &Key) -> Vec<Key> {
    let object = context.kustomization(key);
    object.map_or_else(Vec::new, |object| {
        dependency_keys(&object.spec, &object.namespace().unwrap_or_default())
    })
}

/// The ring that goes through `start`, from it back to it; none when it only depends on a ring.
fn ring(start: &Key, edges: impl Fn(&Key) -> Vec<Key>) -> Option<Vec<Key>> {
    let mut reached_from: BTreeMap<Key, Key> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![start.clone()];
    while let Some(key) = open.pop() {
        if !seen.insert(key.clone()) {
            continue;
        }
        for next in edges(&key) {
            if next == *start {
                return Some(way_back(start, &key, &reached_from));
            }
            reached_from
                .entry(next.clone())
                .or_insert_with(|| key.clone());
            open.push(next);
        }
    }
    None
}

/// `start → … → end → start`, by where each was reached from.
fn way_back(start: &Key, end: &Key, reached_from: &BTreeMap<Key, Key>) -> Vec<Key> {
    let mut way = vec![start.clone(), end.clone()];
    while let Some(before) = way
        .last()
        .filter(|key| *key != start)
        .and_then(|key| reached_from.get(key))
    {
        way.push(before.clone());
    }
    if way.len() == 2 && start == end {
        return way;
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of(graph: &[(&str, &[&str])], start: &str) -> Option<String> {
        let key = |name: &str| Key::kustomization("ns", name);
        let edges = |from: &Key| {
            let found = graph.iter().find(|(name, _)| *name == from.name);
            found
                .map(|(_, to)| to.iter().map(|name| key(name)).collect())
                .unwrap_or_default()
        };
        let ring = ring(&key(start), edges)?;
        Some(
            ring.into_iter()
                .map(|key| key.name)
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    #[test]
    fn only_members_are_in_a_ring() {
        let graph: &[(&str, &[&str])] = &[
            ("outside", &["a"]),
            ("a", &["b", "leaf"]),
            ("b", &["c"]),
            ("c", &["leaf", "a"]),
            ("leaf", &[]),
            ("self", &["self"]),
        ];
        assert_eq!(ring_of(graph, "outside"), None);
        assert_eq!(ring_of(graph, "leaf"), None);
        assert_eq!(ring_of(graph, "a").as_deref(), Some("a b c a"));
        assert_eq!(ring_of(graph, "b").as_deref(), Some("b c a b"));
        assert_eq!(ring_of(graph, "self").as_deref(), Some("self self"));
    }
}
