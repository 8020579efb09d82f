//! What the files of a repository would do to a cluster that is there: its environments, built with what the cluster
//! lends, and dry-run.
//!
//! ```text
//! Graph + Living ──here──▶ [Place] ──grow──▶ [Grown] ──planned──▶ [Planned] ──told──▶ Comparison
//! ```
//! Every request is the caller's own, and nothing is written, until a plan that was saved is carried out (`execute`): then
//! each Kustomization's objects are planned and written in the name of its own account.

mod earlier;
mod execute;
mod grow;
mod here;
mod living;
mod lost;
mod planned;
mod saved;
mod store;
mod told;

use std::collections::BTreeMap;

use futures::StreamExt as _;
use overlay::Tree;

use crate::cluster::{self, Client, Cluster, Identity};
use crate::comparison::{Comparison, EnvironmentChange, Presence, Scope, conceal};
use crate::environments::{Graph, SecretNames, Settings, facts};
use crate::reconcile::keys::Decrypting;
use crate::report::failure::Failure;

pub use earlier::Earlier;
pub use execute::{Carried, execute, to_come, unready};
pub use grow::{Grown, Made};
pub use here::{Place, is_builder_of, places};
pub use living::{Living, living};
pub use lost::{Gone, Lost};
pub use planned::Planned;
pub use saved::{Header, SCHEMA, Saved, differences, is_whole, saved};
pub use store::{Source, Store};

/// Kustomizations that are planned at the same time; the requests of all share one limit.
const AT_ONCE: usize = 8;

/// Gives the files of a commit.
pub type AtCommit = dyn Fn(&str) -> Option<Box<dyn Tree>> + Send + Sync;

/// What a plan is made with.
pub struct Ground<'a> {
    /// The files.
    pub tree: &'a dyn Tree,
    /// How environments are built.
    pub settings: &'a Settings,
    /// What the files make without a cluster.
    pub graph: &'a Graph,
    /// The Kustomizations that are there.
    pub living: &'a Living,
    /// The files of an earlier commit, where they are at hand.
    pub at_commit: &'a AtCommit,
    /// Speaks as the caller.
    pub client: &'a Client,
    /// How encrypted files are opened; without it they are not.
    pub decrypting: Option<&'a Decrypting>,
    /// The cluster, where each Kustomization's own account speaks for it and nothing is told without trying.
    pub acting: Option<&'a Cluster>,
}

/// The plan of one place: an environment, or Kustomizations that no environment brings.
pub struct PlacePlan {
    /// What was found.
    pub place: Place,
    /// Its Kustomizations, those that bring others first.
    pub leaves: Vec<Planned>,
    /// Of those that go, what they have applied: in the order in which they are pruned.
    pub gone: Vec<Gone>,
    /// What of what is there came from secrets.
    pub earlier: Earlier,
}

/// A plan against a cluster.
pub struct Live {
    /// By place.
    pub places: Vec<PlacePlan>,
    /// What was read of the cluster for the build.
    pub sources: Vec<Source>,
}

/// Plans what of a repository is in a cluster and in scope.
pub async fn plan(ground: &Ground<'_>, scope: &Scope) -> Result<Live, Failure> {
    let store = Store::new(ground.client.kube(), ground.decrypting);
    let mut all = Vec::new();
    for place in places(ground, scope) {
        let plan = plan_place(ground, &store, place, scope).await?;
        if !plan.leaves.is_empty() {
            all.push(plan);
        }
    }
    Ok(Live {
        places: all,
        sources: store.sources(),
    })
}

async fn plan_place(
    ground: &Ground<'_>,
    store: &Store<'_>,
    place: Place,
    scope: &Scope,
) -> Result<PlacePlan, Failure> {
    let grown = grow::grow(ground, store, &place).await?;
    let earlier = earlier::earlier(ground, store, &grown).await?;
    let mut beside = planned::beside(ground, store, &grown).await?;
    beside.once_secret = earlier.once_secret.clone();
    let is_meant = |grown: &Grown| grown.is_in(scope);
    let works = grown.into_iter().filter(is_meant).map(|grown| {
        let beside = beside.clone();
        async move { planned::plan(ground, grown, beside).await }
    });
    let works: Vec<_> = works.collect();
    let planned: Vec<_> = futures::stream::iter(works)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut leaves = planned
        .into_iter()
        .collect::<Result<Vec<Planned>, Failure>>()?;
    lost::note_lost(ground, &mut leaves).await?;
    let gone = lost::gone(ground, &leaves).await?;
    Ok(PlacePlan {
        place,
        leaves,
        gone,
        earlier,
    })
}

impl Live {
    /// Files of which only their key says which objects they hold.
    pub fn closed(&self) -> impl Iterator<Item = &String> {
        let leaves = self.places.iter().flat_map(|place| &place.leaves);
        leaves.flat_map(|leaf| &leaf.closed)
    }
}

/// The plan as a comparison, for all printers. What `earlier` holds differs in the cluster without this change too.
pub fn comparison(ground: &Ground<'_>, live: &Live, changed: Option<&Comparison>) -> Comparison {
    let mut comparison = Comparison::default();
    for plan in &live.places {
        let mut change = told::environment(ground, plan);
        conceal(&mut change, &secret_names(ground, plan));
        if let Some(changed) = changed {
            told::mark_earlier(&mut change, changed);
        }
        match change.leaves.is_empty() && change.warnings.is_empty() {
            true => comparison.unchanged.push(change.name),
            false => comparison.environments.push(change),
        }
    }
    comparison
}

/// The names that tell of secret content: of what is wanted, of what was, and of what else is there.
pub fn secret_names(ground: &Ground<'_>, plan: &PlacePlan) -> SecretNames {
    let wanted = plan.leaves.iter().flat_map(|leaf| leaf.grown.objects());
    let mut names = SecretNames::of(wanted, &ground.settings.marker);
    let steps = plan.leaves.iter().filter_map(|leaf| leaf.plan.as_ref());
    for plan in steps {
        plan.prunes.iter().for_each(|id| names.add_live(id));
        plan.steps.iter().for_each(|step| names.add_live(&step.id));
    }
    let gone = plan.gone.iter().flat_map(|gone| &gone.objects);
    gone.for_each(|lost| names.add_live(&lost.id));
    names.extend(plan.earlier.names.clone());
    for (name, meanwhile) in plan.leaves.iter().flat_map(|leaf| &leaf.unnamed) {
        names.add(meanwhile, name);
    }
    names
}

fn environment(ground: &Ground<'_>, place: &Place) -> EnvironmentChange {
    let environment = place
        .environment
        .and_then(|at| ground.graph.environments.get(at));
    let stages = environment.map(|it| facts(it, &ground.graph.folders).stages);
    EnvironmentChange {
        name: place.name.clone(),
        kind: place.kind,
        path: place.path.clone(),
        stages: stages.unwrap_or_default(),
        presence: Presence::Kept,
        leaves: Vec::new(),
        unchanged: BTreeMap::new(),
        warnings: Vec::new(),
    }
}

/// Who speaks for a Kustomization: where a plan is carried out its own account, if it names one, else the caller.
fn client(ground: &Ground<'_>, grown: &Grown) -> Result<Client, Failure> {
    let account = grown.spec.service_account_name.as_ref();
    let (Some(cluster), Some(name)) = (ground.acting, account) else {
        return Ok(ground.client.clone());
    };
    let identity = Identity::ServiceAccount {
        namespace: grown.name.namespace.clone(),
        name: name.clone(),
    };
    cluster.client(&identity).map_err(refused)
}

/// Which cluster it is: the unique id of the namespace that every cluster has from its beginning.
pub async fn cluster_id(client: &Client) -> Result<String, Failure> {
    let found = client.get_metadata("/api/v1/namespaces/kube-system").await;
    let uid = found.map_err(refused)?["metadata"]["uid"]
        .as_str()
        .map(str::to_owned);
    Ok(uid.unwrap_or_default())
}

/// A failure of the API server as a whole.
fn refused(error: cluster::Error) -> Failure {
    crate::reconcile::run::refused(error)
}
