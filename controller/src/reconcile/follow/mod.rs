//! Health under `wait` and `healthChecks`: followed by events, for ever, and never by a run that waits.
//!
//! What the apply was answered is the first look. After that an event of an object, from the shared watch or
//! from a watch by name, starts one look at that object, unless it tells of the version that was judged already.
//! What has just been applied is looked at more often than once a second, because others wait for it.

mod by_name;
mod chosen;
mod sight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use futures::{StreamExt, stream};
use overlay::ObjectId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use by_name::Unwatched;
pub use chosen::expiring;
use chosen::{chosen, current, is_always_current, take_answers, take_known};
use sight::{Followed, Footing, is_judged, look, trouble};

use super::conclude::PATIENCE;
use super::run::{Run, Times};
use crate::api::kustomization::reason;
use crate::cluster::{ChangeSet, Client, Live, ObjectKey, Observed, Plan};
use crate::health::custom::Rules;
use crate::health::{Status, waits_for_report};
use crate::report::failure::Failure;

/// How many objects are looked at together.
const LOOKS: usize = 8;

/// How many objects a message lists.
const LISTED: usize = 10;

/// The objects whose health decides a Kustomization's.
pub struct Following {
    /// The revision that they were applied at.
    pub revision: String,
    /// How long they may take.
    pub timeout: Duration,
    /// Whether an object that has failed ends the check before the time is over.
    fail_fast: bool,
    begun: Instant,
    /// Whether it was told how long the first verdict took.
    told: bool,
    deadline: Instant,
    /// Since when objects that were healthy are not.
    lost: Option<Instant>,
    objects: BTreeMap<ObjectKey, Followed>,
    client: Client,
    rules: Rules,
    /// Objects that are looked at at the interval, because they may not be watched.
    unwatched: Unwatched,
    /// Watches by name of objects that the shared watches do not show; they end with this.
    _watches: JoinSet<()>,
}

/// How the objects stood that a run before has followed.
struct Standing {
    is_healthy: bool,
    lost: Option<Instant>,
    deadline: Instant,
}

impl Standing {
    fn of(following: &Following) -> Self {
        Self {
            is_healthy: following.verdict() == Verdict::Healthy,
            lost: following.lost,
            deadline: following.deadline,
        }
    }
}

/// What the health of all objects says of the Kustomization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All are as they should be.
    Healthy,
    /// Some are on their way.
    Pending,
    /// Some have failed, or the time is over.
    Failed(Failure),
}

/// Starts to follow what a plan applied.
pub async fn follow(
    run: &Run<'_>,
    client: Client,
    plan: &Plan,
    changes: &ChangeSet,
    before: Option<Following>,
) -> Result<Following, Failure> {
    let spec = &run.object.spec;
    let rules = Rules::compile(&spec.health_check_exprs)
        .map_err(Failure::of(reason::INVALID_CEL_EXPRESSION))?;
    let revision = plan_revision(run);
    let timeout = Times::of(spec).timeout;
    let mut objects = chosen(run.key, spec, &rules, plan);
    take_answers(&mut objects, &rules, changes);
    let standing = before.as_ref().map(Standing::of);
    let has_written = changes.changed().next().is_some();
    take_known(&mut objects, before);
    let foreign = objects
        .values()
        .filter(|object| object.footing == Footing::Foreign);
    let foreign: Vec<ObjectId> = foreign.map(|object| object.id.clone()).collect();
    let unwatched = Unwatched::default();
    let watches = by_name::watch(run, &client, &foreign, &unwatched);
    let expiring = expiring(plan);
    for (_, job) in objects
        .iter_mut()
        .filter(|(key, _)| expiring.contains(*key))
    {
        job.expires = true;
    }
    let begun = Instant::now();
    let mut following = Following {
        revision,
        timeout,
        fail_fast: run.context.settings.fail_fast,
        begun,
        told: false,
        deadline: begun + timeout,
        lost: None,
        objects,
        client,
        rules,
        unwatched,
        _watches: watches,
    };
    following.look().await;
    if let Some(standing) = standing.filter(|_| !has_written) {
        following.resume(&standing).await;
    }
    Ok(following)
}

fn plan_revision(run: &Run<'_>) -> String {
    run.snapshot()
        .map(|snapshot| snapshot.revision.clone())
        .unwrap_or_default()
}

/// Whether an object's controller has yet to say anything that could make it as it should be.
fn is_unreported(rules: &Rules, id: &ObjectId, seen: &Observed) -> bool {
    let waits = waits_for_report(&id.group, &id.kind) && !rules.cover(&id.group, &id.kind);
    waits && seen.has_managed_fields && !seen.reported
}

impl Following {
    /// Notes that objects may have changed; objects that are not followed are ignored, and so are those whose
    /// version is the one that was judged.
    pub fn ask(&mut self, keys: &BTreeSet<ObjectKey>, live: &Live) {
        for key in keys {
            let Some(object) = self.objects.get_mut(key) else {
                continue;
            };
            let seen = live.get(key);
            let judged = object
                .sight
                .as_ref()
                .and_then(|sight| sight.version.as_ref());
            let is_judged = match (&seen, judged) {
                (Some(seen), Some(judged)) => is_judged(&seen.resource_version, judged),
                _ => false,
            };
            let is_unreported =
                seen.is_some_and(|seen| is_unreported(&self.rules, &object.id, &seen));
            // What only has to be there was put there, and its end is drift, which leads to a run.
            let is_given =
                object.footing == Footing::Applied && is_always_current(&self.rules, &object.id);
            let tells_nothing = is_unreported || is_given;
            object.asked |= !is_judged && !tells_nothing;
        }
    }

    /// Asks for a look at all objects that no event may come of: those that are not watched, and those that are not as
    /// they should be, because they may not have been read.
    pub fn ask_without_event(&mut self) {
        let unwatched = self.unwatched.lock();
        let unwatched = unwatched.unwrap_or_else(PoisonError::into_inner);
        for (key, object) in &mut self.objects {
            object.asked |= !object.is_current() || unwatched.contains(key);
        }
    }

    /// How long it took to the first verdict; asked later, nothing.
    pub fn took(&mut self) -> Duration {
        match std::mem::replace(&mut self.told, true) {
            true => Duration::ZERO,
            false => self.begun.elapsed(),
        }
    }

    /// Looks at all objects that are unknown or have changed, unless they were looked at just now.
    pub async fn look(&mut self) {
        let now = Instant::now();
        let is_rested = |object: &Followed| object.rested().is_none_or(|rested| rested <= now);
        let is_due =
            |object: &Followed| object.sight.is_none() || (object.asked && is_rested(object));
        let due = self.objects.iter().filter(|(_, object)| is_due(object));
        let due: Vec<_> = due
            .map(|(key, object)| (key.clone(), object.id.clone()))
            .collect();
        let looks = due.into_iter().map(|(key, id)| {
            let (client, rules) = (self.client.clone(), &self.rules);
            async move { (key, look(&client, rules, &id).await) }
        });
        let seen: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for (key, mut sight) in seen {
            if let Some(object) = self.objects.get_mut(&key) {
                if object.expires && sight.health.status == Status::NotFound {
                    sight.health = current();
                }
                object.sight = Some(sight);
                (object.looked, object.asked) = (Some(Instant::now()), false);
                object.looks += 1;
            }
        }
        if matches!(self.verdict(), Verdict::Failed(_)) {
            self.ask_pods().await;
        }
    }

    /// Finds out what the pods of those that are told to have failed say of it.
    async fn ask_pods(&mut self) {
        let asked = self.troubled().into_iter().filter_map(|(key, object)| {
            let sight = object.sight.as_ref()?;
            let selector = sight.pods.clone().filter(|_| sight.culprit.is_none())?;
            Some((key.clone(), selector))
        });
        let asked: Vec<_> = asked.take(LISTED).collect();
        let answers = asked.into_iter().map(|(key, selector)| {
            let client = self.client.clone();
            async move {
                let trouble = trouble(&client, &key.namespace, &selector).await;
                (key, trouble)
            }
        });
        let answers = stream::iter(answers).buffer_unordered(LOOKS);
        let answers: Vec<_> = answers.collect().await;
        for (key, trouble) in answers {
            let object = self.objects.get_mut(&key);
            if let Some(sight) = object.and_then(|object| object.sight.as_mut()) {
                sight.culprit = trouble;
            }
        }
    }

    /// All that are not as they should be, those that have failed first.
    fn troubled(&self) -> Vec<(&ObjectKey, &Followed)> {
        let troubled = self.objects.iter();
        let troubled = troubled.filter(|(_, object)| !object.is_current());
        let mut troubled: Vec<_> = troubled.collect();
        troubled.sort_by_key(|(_, object)| object.status() != Status::Failed);
        troubled
    }

    /// What the health of all objects says now.
    pub fn verdict(&self) -> Verdict {
        let stalled = match self.fail_fast {
            true => self.listed(|status| status == Status::Failed),
            false => Vec::new(),
        };
        if !stalled.is_empty() {
            let message = format!(
                "health check failed early due to stalled resources: [{}]",
                stalled.join(", ")
            );
            return Verdict::Failed(Failure::new(reason::HEALTH_CHECK_FAILED, message));
        }
        let waiting = self.listed(|status| status != Status::Current);
        if waiting.is_empty() {
            return Verdict::Healthy;
        }
        if Instant::now() < self.deadline {
            return Verdict::Pending;
        }
        let what = match self.lost {
            Some(_) => "no longer healthy",
            None => "timeout waiting for",
        };
        let message = format!("health check failed: {what}: [{}]", waiting.join(", "));
        Verdict::Failed(Failure::new(reason::HEALTH_CHECK_FAILED, message))
    }

    /// Objects that were healthy are not any more. What is over in a moment is not told.
    pub fn lose(&mut self) {
        let now = Instant::now();
        self.lost = Some(now);
        self.deadline = now + PATIENCE;
    }

    /// A run that has written nothing gives no new time to objects that were followed before it.
    async fn resume(&mut self, before: &Standing) {
        let troubled = self.troubled();
        if troubled.is_empty() || !troubled.iter().all(|(_, object)| object.is_known) {
            return;
        }
        if before.is_healthy {
            self.lose();
        } else if before.lost.is_some() {
            (self.lost, self.deadline) = (before.lost, before.deadline);
        }
        if matches!(self.verdict(), Verdict::Failed(_)) {
            self.ask_pods().await;
        }
    }

    /// How long until the next look or verdict is due; none when only an event can bring news.
    pub fn due(&self, verdict: &Verdict) -> Option<Duration> {
        let now = Instant::now();
        let asked = self.objects.values().filter(|object| object.asked);
        let looks = asked.map(|object| object.rested().unwrap_or(now));
        let deadline = (*verdict == Verdict::Pending).then_some(self.deadline);
        looks
            .chain(deadline)
            .min()
            .map(|next| next.saturating_duration_since(now))
    }

    /// Who is not as it should be, and in a status that is wanted, in words.
    fn listed(&self, wanted: impl Fn(Status) -> bool) -> Vec<String> {
        let troubled = self.troubled().into_iter();
        let listed = troubled.filter(|(_, object)| wanted(object.status()));
        let mut all: Vec<String> = listed.map(|(_, object)| object.to_string()).collect();
        if all.len() > LISTED {
            let more = format!("and {} more", all.len() - LISTED);
            all.truncate(LISTED);
            all.push(more);
        }
        all
    }
}
