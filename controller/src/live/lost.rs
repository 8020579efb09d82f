//! What Kustomizations that go leave behind: what the one that brings them prunes, they clean up behind themselves.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use overlay::ObjectId;

use super::{Ground, Planned};
use crate::api::kustomization::Kustomization;
use crate::api::kustomization::deletion_policy::{DELETE, MIRROR_PRUNE, WAIT_FOR_TERMINATION};
use crate::cluster::prune::{Fate, Kept, look};
use crate::cluster::{Client, Inventory, ObjectKey, Owner};
use crate::comparison::Action;
use crate::environments::{LeafName, is_kustomization};
use crate::reconcile::gate::{self, Thresholds};
use crate::reconcile::run;
use crate::report::failure::Failure;

/// Requests in flight.
const LOOKS: usize = 16;

/// An object that is no longer wanted.
pub struct Lost {
    /// Who it is.
    pub id: ObjectId,
    /// What becomes of it.
    pub action: Action,
    /// The unique id of what is there, where it is to be deleted and may be looked at.
    pub uid: Option<String>,
}

/// A Kustomization that goes, and its objects.
pub struct Gone {
    /// Who it is.
    pub name: LeafName,
    /// The folder that it builds.
    pub path: String,
    /// Its objects.
    pub objects: Vec<Lost>,
}

/// The Kustomizations that go with the objects that others prune, and those that go with these.
pub(super) async fn gone(ground: &Ground<'_>, leaves: &[Planned]) -> Result<Vec<Gone>, Failure> {
    let wanted = wanted(leaves);
    let plans = leaves.iter().filter_map(|leaf| leaf.plan.as_ref());
    let mut going: Vec<ObjectId> = plans
        .flat_map(|plan| &plan.prunes)
        .filter(|id| is_kustomization(id) && !wanted.contains(&ObjectKey::from(*id)))
        .cloned()
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(id) = going.pop() {
        let name = LeafName {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        };
        let Some(object) = ground
            .living
            .get(&name)
            .filter(|_| seen.insert(name.clone()))
        else {
            continue;
        };
        let inventory = run::applied(object)?;
        let free = |id: &&ObjectId| !wanted.contains(&ObjectKey::from(*id));
        let left: Vec<ObjectId> = inventory.objects.iter().filter(free).cloned().collect();
        let objects = match stays(object) {
            Some(why) => left
                .into_iter()
                .map(|id| Lost {
                    id,
                    action: Action::Leave(why.to_owned()),
                    uid: None,
                })
                .collect(),
            None => fates(ground.client, &super::planned::owner(&name), left, &[]).await?,
        };
        let prunes = objects
            .iter()
            .filter(|lost| matches!(lost.action, Action::Prune { .. }));
        going.extend(
            prunes
                .map(|lost| &lost.id)
                .filter(|id| is_kustomization(id))
                .cloned(),
        );
        found.push(Gone {
            path: super::living::path_of(object),
            name,
            objects,
        });
    }
    Ok(found)
}

/// Notes what becomes of what each Kustomization no longer has; what another one wants is handed over.
pub(super) async fn note_lost(ground: &Ground<'_>, leaves: &mut [Planned]) -> Result<(), Failure> {
    let wanted = wanted(leaves);
    for leaf in leaves {
        let (Some(plan), Some(living)) = (&leaf.plan, ground.living.get(&leaf.grown.name)) else {
            continue;
        };
        let stays = |id: &&ObjectId| {
            !wanted.contains(&ObjectKey::from(*id)) && !leaf.renamed.iter().any(|it| it.old == **id)
        };
        let left: Vec<ObjectId> = plan.prunes.iter().filter(stays).cloned().collect();
        let held = held(&run::applied(living)?, &plan.inventory(), living);
        leaf.lost = fates(ground.client, &plan.owner, left, &held).await?;
    }
    Ok(())
}

/// Where all wanted objects are.
pub(super) fn wanted(leaves: &[Planned]) -> BTreeSet<ObjectKey> {
    let plans = leaves.iter().filter_map(|leaf| leaf.plan.as_ref());
    let steps = plans.flat_map(|plan| &plan.steps);
    steps.map(|step| ObjectKey::from(&step.id)).collect()
}

/// Why the objects of a Kustomization that is deleted stay.
fn stays(object: &Kustomization) -> Option<&'static str> {
    let spec = &object.spec;
    let policy = spec.deletion_policy.as_deref().unwrap_or(MIRROR_PRUNE);
    match policy {
        _ if spec.suspend == Some(true) => Some("its Kustomization is suspended"),
        DELETE | WAIT_FOR_TERMINATION => None,
        MIRROR_PRUNE if spec.prune => None,
        MIRROR_PRUNE => Some("prune: false"),
        _ => Some("deletionPolicy: Orphan"),
    }
}

/// What becomes of objects that are no longer wanted. What is gone already is left out; what is held waits for a
/// person's word.
async fn fates(
    client: &Client,
    owner: &Owner,
    objects: Vec<ObjectId>,
    held: &[ObjectId],
) -> Result<Vec<Lost>, Failure> {
    let looks = objects.into_iter().map(|id| async move {
        let fate = look(client, owner, &id).await;
        (id, fate)
    });
    let looks: Vec<_> = looks.collect();
    let mut looks = futures::stream::iter(looks).buffered(LOOKS);
    let mut fates = Vec::new();
    while let Some((id, fate)) = looks.next().await {
        let is_guarded = gate::is_guarded(&id) || held.contains(&id);
        let (action, uid) = match fate {
            Ok(Fate::Deleted(None)) => continue,
            Ok(Fate::Deleted(uid)) => (Action::Prune { is_guarded }, uid),
            Ok(Fate::Kept(why)) => (Action::Leave(told(why).to_owned()), None),
            // Who may not look is told what the inventory says.
            Err(error) if error.refusal().is_some_and(|it| it.is_forbidden()) => {
                (Action::Prune { is_guarded }, None)
            }
            Err(error) => return Err(super::refused(error)),
        };
        fates.push(Lost { id, action, uid });
    }
    Ok(fates)
}

fn told(why: Kept) -> &'static str {
    match why {
        Kept::Asked => "prune: disabled",
        Kept::NotOwned => "its labels name no owner, or another one",
        Kept::NotApplied => "somebody else made it, with these labels on",
        Kept::Replaced => "it was made anew by somebody else",
    }
}

/// What of an inventory waits for a person's word before it is deleted.
fn held(inventory: &Inventory, desired: &Inventory, object: &Kustomization) -> Vec<ObjectId> {
    let annotations = object.metadata.annotations.as_ref();
    let confirmed = annotations.and_then(|all| all.get(gate::CONFIRM));
    gate::check(
        &inventory.objects,
        &desired.objects,
        confirmed.map(String::as_str),
        Thresholds::default(),
    )
    .held
}
