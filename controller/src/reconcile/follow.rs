//! Health under `wait` and `healthChecks`: followed by events, for ever, and never by a run that waits.
//!
//! What the apply was answered is the first look. After that an event of an object, from the shared watch or
//! from a watch by name, starts one look at that object, unless it tells of the version that was judged already.
//! What has just been applied is looked at more often than once a second, because others wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut, stream};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use overlay::ObjectId;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::conclude::PATIENCE;
use super::run::{Run, Times};
use super::schedule::{Key, Schedule, Wake};
use crate::api::kustomization::{HealthCheck, KustomizationSpec, reason};
use crate::cluster::discovery::Resource;
use crate::cluster::{Action, ChangeSet, Client, Live, ObjectKey, Observed, Plan, Step};
use crate::health::custom::Rules;
use crate::health::{Health, Status, waits_for_report};
use crate::report::failure::Failure;

/// The shortest time between two looks at one object.
const PAUSE: Duration = Duration::from_secs(1);

/// The same for an object that was just applied, whose answer was the first look; it doubles with each look.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How many objects are looked at together.
const LOOKS: usize = 8;

/// How many objects a message lists.
const LISTED: usize = 10;

/// Kinds that are as they should be once they are there.
const ALWAYS_CURRENT: [(&str, &str); 2] = [("", "ConfigMap"), ("", "Secret")];

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
    /// Watches by name of objects that the shared watches do not show; they end with this.
    _watches: JoinSet<()>,
}

/// One object and what is known of it.
struct Followed {
    id: ObjectId,
    health: Option<Health>,
    /// The resource version that the health is of.
    version: Option<String>,
    looked: Option<Instant>,
    asked: bool,
    /// It may go by itself once it has done its work.
    expires: bool,
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
    take_known(&mut objects, before);
    let foreign = objects
        .values()
        .filter(|object| !plan.steps.iter().any(|step| step.id == object.id));
    let foreign: Vec<ObjectId> = foreign.map(|object| object.id.clone()).collect();
    let watches = watch_by_name(&client, &run.context.schedule, run.key, &foreign).await;
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
        _watches: watches,
    };
    following.look().await;
    Ok(following)
}

fn plan_revision(run: &Run<'_>) -> String {
    run.snapshot()
        .map(|snapshot| snapshot.revision.clone())
        .unwrap_or_default()
}

/// The objects that the spec asks to check.
fn chosen(
    key: &Key,
    spec: &KustomizationSpec,
    rules: &Rules,
    plan: &Plan,
) -> BTreeMap<ObjectKey, Followed> {
    let ids: Vec<ObjectId> = if spec.wait == Some(true) {
        let applied = plan
            .steps
            .iter()
            .filter(|step| !matches!(step.action, Action::Skip(_)));
        applied
            .map(|step| step.id.clone())
            .filter(|id| !is_itself(key, id))
            .collect()
    } else {
        spec.health_checks.iter().map(id).collect()
    };
    let followed = |id: ObjectId| {
        let health = is_always_current(rules, &id).then(current);
        (
            ObjectKey::from(&id),
            Followed {
                id,
                health,
                version: None,
                looked: None,
                asked: false,
                expires: false,
            },
        )
    };
    ids.into_iter().map(followed).collect()
}

fn is_always_current(rules: &Rules, id: &ObjectId) -> bool {
    ALWAYS_CURRENT.contains(&(&id.group, &id.kind)) && !rules.cover(&id.group, &id.kind)
}

/// Whether an object's controller has yet to say anything that could make it as it should be.
fn is_unreported(rules: &Rules, id: &ObjectId, seen: &Observed) -> bool {
    let waits = waits_for_report(&id.group, &id.kind) && !rules.cover(&id.group, &id.kind);
    waits && seen.has_managed_fields && !seen.reported
}

/// A Kustomization that applies itself cannot wait for itself.
fn is_itself(key: &Key, id: &ObjectId) -> bool {
    id.group == crate::api::kustomization::GROUP
        && (id.kind.as_str(), &id.namespace, &id.name)
            == (key.kind.name(), &key.namespace, &key.name)
}

fn id(check: &HealthCheck) -> ObjectId {
    let api_version = check
        .api_version
        .as_deref()
        .filter(|version| !version.is_empty())
        .unwrap_or("apps/v1");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: check.kind.clone(),
        namespace: check.namespace.clone().unwrap_or_default(),
        name: check.name.clone(),
    }
}

fn current() -> Health {
    Health {
        status: Status::Current,
        message: String::new(),
    }
}

fn take_answers(objects: &mut BTreeMap<ObjectKey, Followed>, rules: &Rules, changes: &ChangeSet) {
    for entry in &changes.entries {
        if let (Some(object), Some(answer)) =
            (objects.get_mut(&ObjectKey::from(&entry.id)), &entry.answer)
        {
            object.health = Some(rules.assess(answer));
            (object.version, object.looked) = (version(answer), Some(Instant::now()));
        }
    }
}

fn version(object: &Value) -> Option<String> {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.map(str::to_owned)
}

/// Whether a version was judged already, or a later one: versions of one object are numbers that grow
/// (Kubernetes KEP-5504). Where they are not, only the same one counts.
fn is_judged(seen: &str, judged: &str) -> bool {
    match (seen.parse::<u64>(), judged.parse::<u64>()) {
        (Ok(seen), Ok(judged)) => seen <= judged,
        _ => seen == judged,
    }
}

/// What was known before stays known of objects that were healthy and not touched; all others are looked at anew,
/// as the event that told of their progress may have gone to the run before.
fn take_known(objects: &mut BTreeMap<ObjectKey, Followed>, before: Option<Following>) {
    for (key, old) in before.into_iter().flat_map(|before| before.objects) {
        let healthy = old
            .health
            .as_ref()
            .is_some_and(|health| health.status == Status::Current);
        if let Some(object) = objects.get_mut(&key)
            && object.health.is_none()
            && healthy
        {
            object.health = old.health;
            object.version = old.version;
            object.looked = old.looked;
            object.asked = old.asked;
        }
    }
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
            let is_judged = match (&seen, &object.version) {
                (Some(seen), Some(judged)) => is_judged(&seen.resource_version, judged),
                _ => false,
            };
            let is_unreported =
                seen.is_some_and(|seen| is_unreported(&self.rules, &object.id, &seen));
            let tells_nothing = is_unreported || is_always_current(&self.rules, &object.id);
            object.asked |= !is_judged && !tells_nothing;
        }
    }

    /// Asks for a look at all objects that are not as they should be: no event may come of what could not be read.
    pub fn ask_about_troubled(&mut self) {
        let is_current = |health: &Health| health.status == Status::Current;
        let troubled = self.objects.values_mut();
        troubled
            .filter(|object| !object.health.as_ref().is_some_and(is_current))
            .for_each(|object| object.asked = true);
    }

    /// How long it took to the first verdict; asked later, nothing.
    pub fn took(&mut self) -> Duration {
        match std::mem::replace(&mut self.told, true) {
            true => Duration::ZERO,
            false => self.begun.elapsed(),
        }
    }

    /// When an object may be looked at again: what was applied long ago rests a second.
    fn rested(&self, object: &Followed) -> Option<Instant> {
        let looked = object.looked?;
        let age = looked.saturating_duration_since(self.begun);
        Some(looked + age.clamp(FIRST_PAUSE, PAUSE))
    }

    /// Looks at all objects that are unknown or have changed, unless they were looked at just now.
    pub async fn look(&mut self) {
        let now = Instant::now();
        let is_rested = |object: &Followed| self.rested(object).is_none_or(|rested| rested <= now);
        let is_due =
            |object: &Followed| object.health.is_none() || (object.asked && is_rested(object));
        let due = self.objects.iter().filter(|(_, object)| is_due(object));
        let due: Vec<_> = due
            .map(|(key, object)| (key.clone(), object.id.clone()))
            .collect();
        let looks = due.into_iter().map(|(key, id)| {
            let (client, rules) = (self.client.clone(), &self.rules);
            async move { (key, look(&client, rules, &id).await) }
        });
        let seen: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for (key, (mut health, version)) in seen {
            if let Some(object) = self.objects.get_mut(&key) {
                if object.expires && health.status == Status::NotFound {
                    health = current();
                }
                (object.health, object.version) = (Some(health), version);
                (object.looked, object.asked) = (Some(Instant::now()), false);
            }
        }
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

    /// How long until the next look or verdict is due; none when only an event can bring news.
    pub fn due(&self, verdict: &Verdict) -> Option<Duration> {
        let now = Instant::now();
        let asked = self.objects.values().filter(|object| object.asked);
        let looks = asked.map(|object| self.rested(object).unwrap_or(now));
        let deadline = (*verdict == Verdict::Pending).then_some(self.deadline);
        looks
            .chain(deadline)
            .min()
            .map(|next| next.saturating_duration_since(now))
    }

    fn listed(&self, wanted: impl Fn(Status) -> bool) -> Vec<String> {
        let all = self.objects.values().filter_map(|object| {
            let health = object.health.as_ref();
            let status = health.map_or(Status::Unknown, |health| health.status);
            let message = health
                .map(|health| health.message.as_str())
                .unwrap_or_default();
            let note = if message.is_empty() {
                String::new()
            } else {
                format!(": {message}")
            };
            wanted(status).then(|| format!("{} status: '{status}'{note}", object.id))
        });
        let mut all: Vec<String> = all.collect();
        if all.len() > LISTED {
            let more = format!("and {} more", all.len() - LISTED);
            all.truncate(LISTED);
            all.push(more);
        }
        all
    }
}

/// Reads one object and judges it; gives back the version that it judged.
async fn look(client: &Client, rules: &Rules, id: &ObjectId) -> (Health, Option<String>) {
    let unknown = |status, message: String| (Health { status, message }, None);
    let Some(resource) = resource(client, id).await else {
        return unknown(
            Status::NotFound,
            format!("the kind {} is not served", id.kind),
        );
    };
    match client.get(&resource.object_path(id)).await {
        Ok(object) => (rules.assess(&object), version(&object)),
        Err(error) if error.is_not_found() => unknown(Status::NotFound, String::new()),
        Err(error) => unknown(Status::Unknown, error.to_string()),
    }
}

async fn resource(client: &Client, id: &ObjectId) -> Option<Resource> {
    if let Err(error) = client.discovery().learn_missing(client, &[id]).await {
        tracing::debug!(%error, %id, "kind not learned");
    }
    client.discovery().get(id)
}

/// The Jobs of a plan that Kubernetes deletes some time after they have ended.
pub fn expiring(plan: &Plan) -> BTreeSet<ObjectKey> {
    let expires = |step: &&Step| {
        let ttl = ["spec", "ttlSecondsAfterFinished"];
        step.id.group == "batch" && step.id.kind == "Job" && step.object.node.find(&ttl).is_some()
    };
    let jobs = plan.steps.iter().filter(expires);
    jobs.map(|step| ObjectKey::from(&step.id)).collect()
}

/// Watches objects that carry no labels of ours. A watch that is refused asks for a look at each try instead.
async fn watch_by_name(
    client: &Client,
    schedule: &Arc<Schedule>,
    key: &Key,
    ids: &[ObjectId],
) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for id in ids {
        if let Some(resource) = resource(client, id).await {
            watches.spawn(watch_one(
                client.kube(),
                schedule.clone(),
                key.clone(),
                id.clone(),
                resource,
            ));
        }
    }
    watches
}

async fn watch_one(
    client: kube::Client,
    schedule: Arc<Schedule>,
    key: Key,
    id: ObjectId,
    resource: Resource,
) {
    let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
    let kind = ApiResource::from_gvk_with_plural(&kind, &resource.plural);
    let api: Api<PartialObjectMeta<DynamicObject>> = match resource.namespaced {
        true => Api::namespaced_with(client, &id.namespace, &kind),
        false => Api::all_with(client, &kind),
    };
    let config = watcher::Config::default().fields(&format!("metadata.name={}", id.name));
    let events = watcher(api, config).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        if !matches!(event, Ok(watcher::Event::Init | watcher::Event::InitDone)) {
            let health = BTreeSet::from([ObjectKey::from(&id)]);
            schedule.wake(
                &key,
                Wake {
                    health,
                    ..Wake::default()
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_are_deployments_unless_they_say_otherwise() {
        let check = |api_version: Option<&str>| HealthCheck {
            api_version: api_version.map(str::to_owned),
            kind: "Thing".to_owned(),
            name: "one".to_owned(),
            namespace: Some("shop".to_owned()),
        };
        let group_version = |check| {
            let id = id(&check);
            (id.group, id.version)
        };
        assert_eq!(group_version(check(None)), ("apps".into(), "v1".into()));
        assert_eq!(
            group_version(check(Some("v1"))),
            (String::new(), "v1".into())
        );
        assert_eq!(
            group_version(check(Some("a.b/v2"))),
            ("a.b".into(), "v2".into())
        );
    }

    #[test]
    fn an_older_version_brings_no_news() {
        for (seen, judged, expected) in [
            ("10", "10", true),
            ("9", "10", true),
            ("11", "10", false),
            ("b", "a", false),
            ("a", "a", true),
        ] {
            assert_eq!(is_judged(seen, judged), expected, "{seen} {judged}");
        }
    }

    #[test]
    fn a_kustomization_does_not_wait_for_itself() {
        let key = Key::kustomization("flux-system", "apps");
        let id = |name: &str| ObjectId {
            group: crate::api::kustomization::GROUP.to_owned(),
            version: "v1".to_owned(),
            kind: "Kustomization".to_owned(),
            namespace: "flux-system".to_owned(),
            name: name.to_owned(),
        };
        assert!(is_itself(&key, &id("apps")));
        assert!(!is_itself(&key, &id("platform")));
    }
}
