//! From an entry down: every Kustomization in the output of one is built in turn, those that bring others first.

use std::collections::HashMap;
use std::sync::Arc;

use overlay::Place;
use overlay::path::inside;
use overlay::vars::Variables;

use super::entries::{Entry, external};
use super::leaf;
use super::spec::{is_kustomization, spec_of};
use super::variables::variables;
use super::{Leaf, LeafName, Outcome, Site};
use crate::api::kustomization::KustomizationSpec;
use crate::reconcile::render::folder;

/// How many Kustomizations one cluster may have.
const MOST: usize = 5_000;

/// How deep Kustomizations may bring one another.
const DEPTH: usize = 32;

/// What was found below an entry.
pub(super) struct Walked {
    pub(super) leaves: Vec<Arc<Leaf>>,
    pub(super) warnings: Vec<String>,
}

/// A Kustomization that is to be built.
struct Due {
    name: LeafName,
    /// Who brings it, by number.
    parent: Option<usize>,
    spec: Result<KustomizationSpec, String>,
    place: Option<Place>,
}

struct Walk<'a> {
    site: &'a Site<'a>,
    entry: &'a Entry,
    /// The earlier leaves of the same entry, to take over.
    earlier: HashMap<&'a LeafName, &'a Arc<Leaf>>,
    leaves: Vec<Arc<Leaf>>,
    parents: Vec<Option<usize>>,
    known: HashMap<LeafName, usize>,
    warnings: Vec<String>,
}

/// Builds an entry and all below it.
pub(super) fn walk(site: &Site<'_>, entry: &Entry) -> Walked {
    let mut walk = Walk {
        site,
        entry,
        earlier: earlier(site, entry),
        leaves: Vec::new(),
        parents: Vec::new(),
        known: HashMap::new(),
        warnings: Vec::new(),
    };
    walk.build(Due {
        name: entry.name.clone(),
        parent: None,
        spec: Ok(entry.spec.clone()),
        place: entry.place.clone(),
    });
    let mut next = 0;
    while next < walk.leaves.len() {
        for due in walk.brought(next) {
            walk.build(due);
        }
        next += 1;
    }
    Walked {
        leaves: walk.leaves,
        warnings: walk.warnings,
    }
}

fn earlier<'a>(site: &Site<'a>, entry: &Entry) -> HashMap<&'a LeafName, &'a Arc<Leaf>> {
    let environments = site
        .earlier
        .map_or(&[][..], |(graph, _)| &graph.environments);
    let same = environments
        .iter()
        .filter(|environment| environment.path == entry.path);
    let leaves = same.flat_map(|environment| &environment.leaves);
    leaves.map(|leaf| (&leaf.name, leaf)).collect()
}

impl Walk<'_> {
    /// The Kustomizations in the output of one that are not known yet.
    fn brought(&mut self, number: usize) -> Vec<Due> {
        let parent = self.leaves[number].clone();
        let mut due: Vec<Due> = Vec::new();
        for object in parent
            .objects()
            .iter()
            .filter(|object| is_kustomization(&object.id))
        {
            let name = LeafName {
                namespace: object.id.namespace.clone(),
                name: object.id.name.clone(),
            };
            let spec = spec_of(object);
            if self.is_ancestor(number, &name, &spec) {
                continue;
            }
            if let Some(other) = self.known.get(&name) {
                let other = &self.leaves[*other].name;
                let warning = format!(
                    "{}: Kustomization {name} is brought by {other} too",
                    parent.name
                );
                self.warnings.push(warning);
                continue;
            }
            if due.iter().any(|other| other.name == name) {
                continue;
            }
            due.push(Due {
                name,
                parent: Some(number),
                spec,
                place: Some(object.origin.place.clone()),
            });
        }
        due
    }

    /// Whether a Kustomization is one of those that lead to it, as the first one of a cluster is in its own output; one
    /// that would build something else there is told.
    fn is_ancestor(
        &mut self,
        number: usize,
        name: &LeafName,
        spec: &Result<KustomizationSpec, String>,
    ) -> bool {
        let path = spec.as_ref().ok().and_then(|spec| spec.path.as_deref());
        let path = inside(path.unwrap_or_default());
        let line = self.line(number);
        // An entry that is a folder has no name yet: it is known by what it builds.
        let entry = &self.leaves[0];
        if entry.name.namespace.is_empty() && entry.path == path {
            return true;
        }
        let Some(ancestor) = line.iter().find(|leaf| leaf.name == *name) else {
            return false;
        };
        if ancestor.path != path {
            let chain: Vec<String> = line
                .iter()
                .rev()
                .map(|leaf| leaf.name.to_string())
                .collect();
            let warning = format!("cycle: {} bring {name} again", chain.join(" → "));
            self.warnings.push(warning);
        }
        true
    }

    /// A leaf and those that lead to it, nearest first.
    fn line(&self, number: usize) -> Vec<&Leaf> {
        let mut line = Vec::new();
        let mut at = Some(number);
        while let Some(number) = at {
            line.push(&*self.leaves[number]);
            at = self.parents[number];
        }
        line
    }

    fn build(&mut self, due: Due) {
        let number = self.leaves.len();
        self.known.insert(due.name.clone(), number);
        self.parents.push(due.parent);
        let parent = due.parent.map(|parent| self.leaves[parent].name.clone());
        let (spec, problem) = match due.spec {
            Ok(spec) => (spec, None),
            Err(problem) => (KustomizationSpec::default(), Some(problem)),
        };
        let ancestors = due
            .parent
            .map(|parent| self.line(parent))
            .unwrap_or_default();
        let problem = problem.or_else(|| too_much(number, ancestors.len()));
        let rendered: Vec<_> = ancestors.iter().map(|leaf| leaf.objects()).collect();
        let settings = self.site.settings;
        let variables = variables(&spec, &due.name.namespace, &rendered, settings, None);
        let outcome = match problem {
            Some(problem) => Outcome::Failed(problem),
            None => self.outcome(&due.name, &spec, variables.as_ref()),
        };
        let leaf = Leaf {
            path: folder(&spec),
            name: due.name,
            place: due.place,
            spec,
            parent,
            variables,
            outcome,
        };
        let leaf = self.taken_over(&leaf).unwrap_or_else(|| Arc::new(leaf));
        self.leaves.push(leaf);
    }

    fn outcome(
        &self,
        name: &LeafName,
        spec: &KustomizationSpec,
        variables: Option<&Variables>,
    ) -> Outcome {
        let rendered = self.leaves.iter().flat_map(|leaf| leaf.objects());
        let is_entry = self.leaves.is_empty();
        let external = match is_entry {
            true => None,
            false => external(self.site, self.entry, &name.namespace, spec, rendered),
        };
        if let Some(repository) = external {
            return Outcome::External(repository);
        }
        if let Some(earlier) = self.earlier.get(name)
            && earlier.spec == *spec
            && earlier.variables.as_ref() == variables
            && let Some(built) = earlier.built()
            && let Some((_, changed)) = self.site.earlier
            && changed.leaves(&built.composed.reads)
        {
            return earlier.outcome.clone();
        }
        leaf::build(self.site, spec, variables)
    }

    /// The earlier leaf that is the same value.
    fn taken_over(&self, leaf: &Leaf) -> Option<Arc<Leaf>> {
        let earlier = *self.earlier.get(&leaf.name)?;
        let (before, after) = (earlier.built()?, leaf.built()?);
        let same = Arc::ptr_eq(&before.composed, &after.composed)
            && earlier.spec == leaf.spec
            && earlier.variables == leaf.variables
            && (&earlier.place, &earlier.parent) == (&leaf.place, &leaf.parent);
        same.then(|| earlier.clone())
    }
}

fn too_much(number: usize, depth: usize) -> Option<String> {
    if number >= MOST {
        return Some(format!("the cluster has more than {MOST} Kustomizations"));
    }
    (depth > DEPTH).then(|| format!("Kustomizations bring one another more than {DEPTH} deep"))
}
