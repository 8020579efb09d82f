//! Who leads: a Lease of `coordination.k8s.io` under Flux's own names, so that Weir and Flux never write together.
//!
//! A holder renews well before others may take over, and stops at once when its own clock says that they may:
//! times in the lease are only compared for change, never with another machine's clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Fence;

/// The lease of the half that reconciles Kustomizations.
pub const KUSTOMIZATIONS: &str = "kustomize-controller-leader-election";

/// The lease of the half that fetches sources.
pub const SOURCES: &str = "source-controller-leader-election";

/// The name of a lease: those who look at a part of the resources only have one of their own.
pub fn name(base: &str, selector: Option<&str>) -> String {
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
        return base.to_owned();
    };
    let digest = Sha256::digest(selector);
    let short: String = digest
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{base}-{short}")
}

/// How long a lease lasts without renewal, and how often it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Others take over after this time without a renewal.
    pub duration: Duration,
    /// The holder gives up when it could not renew for so long.
    pub deadline: Duration,
    /// Time between two tries.
    pub period: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            period: Duration::from_secs(2),
        }
    }
}

/// A lease, and who wants it.
#[derive(Clone)]
pub struct Candidate {
    /// Speaks as Weir itself.
    pub client: kube::Client,
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// This process, unlike any other.
    pub identity: String,
    /// Durations.
    pub terms: Terms,
    /// What keeps all writes within the time that the lease is held.
    pub fence: Fence,
}

/// What was last seen of a lease, and when by our own clock.
struct Sight {
    renewed: Option<MicroTime>,
    holder: String,
    since: Instant,
}

impl Candidate {
    /// Waits until this process holds the lease.
    pub async fn acquire(&self) {
        let mut sight = None;
        loop {
            let begin = Instant::now();
            match self.attempt(&mut sight).await {
                Ok(Some(_)) => {
                    self.fence.extend(&self.name, begin + self.terms.deadline);
                    tracing::info!(lease = self.name.as_str(), "this process leads");
                    return;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, lease = self.name.as_str(), "lease not acquired")
                }
            }
            sleep(crate::reconcile::schedule::jittered(self.terms.period, 20)).await;
        }
    }

    /// Renews the lease until it is lost, or until `stopping`, when it is given back.
    pub async fn hold(&self, mut stopping: watch::Receiver<bool>) {
        let mut renewed = Instant::now();
        let mut held = None;
        while renewed.elapsed() < self.terms.deadline {
            tokio::select! {
                () = sleep(crate::reconcile::schedule::jittered(self.terms.period, 20)) => {}
                _ = stopping.changed() => {}
            }
            if *stopping.borrow() {
                self.fence.close(&self.name);
                self.release().await;
                return;
            }
            let begin = Instant::now();
            match timeout(self.terms.deadline, self.keep(held.take())).await {
                Ok(Ok(Some(lease))) => {
                    renewed = begin;
                    self.fence.extend(&self.name, begin + self.terms.deadline);
                    held = Some(lease);
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.name.as_str(), "lease not renewed")
                }
                Err(_) => tracing::warn!(lease = self.name.as_str(), "lease not renewed in time"),
            }
        }
        self.fence.close(&self.name);
        tracing::error!(lease = self.name.as_str(), "the lease is lost");
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Renews the lease as it was last answered, with one request; where somebody has written to it since, it is
    /// looked at first. None when another holds it.
    async fn keep(&self, held: Option<Lease>) -> kube::Result<Option<Lease>> {
        if let Some(lease) = held
            && let Some(kept) = self.renew(lease).await?
        {
            return Ok(Some(kept));
        }
        self.attempt(&mut None).await
    }

    async fn renew(&self, mut lease: Lease) -> kube::Result<Option<Lease>> {
        self.fill(lease.spec.get_or_insert_default());
        let parameters = PostParams::default();
        conflict_is_none(self.api().replace(&self.name, &parameters, &lease).await)
    }

    /// Takes or renews the lease, when it is free, ours, or out of time; none when it is another's.
    async fn attempt(&self, sight: &mut Option<Sight>) -> kube::Result<Option<Lease>> {
        let api = self.api();
        let Some(mut lease) = api.get_opt(&self.name).await? else {
            return conflict_is_none(api.create(&PostParams::default(), &self.new_lease()).await);
        };
        let spec = lease.spec.get_or_insert_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.is_over(sight, &holder, spec) {
            return Ok(None);
        }
        if holder != self.identity {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
            spec.acquire_time = Some(MicroTime(Timestamp::now()));
        }
        self.renew(lease).await
    }

    /// Whether the holder has not renewed for the lease's whole duration, as far as we have watched.
    fn is_over(&self, sight: &mut Option<Sight>, holder: &str, spec: &LeaseSpec) -> bool {
        let same = |sight: &&mut Sight| sight.holder == holder && sight.renewed == spec.renew_time;
        match sight.as_mut().filter(same) {
            Some(sight) => {
                let seconds = spec
                    .lease_duration_seconds
                    .unwrap_or(0)
                    .max(0)
                    .unsigned_abs();
                sight.since.elapsed() > Duration::from_secs(seconds.into())
            }
            None => {
                let (renewed, holder) = (spec.renew_time.clone(), holder.to_owned());
                *sight = Some(Sight {
                    renewed,
                    holder,
                    since: Instant::now(),
                });
                false
            }
        }
    }

    async fn release(&self) {
        let api = self.api();
        let Ok(mut lease) = api.get(&self.name).await else {
            return;
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        if let Err(error) = api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
        {
            tracing::warn!(%error, lease = self.name.as_str(), "lease not given back");
        }
    }

    fn fill(&self, spec: &mut LeaseSpec) {
        let seconds = i32::try_from(self.terms.duration.as_secs()).unwrap_or(i32::MAX);
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(seconds);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
    }

    fn new_lease(&self) -> Lease {
        let mut spec = LeaseSpec {
            acquire_time: Some(MicroTime(Timestamp::now())),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        self.fill(&mut spec);
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            ..ObjectMeta::default()
        };
        Lease {
            metadata,
            spec: Some(spec),
        }
    }
}

/// Somebody else was faster.
fn conflict_is_none(result: kube::Result<Lease>) -> kube::Result<Option<Lease>> {
    match result {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_leases_of_their_own() {
        assert_eq!(name(SOURCES, None), SOURCES);
        assert_eq!(name(SOURCES, Some("")), SOURCES);
        let one = name(SOURCES, Some("sharding.fluxcd.io/key=one"));
        assert_ne!(one, name(SOURCES, Some("sharding.fluxcd.io/key=two")));
        assert!(
            one.starts_with("source-controller-leader-election-"),
            "{one}"
        );
    }
}
