//! The clusters that objects are applied to: Weir's own, and those that `spec.kubeConfig` leads to.
//!
//! Kustomizations whose kubeconfig says the same share a site: its connections, its limit, its watches.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::access::{self, Access};
use super::context::Context;
use super::observe;
use super::run::refused;
use super::schedule::{Key, Schedule, Wake};
use crate::api::kustomization::{KubeConfigReference, Kustomization, reason};
use crate::cluster::order::GroupKind;
use crate::cluster::watch::{Report, Watches};
use crate::cluster::{Cluster, Identity, Limits, ObjectKey, Owner, Proofs, cluster_id, kubeconfig};
use crate::report::failure::{Again, Failure};

/// How long a cluster is waited for when it is asked which one it is.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// One cluster that objects are applied to.
pub struct Site {
    /// The way there; every client has an identity.
    pub cluster: Cluster,
    /// The shared watches of managed objects.
    pub watches: Watches,
    /// Kinds that the account may not watch: their objects are checked at the interval.
    unwatchable: Mutex<BTreeSet<GroupKind>>,
    /// Places for those that are deployed for the first time.
    first_deploys: Arc<Semaphore>,
    /// When its token is used no longer.
    until: Option<Instant>,
    /// What tells the cluster from others, once that is known; none inside where the account may not ask.
    id: OnceCell<Option<String>>,
}

/// How many Kustomizations are deployed for the first time at once: more than there are requests in flight, so that
/// none is idle, and not all of a fleet of a thousand, whose objects would all be in memory until the last is applied.
const FIRST_DEPLOYS: usize = 32;

/// All clusters that objects are applied to.
pub struct Sites {
    own: Arc<Site>,
    insecure: bool,
    remote: Mutex<Remote>,
}

#[derive(Default)]
struct Remote {
    /// Where each Kustomization with a kubeconfig was last brought.
    by_key: HashMap<Key, Arc<Site>>,
    /// By the digest of the kubeconfig.
    by_digest: HashMap<[u8; 32], Weak<Site>>,
}

impl Site {
    /// A cluster, seen by Weir's own account there; what its watches report comes out of the receiver.
    pub fn new(
        cluster: Cluster,
        until: Option<Instant>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Report>), crate::cluster::Error> {
        let (watches, reports) = Watches::new(cluster.client(&Identity::OwnAccount)?);
        let unwatchable = Mutex::default();
        let site = Self {
            cluster,
            watches,
            unwatchable,
            first_deploys: Arc::new(Semaphore::new(FIRST_DEPLOYS)),
            until,
            id: OnceCell::new(),
        };
        Ok((Arc::new(site), reports))
    }

    /// Waits for one of the places of those that are deployed for the first time.
    pub async fn first_deploy(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.first_deploys.clone().acquire_owned().await.ok()
    }

    /// Asks once which cluster this is. Where nobody answers, the next run asks again.
    async fn learn_id(&self) {
        let ask = async || {
            let client = self.cluster.client(&Identity::OwnAccount)?;
            cluster_id(&client).await
        };
        let server = self.cluster.address();
        // All who come to a cluster that is away wait together.
        match tokio::time::timeout(FIRST_ANSWER, self.id.get_or_try_init(ask)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, server, "the cluster's id was not read"),
            Err(_) => tracing::debug!(server, "the cluster's id was not read in time"),
        }
    }

    /// What tells the cluster from others, as far as that is known.
    pub fn id(&self) -> Option<String> {
        self.id.get().cloned().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<GroupKind>> {
        self.unwatchable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A kind may not be watched.
    pub fn forbid_watch(&self, kind: GroupKind) {
        self.lock().insert(kind);
    }

    /// A kind is watched.
    pub fn allow_watch(&self, kind: &GroupKind) {
        self.lock().remove(kind);
    }

    /// Whether any of the objects is of a kind that may not be watched.
    pub fn has_unwatchable(&self, proofs: &Proofs) -> bool {
        let kinds = self.lock();
        let is_one = |key: &ObjectKey| {
            kinds.contains(&GroupKind {
                group: key.group.to_string(),
                kind: key.kind.to_string(),
            })
        };
        !kinds.is_empty() && proofs.keys().any(is_one)
    }
}

impl Sites {
    /// Weir's own cluster, and no other yet; `insecure` allows kubeconfigs whose roads others can listen to.
    pub fn new(own: Arc<Site>, insecure: bool) -> Self {
        let remote = Mutex::default();
        Self {
            own,
            insecure,
            remote,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remote> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Weir's own cluster.
    pub fn own(&self) -> &Arc<Site> {
        &self.own
    }

    /// Every cluster that is in use, Weir's own first.
    pub fn all(&self) -> Vec<Arc<Site>> {
        let mut all = vec![self.own.clone()];
        for site in self.lock().by_key.values() {
            if !all.iter().any(|known| Arc::ptr_eq(known, site)) {
                all.push(site.clone());
            }
        }
        all
    }

    /// Where a Kustomization was last brought; its kubeconfig is not read again.
    pub fn current(&self, key: &Key, object: &Kustomization) -> Result<Arc<Site>, Failure> {
        if object.spec.kube_config.is_none() {
            return Ok(self.own.clone());
        }
        let known = self.lock().by_key.get(key).cloned();
        known.ok_or_else(|| failed("the kubeconfig has not been read yet", Again::OnEvent))
    }

    /// A Kustomization is gone: nothing is watched for it any more.
    pub fn forget(&self, key: &Key) {
        let left = self.lock().by_key.remove(key);
        let owner = owner(key);
        for site in [&self.own].into_iter().chain(left.as_ref()) {
            site.watches.want(&owner, BTreeSet::new());
        }
    }

    fn move_to(&self, key: &Key, site: &Arc<Site>) {
        let left = match Arc::ptr_eq(site, &self.own) {
            true => self.lock().by_key.remove(key),
            false => self.lock().by_key.insert(key.clone(), site.clone()),
        };
        if let Some(left) = left.filter(|left| !Arc::ptr_eq(left, site)) {
            left.watches.want(&owner(key), BTreeSet::new());
        }
    }

    /// A site that is in use, and whose token is fresh.
    fn find(&self, digest: &[u8; 32]) -> Option<Arc<Site>> {
        let site = self.lock().by_digest.get(digest)?.upgrade()?;
        let is_fresh = site.until.is_none_or(|until| Instant::now() < until);
        is_fresh.then_some(site)
    }

    /// The site that an access leads to: one that is in use, or a new one.
    async fn open(
        &self,
        access: &Access,
        client: &kube::Client,
        schedule: &Arc<Schedule>,
    ) -> Result<Arc<Site>, Failure> {
        let digest = access.digest();
        if let Some(site) = self.find(&digest) {
            return Ok(site);
        }
        let (text, lasts) = access.kubeconfig(client).await?;
        let config = kubeconfig::read(&text, self.insecure).await;
        let refusal = |error| {
            failed(
                &format!("the kubeconfig is not used: {error}"),
                Again::RetryInterval,
            )
        };
        let config = config.map_err(refusal)?;
        let cluster = self
            .own
            .cluster
            .beside(config, Limits::default())
            .map_err(refused)?;
        let until = lasts.map(|lasts| Instant::now() + lasts);
        let (site, reports) = Site::new(cluster, until).map_err(refused)?;
        tokio::spawn(observe::managed_objects(
            schedule.clone(),
            Arc::downgrade(&site),
            reports,
        ));
        let mut remote = self.lock();
        remote.by_digest.retain(|_, site| site.strong_count() > 0);
        remote.by_digest.insert(digest, Arc::downgrade(&site));
        Ok(site)
    }
}

/// Finds the cluster that a Kustomization is to be brought to, as its spec and its Secret say now.
pub async fn reach(
    context: &Context,
    key: &Key,
    object: &Kustomization,
) -> Result<Arc<Site>, Failure> {
    let site = led_to(context, &key.namespace, object.spec.kube_config.as_ref()).await?;
    if let Some(until) = site.until {
        tokio::spawn(wake_at(until, context.schedule.clone(), key.clone()));
    }
    context.sites.move_to(key, &site);
    Ok(site)
}

/// The cluster that a reference of a namespace leads to.
pub async fn led_to(
    context: &Context,
    namespace: &str,
    reference: Option<&KubeConfigReference>,
) -> Result<Arc<Site>, Failure> {
    let sites = &context.sites;
    let site = match reference {
        None => sites.own().clone(),
        Some(reference) => {
            let access = access::read(context, namespace, reference).await?;
            sites
                .open(&access, &context.client, &context.schedule)
                .await?
        }
    };
    site.learn_id().await;
    Ok(site)
}

/// A token that ends takes the watches with it: a run opens new ones before that.
async fn wake_at(until: Instant, schedule: Arc<Schedule>, key: Key) {
    tokio::time::sleep_until(until).await;
    schedule.wake(&key, Wake::input());
}

fn failed(message: &str, again: Again) -> Failure {
    Failure::new(reason::RECONCILIATION_FAILED, message).again(again)
}

fn owner(key: &Key) -> Owner {
    Owner {
        name: key.name.as_str().into(),
        namespace: key.namespace.as_str().into(),
    }
}
