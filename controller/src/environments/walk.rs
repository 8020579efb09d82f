//! From an entry down: every Kustomization in the output of one is built in turn, those that bring others first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use overlay::Place;
use overlay::path::inside;
use overlay::vars::Variables;
use overlay::yaml::Secret;

use super::entries::{Entry, external};
use super::leaf;
use super::spec::{is_kustomization, spec_of};
use super::variables::{secret_variables, variables, with_secrets};
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
    /// What was to be left out is brought by another one than it was.
    pub(super) is_moved: bool,
}

/// The Kustomizations that are not built as all others are.
#[derive(Default)]
pub(super) struct Instead<'a> {
    /// Those that are left out, and who brings them.
    pub(super) left_out: HashMap<&'a LeafName, &'a LeafName>,
    /// Those that are composed, and no more.
    pub(super) composed: HashSet<&'a LeafName>,
}

/// A Kustomization that is to be built.
struct Due {
    name: LeafName,
    /// Who brings it, by number.
    parent: Option<usize>,
    spec: Result<KustomizationSpec, String>,
    /// Its secret variables, which the spec does not show.
    secrets: Vec<(String, Secret)>,
    place: Option<Place>,
}

struct Walk<'a> {
    site: &'a Site<'a>,
    entry: &'a Entry,
    /// The earlier leaves of the same entry, to take over.
    earlier: HashMap<&'a LeafName, &'a Arc<Leaf>>,
    instead: &'a Instead<'a>,
    is_moved: bool,
    leaves: Vec<Arc<Leaf>>,
    parents: Vec<Option<usize>>,
    /// Whether each is the same value as before, with those that lead to it.
    kept: Vec<bool>,
    known: HashMap<LeafName, usize>,
    warnings: Vec<String>,
}

/// Builds an entry and all below it, but for what is done instead.
pub(super) fn walk(site: &Site<'_>, entry: &Entry, instead: &Instead<'_>) -> Walked {
    let mut walk = Walk {
        site,
        entry,
        earlier: earlier(site, entry),
        instead,
        is_moved: false,
        leaves: Vec::new(),
        parents: Vec::new(),
        kept: Vec::new(),
        known: HashMap::new(),
        warnings: Vec::new(),
    };
    walk.build(Due {
        name: entry.name.clone(),
        parent: None,
        spec: Ok(entry.spec.clone()),
        secrets: Vec::new(),
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
        is_moved: walk.is_moved,
    }
}

fn earlier<'a>(site: &Site<'a>, entry: &Entry) -> HashMap<&'a LeafName, &'a Arc<Leaf>> {
    let earlier = site.earlier.as_ref();
    let leaves = earlier.and_then(|earlier| earlier.leaves.get(entry.path.as_str()));
    let leaves = leaves.into_iter().flatten();
    leaves.map(|leaf| (&leaf.name, *leaf)).collect()
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
            if let Some(bringer) = self.instead.left_out.get(&name) {
                self.is_moved |= **bringer != parent.name;
                continue;
            }
            let earlier = self.as_before(number, &name);
            let spec = earlier.map_or_else(|| spec_of(object), |earlier| Ok(earlier.spec.clone()));
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
                secrets: secret_variables(object),
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
        self.parents.push(due.parent);
        self.known.insert(due.name.clone(), self.leaves.len());
        let leaf = self.leaf(due);
        let earlier = self.earlier.get(&leaf.name);
        let is_same = earlier.is_some_and(|earlier| Arc::ptr_eq(earlier, &leaf));
        let parent = self.parents.last().copied().flatten();
        self.kept
            .push(is_same && parent.is_none_or(|parent| self.kept[parent]));
        self.leaves.push(leaf);
    }

    fn leaf(&self, due: Due) -> Arc<Leaf> {
        let (spec, problem) = match due.spec {
            Ok(spec) => (spec, None),
            Err(problem) => (KustomizationSpec::default(), Some(problem)),
        };
        let ancestors = due
            .parent
            .map(|parent| self.line(parent))
            .unwrap_or_default();
        let problem = problem.or_else(|| too_much(self.leaves.len(), ancestors.len()));
        let parent = ancestors.first().map(|parent| parent.name.clone());
        let variables = match due
            .parent
            .and_then(|parent| self.as_before(parent, &due.name))
        {
            Some(earlier) => earlier.variables.clone(),
            None => {
                let rendered: Vec<_> = ancestors.iter().map(|leaf| leaf.objects()).collect();
                let settings = self.site.settings;
                let namespace = &due.name.namespace;
                let variables = variables(&spec, namespace, &rendered, settings, None);
                with_secrets(variables, &due.secrets)
            }
        };
        let external = self.external(&due.name, &spec);
        let stays = self.stays(&due.name, &spec, variables.as_ref());
        let outcome = match (problem, external, stays) {
            (Some(problem), ..) => Outcome::Failed(problem),
            (None, Some(repository), _) => Outcome::External(repository),
            (None, None, Some(earlier))
                if (&earlier.place, &earlier.parent) == (&due.place, &parent) =>
            {
                return earlier.clone();
            }
            (None, None, Some(earlier)) => earlier.outcome.clone(),
            _ if self.instead.composed.contains(&due.name) => leaf::composed(self.site, &spec),
            (None, None, None) => leaf::build(self.site, &spec, variables.as_ref()),
        };
        Arc::new(Leaf {
            path: folder(&spec),
            name: due.name,
            place: due.place,
            spec,
            parent,
            variables,
            outcome,
        })
    }

    fn external(&self, name: &LeafName, spec: &KustomizationSpec) -> Option<String> {
        if self.leaves.is_empty() {
            return None;
        }
        let rendered = self.leaves.iter().flat_map(|leaf| leaf.objects());
        external(self.site, self.entry, &name.namespace, spec, rendered)
    }

    /// The earlier leaf that one of this spec and these variables is again.
    fn stays(
        &self,
        name: &LeafName,
        spec: &KustomizationSpec,
        variables: Option<&Variables>,
    ) -> Option<&Arc<Leaf>> {
        let earlier = *self.earlier.get(name)?;
        let changed = self.site.earlier.as_ref()?.changed;
        let is_same = earlier.spec == *spec
            && earlier.variables.as_ref() == variables
            && changed.leaves(&earlier.built()?.composed.reads);
        is_same.then_some(earlier)
    }

    /// The earlier leaf of a name, when what brings it is the same value as before with all that leads there: its spec
    /// and its variables are the same then.
    fn as_before(&self, parent: usize, name: &LeafName) -> Option<&Arc<Leaf>> {
        let earlier = *self.earlier.get(name).filter(|_| self.kept[parent])?;
        let is_brought = earlier.parent.as_ref() == Some(&self.leaves[parent].name);
        (is_brought && earlier.built().is_some()).then_some(earlier)
    }
}

fn too_much(number: usize, depth: usize) -> Option<String> {
    if number >= MOST {
        return Some(format!("the cluster has more than {MOST} Kustomizations"));
    }
    (depth > DEPTH).then(|| format!("Kustomizations bring one another more than {DEPTH} deep"))
}
