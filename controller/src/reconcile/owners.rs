//! Objects that two Kustomizations want: who keeps them, who is told, and what is handed over instead of deleted.
//!
//! Only what both want now is in dispute. What the other one merely has in its inventory is free to take.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use kube::ResourceExt;
use overlay::{Object, ObjectId};

use super::barrier;
use super::context::Context;
use super::dependencies::source_key;
use super::desired::{Whereabouts, Wish};
use super::elsewhere;
use super::run::{self, Run};
use super::schedule::{Key, Kind, Wake};
use crate::api::kustomization::{GROUP, Kustomization, reason};
use crate::cluster::owner::{NAME_LABEL, NAMESPACE_LABEL};
use crate::cluster::{self, Action, ChangeSet, Client, Known, ObjectKey, Owner, Wanted};
use crate::report::Report;
use crate::report::events::Severity;
use crate::report::failure::{Again, Failure};
use crate::report::kustomization::event;

/// An object that another Kustomization wants too, and keeps because its labels are on it.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The object, as it was built.
    pub id: ObjectId,
    /// Where it is.
    place: ObjectKey,
    /// Who keeps it.
    pub keeper: Keeper,
    /// Whether it is there exactly as this one wants it, but for the owner.
    pub agreed: bool,
}

/// Who keeps an object that another one wants too.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Who.
    pub key: Key,
    /// Whether another process looks after it. It learns from our inventory that we want the object.
    pub elsewhere: bool,
    /// As it was last read; none where it could not be.
    object: Option<Arc<Kustomization>>,
}

impl Conflict {
    fn text(&self, loser: &Key) -> String {
        let Self { id, keeper, .. } = self;
        let keeper = &keeper.key;
        let form = if self.agreed {
            ", in the same form"
        } else {
            ""
        };
        format!(
            "{id} is wanted by {keeper} and by {loser}{form}; it was {keeper}'s first and stays with it"
        )
    }
}

/// Takes a Kustomization's inventory for what it wants, until it is rendered.
pub fn seed(context: &Context, object: &Kustomization) {
    let key = Key::kustomization(object.namespace().unwrap_or_default(), object.name_any());
    if context.desired.knows(&key) || object.metadata.deletion_timestamp.is_some() {
        return;
    }
    let inventory = run::applied(object).unwrap_or_default();
    let wish = Wish {
        place: whereabouts(context, &key, object),
        generation: 0,
        objects: inventory.objects.iter().map(ObjectKey::from).collect(),
    };
    context.desired.seed(&key, wish);
}

/// The cluster that a Kustomization's objects are in.
pub fn whereabouts(context: &Context, key: &Key, object: &Kustomization) -> Whereabouts {
    let reference = object.spec.kube_config.as_ref();
    let site = context.sites.current(key, object).ok();
    Whereabouts {
        reference: reference.map_or_else(String::new, |reference| {
            format!("{}: {reference:?}", key.namespace)
        }),
        id: site.and_then(|site| site.id()),
    }
}

/// Notes what this Kustomization wants, and wakes those who may get an object because of that.
pub async fn declare(run: &Run<'_>, client: &Client, objects: &[Object], number: u64) {
    // What cannot be asked now is asked again by the plan, which reports it.
    if let Err(error) = cluster::learn(client, objects).await {
        tracing::debug!(%error, "kinds not learned");
    }
    let wish = Wish {
        place: whereabouts(run.context, run.key, &run.object),
        generation: run.object.metadata.generation.unwrap_or_default(),
        objects: objects
            .iter()
            .map(|object| place(client, &object.id))
            .collect(),
    };
    let waiting = run.context.desired.want(run.key, number, wish);
    wake(run.context, waiting);
}

/// Notes the Kustomizations that this one has applied: what they say now is heard before anything is deleted.
pub fn brought(run: &Run<'_>, changes: &ChangeSet) {
    let applied = changes.changed().filter_map(|entry| {
        let is_kustomization =
            entry.id.group == GROUP && entry.id.kind == Kind::Kustomization.name();
        let answer = entry.answer.as_ref().filter(|_| is_kustomization)?;
        let generation = answer["metadata"]["generation"].as_i64()?;
        Some((
            Key::kustomization(&entry.id.namespace, &entry.id.name),
            generation,
        ))
    });
    let applied: Vec<(Key, i64)> = applied.collect();
    run.context.desired.brought(run.key, &applied);
}

/// Wakes Kustomizations that did not get an object.
pub fn wake(context: &Context, waiting: Vec<Key>) {
    for key in waiting {
        context.schedule.wake(&key, Wake::dependency());
    }
}

/// Where an object is: cluster-scoped kinds have no namespace, whatever the manifest says.
fn place(client: &Client, id: &ObjectId) -> ObjectKey {
    let mut key = ObjectKey::from(id);
    if client
        .discovery()
        .get(id)
        .is_some_and(|resource| !resource.namespaced)
    {
        key.namespace.clear();
    }
    key
}

/// The objects that others want too and keep. Those of the same source are heard first: what they wanted of an
/// older snapshot is no dispute.
pub async fn conflicts(
    run: &Run<'_>,
    client: &Client,
    objects: &[Object],
    number: u64,
) -> Vec<Conflict> {
    let here = whereabouts(run.context, run.key, &run.object);
    hear(run, client, &here, objects, number).await;
    let mut conflicts = Vec::new();
    for object in objects {
        let Some(keeper) = keeper(run, client, &here, &object.id).await else {
            continue;
        };
        conflicts.push(Conflict {
            id: object.id.clone(),
            place: place(client, &object.id),
            agreed: agreed(client, &keeper.key, object.clone()).await,
            keeper,
        });
    }
    conflicts
}

/// Where the objects are that other processes' Kustomizations keep.
pub fn kept(conflicts: &[Conflict]) -> BTreeSet<ObjectKey> {
    let elsewhere = conflicts
        .iter()
        .filter(|conflict| conflict.keeper.elsewhere);
    elsewhere.map(|conflict| conflict.place.clone()).collect()
}

/// Wakes those for whom it counts what this Kustomization has applied.
pub fn applied(run: &Run<'_>, digest: &str) {
    let waiting = run.context.desired.applied(run.key, digest);
    wake(run.context, waiting);
}

/// Whether others want some of the same objects.
pub fn has_rivals(run: &Run<'_>, client: &Client, objects: &[Object]) -> bool {
    let here = whereabouts(run.context, run.key, &run.object);
    let mut places = objects.iter().map(|object| place(client, &object.id));
    places.any(|place| !rivals(run, &here, &place).is_empty())
}

/// Waits until those who want the same objects have been rendered at the same snapshot.
async fn hear(run: &Run<'_>, client: &Client, here: &Whereabouts, objects: &[Object], number: u64) {
    let rivals = |object: &Object| rivals(run, here, &place(client, &object.id));
    let rivals: BTreeSet<Key> = objects.iter().flat_map(rivals).collect();
    if let Some(source) = source_key(&run.object.spec, &run.key.namespace) {
        for rival in rivals {
            barrier::rendered(run.context, &rival, &source, number).await;
        }
    }
}

/// The other Kustomizations that want an object and are there to stay.
fn rivals(run: &Run<'_>, here: &Whereabouts, object: &ObjectKey) -> Vec<Key> {
    let desired = &run.context.desired;
    let mut others = desired.others(run.key, here, object);
    others.retain(|other| !is_leaving(run.context, other));
    others
}

/// Whether a Kustomization is being deleted, or is about to be by the one that applied it.
pub fn is_leaving(context: &Context, key: &Key) -> bool {
    let Some(object) = context.kustomization(key) else {
        return true;
    };
    if object.metadata.deletion_timestamp.is_some() {
        return true;
    }
    let Some(parent) = Owner::of_labels(object.labels()) else {
        return false;
    };
    let parent = Key::kustomization(parent.namespace, parent.name);
    let prunes = |object: &Kustomization| object.spec.prune && object.spec.suspend != Some(true);
    context
        .kustomization(&parent)
        .is_some_and(|parent| prunes(&parent))
        && !context.desired.wants(&parent, &own_place(key))
}

/// A Kustomization as an object of the cluster.
fn own_place(key: &Key) -> ObjectKey {
    ObjectKey {
        group: GROUP.into(),
        kind: Kind::Kustomization.name().into(),
        namespace: key.namespace.as_str().into(),
        name: key.name.as_str().into(),
    }
}

/// Who keeps an object that this Kustomization wants; none when it may have it.
async fn keeper(
    run: &Run<'_>,
    client: &Client,
    here: &Whereabouts,
    id: &ObjectId,
) -> Option<Keeper> {
    let place = place(client, id);
    let rivals = rivals(run, here, &place);
    let owner = match rivals.is_empty() {
        false => first(run, &rivals, live_owner(run, client, id, &place).await),
        true if run.context.settings.shares => watched_owner(run, &place),
        true => None,
    };
    let owner = owner.filter(|owner| owner != run.key)?;
    if rivals.contains(&owner) {
        return Some(Keeper {
            object: run.context.kustomization(&owner),
            key: owner,
            elsewhere: false,
        });
    }
    match run.context.settings.shares {
        true => kept_elsewhere(run, owner, &place).await,
        false => None,
    }
}

/// Who was first of those who want an object: whom its labels name, else who is making it.
fn first(run: &Run<'_>, rivals: &[Key], owner: Option<Key>) -> Option<Key> {
    match owner {
        Some(owner) if owner == *run.key || rivals.contains(&owner) => Some(owner),
        other => run.context.desired.claim(run.key, rivals).or(other),
    }
}

fn watched_owner(run: &Run<'_>, place: &ObjectKey) -> Option<Key> {
    let observed = run.live().get(place)?;
    let owner = observed.owner?;
    Some(Key::kustomization(owner.namespace, owner.name))
}

/// Whom the labels of the live object name; the watch may lag, so the object itself is asked.
async fn live_owner(
    run: &Run<'_>,
    client: &Client,
    id: &ObjectId,
    place: &ObjectKey,
) -> Option<Key> {
    let resource = client.discovery().get(id)?;
    let mut id = id.clone();
    place.namespace.as_str().clone_into(&mut id.namespace);
    match client.get_metadata(&resource.object_path(&id)).await {
        Ok(live) => {
            let label = |key: &str| live["metadata"]["labels"][key].as_str();
            Some(Key::kustomization(
                label(NAMESPACE_LABEL)?,
                label(NAME_LABEL)?,
            ))
        }
        Err(error) if error.is_not_found() => None,
        Err(_) => watched_owner(run, place),
    }
}

/// A Kustomization that another process looks after, when it has an object in its inventory.
async fn kept_elsewhere(run: &Run<'_>, owner: Key, object: &ObjectKey) -> Option<Keeper> {
    if run.context.kustomization(&owner).is_some() {
        return None;
    }
    let keeps = async {
        let found = elsewhere::find(run.context, &owner).await;
        let found = found.map_err(|error| error.to_string())?;
        let Some(other) = found else { return Ok(None) };
        let holds = elsewhere::holds(run, &other, object).await;
        let holds = holds.map_err(|failure| failure.message)?;
        Ok::<_, String>(holds.then(|| Arc::new(other)))
    };
    let read = match keeps.await {
        Ok(found) => Some(found?),
        Err(error) => {
            tracing::warn!(error, %owner, "the owner of an object was not read");
            None
        }
    };
    Some(Keeper {
        key: owner,
        object: read,
        elsewhere: true,
    })
}

/// Whether the object is as this Kustomization wants it, but for the labels of its owner.
async fn agreed(client: &Client, keeper: &Key, object: Object) -> bool {
    let wanted = Wanted {
        owner: Owner {
            name: keeper.name.as_str().into(),
            namespace: keeper.namespace.as_str().into(),
        },
        objects: vec![object],
        force: false,
        custom_stages: Vec::new(),
        ignore: Vec::new(),
    };
    let known = Known {
        check_all: true,
        ..Known::default()
    };
    let is_same = |step: &cluster::Step| match step.action {
        Action::Unchanged | Action::Skip(_) => true,
        Action::Configure => step.changes.is_empty(),
        Action::Create | Action::CreateUnchecked(_) | Action::Replace(_) => false,
    };
    let plan = cluster::plan(client, wanted, &known).await;
    plan.is_ok_and(|plan| plan.errors.is_empty() && plan.steps.iter().all(is_same))
}

/// Tells both sides of what is in dispute. A failure when the cluster is not as this Kustomization wants it.
pub fn tell(run: &Run<'_>, conflicts: &[Conflict], report: &mut Report) -> Result<(), Failure> {
    let kept = |conflict: &Conflict| (conflict.keeper.key.clone(), conflict.place.clone());
    let all = conflicts.iter().map(kept).collect();
    let news = run.context.desired.dispute(run.key, all);
    for conflict in conflicts.iter().filter(|it| news.contains(&kept(it))) {
        let text = conflict.text(run.key);
        tell_keeper(run, conflict, &text);
        if conflict.agreed {
            report.warnings.push(text);
        }
    }
    let lost = conflicts.iter().filter(|conflict| !conflict.agreed);
    let lost: Vec<String> = lost.map(|conflict| conflict.text(run.key)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    // Of another process's Kustomizations nothing is heard.
    let again = match conflicts.iter().any(|conflict| conflict.keeper.elsewhere) {
        true => Again::Backoff,
        false => Again::RetryInterval,
    };
    Err(Failure::new(reason::RECONCILIATION_FAILED, lost.join("\n")).again(again))
}

fn tell_keeper(run: &Run<'_>, conflict: &Conflict, text: &str) {
    let Some(keeper) = &conflict.keeper.object else {
        return;
    };
    let status = keeper.status.as_ref();
    let report = Report {
        revision: status.and_then(|status| status.last_applied_revision.clone()),
        ..Report::default()
    };
    let (severity, reason) = (Severity::Error, reason::RECONCILIATION_FAILED);
    let event = event(keeper, &report, severity, reason, text.to_owned());
    run.context.events.send(event);
}

/// Those of the objects, no longer wanted here, that others want: they change hands instead of being deleted.
pub async fn handed_over(
    run: &Run<'_>,
    objects: &[ObjectId],
) -> Result<HashSet<ObjectKey>, Failure> {
    let here = whereabouts(run.context, run.key, &run.object);
    let keys = objects.iter().map(ObjectKey::from);
    let handed = keys.filter(|key| !rivals(run, &here, key).is_empty());
    let mut handed: HashSet<ObjectKey> = handed.collect();
    if run.context.settings.shares && !objects.is_empty() {
        handed.extend(elsewhere::held(run, objects).await?);
    }
    for key in &handed {
        tracing::info!(
            name = run.key.name,
            namespace = run.key.namespace,
            object = format!("{}/{}/{}", key.kind, key.namespace, key.name),
            "handed over"
        );
    }
    Ok(handed)
}
