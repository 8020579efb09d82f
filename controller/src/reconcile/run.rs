//! One run of one Kustomization: its object as last read, and the small steps between the stages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use overlay::{Object, ObjectId};
use tokio::sync::OwnedSemaphorePermit;

use super::context::Context;
use super::dependencies::source_key;
use super::gate::{self, Verdict};
use super::owners::{self, Conflict};
use super::record;
use super::schedule::{Key, Next, Topic};
use super::sites::{self, Site};
use super::support;
use crate::api::duration;
use crate::api::kustomization::{Kustomization, KustomizationSpec, reason};
use crate::cluster::inventory::{InventoryError, parse_id};
use crate::cluster::prune::Pruned;
use crate::cluster::{
    Action, Beside, Client, Error, Identity, Inventory, Known, Live, ObjectError, ObjectKey, Owner,
    Plan, Proofs, Recorded, Step, Wanted,
};
use crate::report;
use crate::report::failure::{Again, Failure};
use crate::source::Snapshot;

/// The shortest time that health checks get by default.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a run waits for the first sight of the kinds that it has applied before.
const FIRST_SIGHT: Duration = Duration::from_secs(30);

/// How many errors a message lists.
const LISTED: usize = 20;

/// Room that is left in the object for all but the inventory.
const ROOM_FOR_CONDITIONS: usize = 16 * 1024;

/// One run.
pub struct Run<'a> {
    /// What every run may use.
    pub context: &'a Context,
    /// Which Kustomization.
    pub key: &'a Key,
    /// The Kustomization, as last read or written.
    pub object: Kustomization,
    /// The cluster that it is brought to, or why there is none.
    pub site: Result<Arc<Site>, Failure>,
}

/// The durations of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Between two runs.
    pub interval: Duration,
    /// After a failure.
    pub retry: Duration,
    /// For health checks.
    pub timeout: Duration,
}

impl Times {
    /// Reads the durations; those that cannot be read are taken as not given.
    pub fn of(spec: &KustomizationSpec) -> Self {
        let read = |text: &Option<String>| text.as_deref().and_then(duration::parse);
        let interval = duration::parse(&spec.interval).unwrap_or(Duration::from_secs(600));
        let default_timeout = interval
            .saturating_sub(SHORTEST_TIMEOUT)
            .max(SHORTEST_TIMEOUT);
        Self {
            interval,
            retry: read(&spec.retry_interval).unwrap_or(interval),
            timeout: read(&spec.timeout).unwrap_or(default_timeout),
        }
    }

    /// When to run again after a failure.
    pub fn after(&self, failure: &Failure, requeue_dependency: Duration) -> Next {
        match failure.again {
            Again::RetryInterval => Next::After(self.retry),
            Again::Backoff => Next::Backoff(self.retry),
            // Events do it; the clock is for dependencies that another process looks after.
            Again::OnEvent if failure.reason == reason::DEPENDENCY_NOT_READY => {
                Next::After(requeue_dependency)
            }
            Again::OnEvent => Next::After(requeue_dependency.max(self.retry)),
            Again::Never => Next::OnEvent,
        }
    }
}

impl Run<'_> {
    /// The number of the source's newest snapshot; asked before the snapshot, so that it is never too high.
    pub fn number(&self) -> u64 {
        let source = source_key(&self.object.spec, &self.key.namespace);
        source.map_or(0, |source| self.context.snapshots.number(&source))
    }

    /// The source's newest snapshot.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Failure> {
        let spec = &self.object.spec;
        let reference = &spec.source_ref;
        let Some(source) = source_key(spec, &self.key.namespace) else {
            let message = format!(
                "this version of Weir does not read sources of kind {}",
                reference.kind
            );
            return Err(Failure::new(reason::FEATURE_GATE_DISABLED, message).again(Again::Never));
        };
        if self.context.settings.no_cross_namespace_references
            && source.namespace != self.key.namespace
        {
            let message =
                format!("can't access '{source}', cross-namespace references have been blocked");
            return Err(Failure::new(reason::ACCESS_DENIED, message).again(Again::Never));
        }
        if self.context.source(&source).is_none() {
            let message = format!("Source '{source}' not found");
            return Err(Failure::new(reason::ARTIFACT_FAILED, message).again(Again::OnEvent));
        }
        self.context.snapshots.get(&source).ok_or_else(|| {
            let message = match self.context.foreign.trouble(&source) {
                Some(trouble) => format!("Source '{source}' is not ready, {trouble}"),
                None => format!("Source '{source}' is not ready, artifact not found"),
            };
            Failure::new(reason::ARTIFACT_FAILED, message).again(Again::OnEvent)
        })
    }

    /// Whether others build from the same source, so that it is worth the memory to keep what their builds share.
    pub fn shares_source(&self) -> bool {
        let source = source_key(&self.object.spec, &self.key.namespace);
        let users = |source| {
            self.context
                .schedule
                .count_listeners(&Topic::Source(source))
        };
        source.is_some_and(|source| users(source) > 1)
    }

    /// Whether the source is there but has not been looked at since this process began: its first answer
    /// comes as an event, and until then nothing new can be said.
    pub fn awaits_source(&self) -> bool {
        let Some(source) = source_key(&self.object.spec, &self.key.namespace) else {
            return false;
        };
        let snapshots = &self.context.snapshots;
        if snapshots.get(&source).is_some() || snapshots.is_lacking(&source) {
            return false;
        }
        let foreign = &self.context.foreign;
        match self.context.source(&source) {
            None => foreign.looks_at(source.kind) && !foreign.is_listed(source.kind),
            Some(sight) if self.context.is_foreign(&source) => {
                sight.artifact.is_some() && foreign.trouble(&source).is_none()
            }
            Some(sight) => !sight.failed,
        }
    }

    /// Finds the cluster that the spec names. True when it is another than before: what was known of the objects
    /// counts no more.
    pub async fn reach(&mut self) -> bool {
        let before = std::mem::replace(
            &mut self.site,
            sites::reach(self.context, self.key, &self.object).await,
        );
        let here = owners::whereabouts(self.context, self.key, &self.object);
        self.context.desired.locate(self.key, here);
        match (&before, &self.site) {
            (Ok(before), Ok(now)) => !Arc::ptr_eq(before, now),
            (Err(_), _) => true,
            (Ok(_), Err(_)) => false,
        }
    }

    /// What the shared watches of its cluster show.
    pub fn live(&self) -> Live {
        let site = self.site.as_ref();
        site.map(|site| site.watches.live()).unwrap_or_default()
    }

    /// The client of the account that the spec names.
    pub fn client(&self) -> Result<Client, Failure> {
        let identity = match self.service_account() {
            Some(name) => Identity::ServiceAccount {
                namespace: self.key.namespace.clone(),
                name: name.to_owned(),
            },
            None => Identity::OwnAccount,
        };
        self.site
            .clone()?
            .cluster
            .client(&identity)
            .map_err(refused)
    }

    fn service_account(&self) -> Option<&str> {
        let own = self.object.spec.service_account_name.as_deref();
        own.or(self.context.settings.default_service_account.as_deref())
    }

    /// Whose labels the objects carry.
    pub fn owner(&self) -> Owner {
        Owner {
            name: self.key.name.as_str().into(),
            namespace: self.key.namespace.as_str().into(),
        }
    }

    /// What is known of the cluster before any request.
    pub fn known(&self, proofs: &Proofs) -> Result<Known, Failure> {
        Ok(Known {
            inventory: applied(&self.object)?,
            live: self.live(),
            proofs: proofs.clone(),
            kept_elsewhere: BTreeSet::new(),
            recorded: self.recorded().filter(|_| proofs.is_empty()),
            can_wait: proofs.is_empty() && self.is_recorded_at(&self.snapshot()?.revision),
            check_all: false,
            leaves_sources: self.context.settings.leaves_sources,
            beside: Beside::default(),
        })
    }

    /// A place among those that are deployed for the first time; whoever has been deployed needs none.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let status = self.object.status.as_ref();
        let inventory = status.and_then(|status| status.inventory.as_ref());
        let is_first = inventory.is_none_or(|inventory| inventory.entries.is_empty());
        let site = self.site.as_ref().ok().filter(|_| is_first)?;
        site.first_deploy().await
    }

    /// Whether this spec was rendered at this snapshot before, and only its dependencies were not ready.
    pub fn is_rendered(&self, number: u64) -> bool {
        let generation = self.object.metadata.generation.unwrap_or_default();
        let desired = &self.context.desired;
        desired.is_rendered(self.key, number, generation)
    }

    /// What the last run recorded, if it applied everything.
    fn recorded(&self) -> Option<Recorded> {
        let last = self.object.status.as_ref()?.history.first()?;
        let is_whole = last.last_reconciled_status == reason::RECONCILIATION_SUCCEEDED;
        is_whole.then(|| Recorded {
            digest: last.digest.clone(),
            ended: last.last_reconciled.0.as_second(),
        })
    }

    /// Whether the last run applied everything at this revision.
    fn is_recorded_at(&self, revision: &str) -> bool {
        let status = self.object.status.as_ref();
        let last = status.and_then(|status| status.last_applied_revision.as_deref());
        self.recorded().is_some() && last == Some(revision)
    }

    /// A process that has just begun looks at what is there, all of a kind at once, instead of asking for each
    /// object: what the run before it left needs no request then, and what other processes' Kustomizations keep is
    /// seen.
    pub async fn look_around(&self, client: &Client, objects: &[Object], proofs: &Proofs) {
        let is_new = self.recorded().is_none() && !self.context.settings.shares;
        if !proofs.is_empty() || is_new {
            return;
        }
        let kinds = objects
            .iter()
            .filter_map(|object| client.discovery().get(&object.id));
        let kinds: BTreeSet<_> = kinds.collect();
        if let Ok(site) = &self.site {
            site.watches.want(&self.owner(), kinds.clone());
            site.watches.settled(&kinds, FIRST_SIGHT).await;
        }
    }

    /// What is wanted of the cluster: all but what others of this process keep.
    pub fn wanted(
        &self,
        mut objects: Vec<Object>,
        conflicts: &[Conflict],
    ) -> Result<Wanted, Failure> {
        let is_kept = |object: &Object| {
            let mut kept = conflicts
                .iter()
                .filter(|conflict| !conflict.keeper.elsewhere);
            kept.any(|conflict| conflict.id == object.id)
        };
        objects.retain(|object| !is_kept(object));
        Ok(Wanted {
            owner: self.owner(),
            objects,
            force: self.object.spec.force,
            custom_stages: self.context.settings.custom_stages.clone(),
            ignore: support::ignore_rules(&self.object.spec)?,
        })
    }

    /// The digest of held deletions that a person has confirmed.
    pub fn confirmed(&self) -> Option<&str> {
        self.object
            .annotations()
            .get(gate::CONFIRM)
            .map(String::as_str)
    }

    /// Writes the inventory before the first apply of a new object, so that a crash orphans nothing.
    pub async fn answer_for(
        &mut self,
        plan: &Plan,
        inventory: &Inventory,
        revision: &str,
    ) -> Result<(), Failure> {
        let wanted = plan.inventory();
        if inventory.with(&wanted.objects).objects.len() == inventory.objects.len() {
            return Ok(());
        }
        let stale = inventory.missing_in(&wanted);
        let all = wanted.with(&stale);
        let spec = serde_json::to_vec(&self.object.spec).map_or(0, |bytes| bytes.len());
        all.check_size(spec + ROOM_FOR_CONDITIONS)
            .map_err(Failure::of(reason::RECONCILIATION_FAILED))?;
        let status = report::kustomization::begun(&self.object, revision, &all);
        self.object = record::status(&self.context.client, self.object.clone(), &status)
            .await
            .map_err(|error| {
                Failure::new(reason::RECONCILIATION_FAILED, error).again(Again::Backoff)
            })?;
        Ok(())
    }

    /// Counts the objects that somebody else has changed: the same is wanted of them as before.
    pub fn count_drift(&self, plan: &Plan, known: &Known) {
        let proof = |step: &Step| known.proofs.get(&ObjectKey::from(&step.id));
        let as_before =
            |step: &&Step| proof(step).is_some_and(|proof| proof.desired == step.digest);
        for step in plan.steps.iter().filter(as_before) {
            match step.action {
                Action::Configure | Action::Replace(_) => {
                    let manager = step.last_writer.as_deref().unwrap_or("unknown");
                    self.context.metrics.drift(manager);
                }
                // What is gone has nobody's entry.
                Action::Create | Action::CreateUnchecked(_) => {
                    self.context.metrics.drift("deleted")
                }
                Action::Unchanged | Action::Skip(_) => {}
            }
        }
    }

    /// Says which kinds are to be watched.
    pub fn watch(&self, plan: &Plan) {
        let resources = plan.steps.iter().filter_map(|step| step.resource.clone());
        if let Ok(site) = &self.site {
            let resources = resources.collect::<BTreeSet<_>>();
            site.watches.want(&self.owner(), resources);
        }
    }
}

/// What a Kustomization has applied so far.
pub fn applied(object: &Kustomization) -> Result<Inventory, Failure> {
    let status = object.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let entries = inventory.into_iter().flat_map(|all| all.entries.iter());
    let objects = entries.map(|entry| parse_id(entry.id, entry.v));
    let objects = objects.collect::<Result<_, InventoryError>>();
    objects
        .map(|objects| Inventory { objects })
        .map_err(Failure::of(reason::RECONCILIATION_FAILED))
}

/// The inventory after a prune: what is wanted, and what is still there.
pub fn inventory_after(plan: &Plan, prunes: &Verdict, pruned: &Pruned) -> Inventory {
    let left: Vec<ObjectId> = pruned.errors.iter().map(|error| error.id.clone()).collect();
    plan.inventory().with(&prunes.held).with(&left)
}

/// Drops the proofs of objects that are no longer answered for.
pub fn keep_proofs(proofs: &mut Proofs, inventory: Option<&Inventory>) {
    let objects = inventory
        .map(|inventory| inventory.objects.as_slice())
        .unwrap_or_default();
    let keys: BTreeSet<ObjectKey> = objects.iter().map(ObjectKey::from).collect();
    proofs.retain(|key, _| keys.contains(key));
}

/// A failure of the API server as a whole.
pub fn refused(error: Error) -> Failure {
    let again = if error.is_transient() {
        Again::Backoff
    } else {
        Again::RetryInterval
    };
    Failure::new(reason::RECONCILIATION_FAILED, error).again(again)
}

/// Puts all errors in one message. What the cluster objects to may pass without any event (a webhook that
/// starts, a namespace that someone else makes), so it is tried again soon.
pub fn none_failed(reason: &'static str, errors: &[ObjectError]) -> Result<(), Failure> {
    if errors.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<String> = errors
        .iter()
        .take(LISTED)
        .map(ToString::to_string)
        .collect();
    if errors.len() > LISTED {
        texts.push(format!("and {} more errors", errors.len() - LISTED));
    }
    Err(Failure::new(reason, texts.join("\n")).again(Again::Backoff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_timeout_is_the_interval_less_half_a_minute() {
        let times = |interval: &str, timeout: Option<&str>| {
            Times::of(&KustomizationSpec {
                interval: interval.to_owned(),
                timeout: timeout.map(str::to_owned),
                ..KustomizationSpec::default()
            })
        };
        assert_eq!(times("10m", None).timeout, Duration::from_secs(570));
        assert_eq!(times("10s", None).timeout, SHORTEST_TIMEOUT);
        assert_eq!(times("10m", Some("2m")).timeout, Duration::from_secs(120));
        assert_eq!(times("10m", None).retry, Duration::from_secs(600));
    }
}
