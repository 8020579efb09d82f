//! From files on disk to a plan against the live cluster, and from the plan to the cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use overlay::{Object, ObjectId, Shared, Tree};

use super::super::Failure;
use super::lending::Lending;
use super::target::Target;
use crate::cluster::prune::Pruned;
use crate::cluster::{
    self, Action, Applied, Client, Known, ObjectKey, Plan, Proofs, Wanted, Watches,
};
use crate::environments::{Settings, holds_token};
use crate::reconcile::asking::settle;
use crate::reconcile::gate::{self, Thresholds};
use crate::reconcile::keys::Decrypting;
use crate::reconcile::render::{self, Rendered};
use crate::reconcile::{inputs, support};
use crate::report::failure::Failure as Stopped;

/// How long the first sight of a kind's objects may take.
const FIRST_SIGHT: Duration = Duration::from_secs(2);

/// The way to the cluster, and what holds for all targets.
pub(super) struct Session {
    /// Speaks as the developer.
    pub(super) client: Client,
    /// What is known of live objects without asking.
    pub(super) watches: Watches,
    /// How encrypted files are opened.
    pub(super) decrypting: Decrypting,
    /// How the repository's own variables are found.
    pub(super) settings: Settings,
}

/// A plan, and how long its parts took.
pub(super) struct Planned {
    /// The plan.
    pub(super) plan: Plan,
    /// What the build had to say.
    pub(super) warnings: Vec<String>,
    /// How long building took.
    pub(super) built: Duration,
}

/// What was done.
pub(super) struct Brought {
    /// What was applied.
    pub(super) applied: Applied,
    /// What was deleted.
    pub(super) pruned: Pruned,
    /// What is kept although the files no longer have it: too much at once, or kinds that take data along.
    pub(super) held: Vec<ObjectId>,
}

fn stopped(failure: Stopped) -> Failure {
    Failure::new(failure.message)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

impl Session {
    /// Builds a target and compares it with the cluster. What is as it was last seen needs no request.
    pub(super) async fn plan(
        &self,
        target: &mut Target,
        tree: Arc<dyn Tree>,
        shared: Arc<Shared>,
    ) -> Result<Planned, Failure> {
        let begin = Instant::now();
        // What does not build is built again at whatever is saved.
        target.reads = None;
        let rendered = self.build(target, tree, shared).await?;
        let built = begin.elapsed();
        self.refuse_unknown(target, &rendered.objects)?;
        target.reads = Some(rendered.reads);
        self.look_around(target, &rendered.objects).await;
        let wanted = Wanted {
            owner: target.owner.clone(),
            objects: rendered.objects,
            force: target.spec.force,
            custom_stages: Vec::new(),
            ignore: support::ignore_rules(&target.spec).map_err(stopped)?,
        };
        let plan = cluster::plan(&self.client, wanted, &self.known(target)).await;
        let mut plan = plan.map_err(refused)?;
        if !target.spec.prune || target.inventory.objects.is_empty() {
            plan.prunes.clear();
        }
        target.proofs = proofs(&plan);
        target.planned = Some(plan.inventory());
        Ok(Planned {
            plan,
            warnings: rendered.warnings,
            built,
        })
    }

    async fn build(
        &self,
        target: &Target,
        tree: Arc<dyn Tree>,
        shared: Arc<Shared>,
    ) -> Result<Rendered, Failure> {
        let kube = self.client.kube();
        let reader = inputs::Reader {
            client: &kube,
            watches: None,
        };
        let (namespace, mut spec) = (&target.owner.namespace, target.spec.clone());
        if target.kustomization.is_none() {
            // Its variables are those that the repository has for it.
            spec.post_build = None;
        }
        let inputs = inputs::gather(reader, namespace, &spec, &self.decrypting).await;
        let mut inputs = inputs.map_err(stopped)?;
        if target.variables.is_some() {
            inputs.variables = target.variables.clone();
        }
        let rendered = settle(inputs, |inputs| {
            let (spec, tree, shared) = (spec.clone(), tree.clone(), shared.clone());
            async move {
                let build = move || render::attempt(&spec, tree.as_ref(), Some(&shared), inputs);
                let built = tokio::task::spawn_blocking(build).await;
                built.map_err(Stopped::of(crate::api::kustomization::reason::BUILD_FAILED))
            }
        });
        rendered.await.map_err(stopped)
    }

    /// What only a running cluster knows is not made up.
    fn refuse_unknown(&self, target: &Target, objects: &[Object]) -> Result<(), Failure> {
        let holds = |object: &&Object| holds_token(&object.node, &self.settings.marker);
        match objects.iter().find(holds) {
            Some(object) if target.variables.is_some() => Err(Failure::with_hint(
                format!(
                    "{}: a variable of it is known to a running cluster only",
                    object.id
                ),
                "--vars FILE sets variables",
            )),
            _ => Ok(()),
        }
    }

    /// Watches the kinds of the objects, so that what is as it was needs no request at the next save.
    async fn look_around(&self, target: &Target, objects: &[Object]) {
        if cluster::learn(&self.client, objects).await.is_err() {
            // The plan will say so.
            return;
        }
        let kinds = objects
            .iter()
            .filter_map(|object| self.client.discovery().get(&object.id));
        let kinds: std::collections::BTreeSet<_> = kinds.collect();
        self.watches.want(&target.owner, kinds.clone());
        self.watches.settled(&kinds, FIRST_SIGHT).await;
    }

    /// The first plan asks for every object. An empty inventory is no first deploy here: what was asked for is known.
    fn known(&self, target: &Target) -> Known {
        let inventory = match target.inventory.objects.is_empty() {
            true => target.planned.clone().unwrap_or_default(),
            false => target.inventory.clone(),
        };
        Known {
            inventory,
            live: self.watches.live(),
            proofs: target.proofs.clone(),
            check_all: target.planned.is_none(),
            ..Known::default()
        }
    }

    /// Executes a plan: what is new is answered for first, what goes is deleted last.
    pub(super) async fn bring(
        &self,
        target: &mut Target,
        plan: &Plan,
        lending: &Lending,
    ) -> Result<Brought, Failure> {
        let before = target.inventory.clone();
        let wanted = plan.inventory();
        target.inventory = wanted.with(&before.missing_in(&wanted));
        if target.inventory.objects.len() > before.objects.len() {
            lending.answer_for(target).await?;
        }
        let applied = cluster::apply(&self.client, plan).await;
        target.proofs.extend(applied.changes.proofs());
        let mut brought = Brought {
            applied,
            pruned: Pruned::default(),
            held: Vec::new(),
        };
        if brought.applied.errors.is_empty() && target.spec.prune {
            self.prune(target, plan, &mut brought).await;
        }
        Ok(brought)
    }

    /// Half-written files must not empty a cluster: what the controller would hold back is held back here.
    async fn prune(&self, target: &mut Target, plan: &Plan, brought: &mut Brought) {
        let wanted = plan.inventory();
        let verdict = gate::check(
            &target.inventory.objects,
            &wanted.objects,
            None,
            Thresholds::default(),
        );
        let is_free = |id: &&ObjectId| verdict.free.contains(id);
        let free: Vec<ObjectId> = plan.prunes.iter().filter(is_free).cloned().collect();
        brought.pruned = cluster::prune(&self.client, &plan.owner, &free, &target.proofs).await;
        let left = brought.pruned.errors.iter().map(|error| error.id.clone());
        target.inventory = wanted.with(&verdict.held).with(&left.collect::<Vec<_>>());
        brought.held = verdict.held;
    }
}

/// The proofs of all that is as wanted.
fn proofs(plan: &Plan) -> Proofs {
    let unchanged = plan
        .steps
        .iter()
        .filter(|step| step.action == Action::Unchanged);
    let proof = |step: &cluster::Step| Some((ObjectKey::from(&step.id), step.proof.clone()?));
    unchanged.filter_map(proof).collect()
}
