//! What Kustomizations that go leave behind: what the one that brings them prunes, they clean up behind themselves.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use overlay::ObjectId;

use super::{Ground, Planned};
use crate::api::kustomization::Kustomization;
use crate::cluster::prune::{Fate, Kept, look};
use crate::cluster::{Client, Inventory, ObjectKey, Owner};
use crate::comparison::Action;
use crate::comparison::loss::stays_behind;
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

/// A Kustomization that is pruned, and whether that waits for a person's word.
type Going = (ObjectId, bool);

/// The Kustomizations that go with the objects that others prune, and those that go with these.
pub(super) async fn gone(ground: &Ground<'_>, leaves: &[Planned]) -> Result<Vec<Gone>, Failure> {
    let wanted = wanted(leaves);
    let mut going: Vec<Going> = leaves.iter().flat_map(|leaf| pruned(&leaf.lost)).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some((id, waits)) = going.pop() {
        let name = LeafName {
            namespace: id.namespace,
            name: id.name,
        };
        let Some(object) = ground
            .living
            .get(&name)
            .filter(|_| seen.insert(name.clone()))
        else {
            continue;
        };
        let objects = left_by(ground, &name, object, &wanted, waits).await?;
        going.extend(pruned(&objects));
        found.push(Gone {
            path: super::living::path_of(object),
            name,
            objects,
        });
    }
    Ok(found)
}

/// The Kustomizations among what is pruned. One that stays looks after its objects as before.
fn pruned(lost: &[Lost]) -> impl Iterator<Item = Going> {
    let pruned = lost.iter().filter_map(|lost| match lost.action {
        Action::Prune { is_guarded } => Some((lost.id.clone(), is_guarded)),
        _ => None,
    });
    pruned.filter(|(id, _)| is_kustomization(id))
}

/// What becomes of the objects of a Kustomization that goes. The gate holds none of them, but it may hold that one.
async fn left_by(
    ground: &Ground<'_>,
    name: &LeafName,
    object: &Kustomization,
    wanted: &BTreeSet<ObjectKey>,
    waits: bool,
) -> Result<Vec<Lost>, Failure> {
    let mut left = run::applied(object)?.objects;
    left.retain(|id| !wanted.contains(&ObjectKey::from(id)));
    let Some(why) = stays_behind(&object.spec) else {
        let held = if waits { left.clone() } else { Vec::new() };
        return fates(ground.client, &super::planned::owner(name), left, &held).await;
    };
    let stays = |id| Lost {
        id,
        action: Action::Leave(why.to_owned()),
        uid: None,
    };
    Ok(left.into_iter().map(stays).collect())
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
        let mut inventory = run::applied(living)?;
        let handed =
            |id: &ObjectId| plan.prunes.contains(id) && wanted.contains(&ObjectKey::from(id));
        inventory.objects.retain(|id| !handed(id));
        let held = held(&inventory, &plan.inventory(), living);
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
        let is_guarded = held.contains(&id);
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
