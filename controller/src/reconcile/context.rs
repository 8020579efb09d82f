//! What every run may use: clients, the objects that the watches show, the snapshots of the sources.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::Semaphore;

use super::automatic::waves::Waves;
use super::dependencies::Readiness;
use super::dependents::Dependents;
use super::desired::Desired;
use super::foreign::{Foreign, Sight};
use super::gate::Thresholds;
use super::input_watches::InputWatches;
use super::keys::Decrypting;
use super::observe::Listed;
use super::package::Package;
use super::schedule::{Key, Kind, Schedule, Turns};
use super::sites::Sites;
use super::snapshots::Snapshots;
use crate::api::bucket::Bucket;
use crate::api::git_repository::GitRepository;
use crate::api::kustomization::Kustomization;
use crate::api::oci_repository::OCIRepository;
use crate::api::receiver::Receiver;
use crate::cluster::order::GroupKind;
use crate::report::events::Events;
use crate::report::metrics::Metrics;
use crate::source::{Repositories, Storage};
use crate::web::receiver::Hooks;

/// What the command line decides for all runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How soon a Kustomization whose dependencies are not ready is looked at again without any event.
    pub requeue_dependency: Duration,
    /// The shortest time between two status writes of a Kustomization for revisions that change nothing.
    pub unchanged_status_interval: Duration,
    /// Refuse references to sources and dependencies of other namespaces.
    pub no_cross_namespace_references: bool,
    /// The account of Kustomizations that name none; Weir's own when this is not given.
    pub default_service_account: Option<String>,
    /// The account whose tokens open other clusters, where a ConfigMap names none.
    pub default_kubeconfig_service_account: Option<String>,
    /// How many deletions at once wait for a person's word.
    pub gate: Thresholds,
    /// Kinds with an apply stage of their own.
    pub custom_stages: Vec<GroupKind>,
    /// Sources are left to Flux's source-controller.
    pub leaves_sources: bool,
    /// Kustomizations are left to another process.
    pub leaves_kustomizations: bool,
    /// Other processes look after other Kustomizations: what those have applied is asked of the API server.
    pub shares: bool,
    /// The one namespace that is looked at; none when all are.
    pub namespace: Option<String>,
    /// An object that has failed ends a health check before its time is over.
    pub fail_fast: bool,
    /// A variable without a value is an error.
    pub strict_substitution: bool,
    /// `readyExpr` adds to the built-in rule of dependencies in place of replacing it.
    pub additive_dependency_check: bool,
}

/// What every run may use.
pub struct Context {
    /// Speaks as Weir itself: for Weir's own resources, and the ConfigMaps and Secrets that they refer to.
    pub client: kube::Client,
    /// The clusters of the managed objects; every client of them has an identity.
    pub sites: Sites,
    /// The watches of ConfigMaps and Secrets that builds take values from.
    pub input_watches: InputWatches,
    /// What the command line decides.
    pub settings: Settings,
    /// How encrypted files are opened.
    pub decrypting: Decrypting,
    /// All tasks.
    pub schedule: Arc<Schedule>,
    /// GitRepositories as the watch shows them.
    pub git_repositories: Store<GitRepository>,
    /// OCIRepositories as the watch shows them.
    pub oci_repositories: Store<OCIRepository>,
    /// Buckets as the watch shows them.
    pub buckets: Store<Bucket>,
    /// Kustomizations as the watch shows them.
    pub kustomizations: Store<Kustomization>,
    /// Receivers as the watch shows them.
    pub receivers: Store<Receiver>,
    /// The calls that they wait for.
    pub hooks: Arc<Hooks>,
    /// Sources that other controllers look after.
    pub foreign: Foreign,
    /// The kinds of own resources that the watches have listed.
    pub listed: Listed,
    /// The newest snapshot of every source.
    pub snapshots: Snapshots,
    /// Caches of Git repositories, and the ways to their servers.
    pub repositories: Arc<Repositories>,
    /// Where artifacts are stored for others.
    pub storage: Storage,
    /// What each Kustomization wants of its cluster.
    pub desired: Desired,
    /// What is known of the Kustomizations' readiness.
    pub readiness: Readiness,
    /// Who of other processes waits for Kustomizations of this one.
    pub dependents: Dependents,
    /// Where events are handed in.
    pub events: Events,
    /// All that is measured.
    pub metrics: Arc<Metrics>,
    /// Turns for status writes that nobody waits for.
    pub turns: Turns,
    /// What of stages with waves is held back from this environment.
    pub waves: Waves,
    /// How many builds, fetches and other work for the processor run at once.
    pub processors: Semaphore,
}

impl Context {
    /// A GitRepository as the watch shows it.
    pub fn git_repository(&self, key: &Key) -> Option<Arc<GitRepository>> {
        self.git_repositories
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// A Receiver as the watch shows it.
    pub fn receiver(&self, key: &Key) -> Option<Arc<Receiver>> {
        self.receivers
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// What a watch shows of a source, whoever looks after it.
    pub fn source(&self, key: &Key) -> Option<Sight> {
        let own = (!self.foreign.covers(key.kind)).then(|| self.own_source(key));
        own.flatten().or_else(|| self.foreign.sight(key))
    }

    /// Whether Weir looks after a source.
    pub fn is_own(&self, key: &Key) -> bool {
        !self.foreign.covers(key.kind) && self.own_source(key).is_some()
    }

    /// Whether somebody else looks after a source that is there.
    pub fn is_foreign(&self, key: &Key) -> bool {
        !self.is_own(key) && self.foreign.sight(key).is_some()
    }

    fn own_source(&self, key: &Key) -> Option<Sight> {
        match key.kind {
            Kind::OciRepository => {
                let object = OCIRepository::find(self, key)?;
                Some(Sight::of_source(
                    object.status.as_ref().map(|status| &status.source),
                ))
            }
            Kind::Bucket => {
                let object = Bucket::find(self, key)?;
                Some(Sight::of_source(
                    object.status.as_ref().map(|status| &status.source),
                ))
            }
            Kind::GitRepository => self.git_repository(key).map(|object| Sight::of(&object)),
            Kind::ExternalArtifact | Kind::Kustomization | Kind::Receiver => None,
        }
    }

    /// A Kustomization as the watch shows it.
    pub fn kustomization(&self, key: &Key) -> Option<Arc<Kustomization>> {
        self.kustomizations
            .get(&ObjectRef::new(&key.name).within(&key.namespace))
    }
}
