//! From what a place begins with down: every Kustomization in the output of one is built in turn, with the variables and
//! keys that the cluster lends.

use std::collections::BTreeSet;
use std::future::ready;

use overlay::build::Reads;
use overlay::path::inside;
use overlay::yaml::Secret;
use overlay::{Object, Shared};
use sops::Answers;

use super::{Ground, Place, Store};
use crate::api::kustomization::KustomizationSpec;
use crate::comparison::{Problem, Scope};
use crate::environments::{
    Built, LeafName, Outcome, is_kustomization, secret_variables, spec_of, variables, with_secrets,
    without_keys,
};
use crate::reconcile::asking::settle;
use crate::reconcile::inputs::Inputs;
use crate::reconcile::render;
use crate::report::failure::Failure;

/// How many Kustomizations one place may have.
const MOST: usize = 5_000;

/// Bytes of files that the builds share.
const SHARED: usize = 64 << 20;

/// One Kustomization, built.
pub struct Grown {
    /// Who it is; without a namespace when it is applied by hand.
    pub name: LeafName,
    /// The folder that it builds.
    pub path: String,
    /// Its spec, as what brings it has it now.
    pub spec: KustomizationSpec,
    /// What came of it.
    pub made: Made,
    parent: Option<usize>,
}

/// What came of building a Kustomization.
pub enum Made {
    /// Its objects, and all that was looked at.
    Objects(Vec<Object>, Reads),
    /// Why it cannot be planned.
    Problem(Problem),
    /// Its files lie in another repository.
    Elsewhere,
}

impl Grown {
    /// The objects; none when there are none to plan.
    pub fn objects(&self) -> &[Object] {
        match &self.made {
            Made::Objects(objects, _) => objects,
            Made::Problem(_) | Made::Elsewhere => &[],
        }
    }

    /// All that was looked at, where it builds.
    pub fn reads(&self) -> Option<&Reads> {
        match &self.made {
            Made::Objects(_, reads) => Some(reads),
            Made::Problem(_) | Made::Elsewhere => None,
        }
    }

    /// Whether it is to be planned.
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        let below = |folder: &str, path: &str| path.starts_with(&format!("{folder}/"));
        match scope {
            Scope::All | Scope::Environment(_) => true,
            Scope::Kustomization(name) => self.name.name == *name || self.name.to_string() == *name,
            Scope::Path(folder) => {
                let reads = self.reads().map(|reads| &reads.paths);
                let is_read = |path: &String| path == folder || below(folder, path);
                self.path == *folder
                    || below(folder, &self.path)
                    || reads.is_some_and(|reads| {
                        let found = reads.iter().filter(|(path, _)| is_read(path));
                        let mut found = found.map(|(_, read)| read);
                        found.any(|read| *read != overlay::build::Read::Absent)
                    })
            }
        }
    }
}

/// Builds a place, those that bring others first.
pub(super) async fn grow(
    ground: &Ground<'_>,
    store: &Store<'_>,
    place: &Place,
) -> Result<Vec<Grown>, Failure> {
    let mut growth = Growth {
        ground,
        store,
        shared: Shared::new(SHARED),
        skipped: of_other_environments(ground, place),
        grown: Vec::new(),
    };
    for (name, spec) in &place.begins {
        let begin = Brought {
            name: name.clone(),
            spec: Ok(spec.clone()),
            secrets: Vec::new(),
        };
        growth.add(begin, None).await?;
    }
    let mut next = 0;
    while next < growth.grown.len() {
        for brought in growth.brought(next) {
            growth.add(brought, Some(next)).await?;
        }
        next += 1;
    }
    Ok(growth.grown)
}

/// An entry may lead to several environments: what is another's alone is none of this one's.
fn of_other_environments(ground: &Ground<'_>, place: &Place) -> BTreeSet<LeafName> {
    let environments = &ground.graph.environments;
    let Some(own) = place.environment.and_then(|at| environments.get(at)) else {
        return BTreeSet::new();
    };
    let others = environments.iter().filter(|other| other.path == own.path);
    let leaves = others.flat_map(|other| &other.leaves);
    let is_own = |name: &LeafName| own.leaves.iter().any(|leaf| leaf.name == *name);
    let names = leaves.map(|leaf| leaf.name.clone());
    names.filter(|name| !is_own(name)).collect()
}

/// A Kustomization as the output of another one has it.
struct Brought {
    name: LeafName,
    spec: Result<KustomizationSpec, String>,
    /// Its secret variables, which the spec does not show.
    secrets: Vec<(String, Secret)>,
}

struct Growth<'a> {
    ground: &'a Ground<'a>,
    store: &'a Store<'a>,
    shared: Shared,
    skipped: BTreeSet<LeafName>,
    grown: Vec<Grown>,
}

impl Growth<'_> {
    /// The Kustomizations in the output of one that are not known yet.
    fn brought(&self, number: usize) -> Vec<Brought> {
        let objects = self.grown[number].objects().iter();
        let mut found: Vec<Brought> = Vec::new();
        for object in objects.filter(|object| is_kustomization(&object.id)) {
            let name = LeafName {
                namespace: object.id.namespace.clone(),
                name: object.id.name.clone(),
            };
            let is_known = self.grown.iter().any(|grown| grown.name == name)
                || found.iter().any(|other| other.name == name)
                || self.skipped.contains(&name);
            if !is_known {
                found.push(Brought {
                    name,
                    spec: spec_of(object),
                    secrets: secret_variables(object),
                });
            }
        }
        found
    }

    async fn add(&mut self, brought: Brought, parent: Option<usize>) -> Result<(), Failure> {
        let Brought {
            name,
            spec,
            secrets,
        } = brought;
        let (spec, problem) = match spec {
            Ok(spec) => (spec, None),
            Err(problem) => (KustomizationSpec::default(), Some(problem)),
        };
        let path = inside(spec.path.as_deref().unwrap_or_default());
        // A folder that is applied by hand may hold the Kustomization that would build it.
        let is_again = |grown: &Grown| grown.name.namespace.is_empty() && grown.path == path;
        if parent.is_some() && self.grown.iter().any(is_again) {
            return Ok(());
        }
        let many = (self.grown.len() >= MOST)
            .then(|| format!("the cluster has more than {MOST} Kustomizations"));
        let made = match problem.or(many) {
            Some(problem) => Made::Problem(Problem::Breaks(problem)),
            None => self.made(&name, &spec, &secrets, parent).await?,
        };
        self.grown.push(Grown {
            name,
            path,
            spec,
            made,
            parent,
        });
        Ok(())
    }

    async fn made(
        &self,
        name: &LeafName,
        spec: &KustomizationSpec,
        secrets: &[(String, Secret)],
        parent: Option<usize>,
    ) -> Result<Made, Failure> {
        if self.is_elsewhere(name) {
            return Ok(Made::Elsewhere);
        }
        if let Some(reference) = &spec.kube_config {
            let secret = reference.secret_ref.as_ref().map(|it| &it.name);
            let map = reference.config_map_ref.as_ref().map(|it| &it.name);
            let way = secret.or(map).cloned().unwrap_or_default();
            return Ok(Made::Problem(Problem::AnotherCluster(way)));
        }
        let lent = self.store.lent(spec, &name.namespace).await?;
        let line: Vec<&[Object]> = self.line(parent);
        let settings = self.ground.settings;
        let variables = variables(spec, &name.namespace, &line, settings, Some(&lent));
        let variables = with_secrets(variables, secrets);
        let keys = match &spec.decryption {
            Some(decryption) => match self.store.keys(decryption, &name.namespace).await {
                Some(keys) => Some(keys),
                None => {
                    let made = without_keys(self.ground.tree, settings, spec, variables.as_ref());
                    return Ok(of_outcome(made));
                }
            },
            None => None,
        };
        let (keys, decrypting) = keys.map_or((None, Default::default()), |(keys, decrypting)| {
            (Some(keys), decrypting)
        });
        let inputs = Inputs {
            variables,
            lenient: false,
            keys,
            answers: Answers::default(),
            decrypting,
        };
        let (tree, shared) = (self.ground.tree, Some(&self.shared));
        let build = |inputs| ready(Ok(render::attempt(spec, tree, shared, inputs)));
        Ok(match settle(inputs, build).await {
            Ok(rendered) => Made::Objects(rendered.objects, rendered.reads),
            Err(failure) => Made::Problem(Problem::Breaks(failure.message)),
        })
    }

    /// What those that lead to one render, nearest first.
    fn line(&self, parent: Option<usize>) -> Vec<&[Object]> {
        let mut line = Vec::new();
        let mut at = parent;
        while let Some(grown) = at.and_then(|at| self.grown.get(at)) {
            line.push(grown.objects());
            at = grown.parent;
        }
        line
    }

    fn is_elsewhere(&self, name: &LeafName) -> bool {
        let environments = self.ground.graph.environments.iter();
        let mut leaves = environments.flat_map(|it| &it.leaves);
        let found = leaves.find(|leaf| leaf.name == *name);
        found.is_some_and(|leaf| matches!(leaf.outcome, Outcome::External(_)))
    }
}

fn of_outcome(outcome: Outcome) -> Made {
    match outcome {
        Outcome::Built(Built {
            objects, composed, ..
        }) => Made::Objects(objects, composed.reads.clone()),
        Outcome::Failed(why) => Made::Problem(Problem::Breaks(why)),
        Outcome::External(_) => Made::Elsewhere,
    }
}
