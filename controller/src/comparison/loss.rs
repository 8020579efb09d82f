//! What becomes of what Git no longer has, by the rules of the controller: what a Kustomization prunes, and what one that
//! goes itself cleans up behind itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::ObjectId;

use super::Action;
use super::pair::{Pair, Side};
use super::shared::Owners;
use crate::api::kustomization::KustomizationSpec;
use crate::api::kustomization::deletion_policy::{DELETE, MIRROR_PRUNE, WAIT_FOR_TERMINATION};
use crate::cluster::kept_by_itself;
use crate::environments::{Leaf, LeafName, is_kustomization};
use crate::reconcile::gate::{self, Thresholds};

/// Why the objects of a Kustomization that is deleted stay; nothing when they go.
pub(crate) fn stays_behind(spec: &KustomizationSpec) -> Option<&'static str> {
    match spec.deletion_policy.as_deref().unwrap_or(MIRROR_PRUNE) {
        _ if spec.suspend == Some(true) => Some("its Kustomization is suspended"),
        DELETE | WAIT_FOR_TERMINATION => None,
        MIRROR_PRUNE if spec.prune => None,
        MIRROR_PRUNE => Some("prune: false"),
        _ => Some("deletionPolicy: Orphan"),
    }
}

/// The two sides of an environment, and what waits for a person's word.
pub(super) struct Losses<'a> {
    before: &'a [Arc<Leaf>],
    after: &'a [Arc<Leaf>],
    owners: &'a Owners<'a>,
    /// Whether anybody is left to prune.
    is_there: bool,
    held: BTreeMap<&'a LeafName, Vec<ObjectId>>,
}

impl<'a> Losses<'a> {
    /// Those of an environment whose objects are paired.
    pub(super) fn new(
        [before, after]: [&'a [Arc<Leaf>]; 2],
        owners: &'a Owners<'a>,
        is_there: bool,
        pairs: &[Pair<'a>],
    ) -> Self {
        let mut losses = Self {
            before,
            after,
            owners,
            is_there,
            held: BTreeMap::new(),
        };
        let lost = pairs.iter().filter(|pair| pair.after.is_none());
        let lost: BTreeMap<&LeafName, &Leaf> = lost
            .filter_map(|pair| pair.before)
            .map(|side| (&side.leaf.name, side.leaf))
            .collect();
        let held = lost.into_iter().filter_map(|(name, leaf)| {
            let successor = losses.successor(leaf)?;
            Some((name, losses.held_of(leaf, successor)))
        });
        losses.held = held.collect();
        losses
    }

    /// What becomes of an object.
    pub(super) fn action(&self, side: Side<'_>) -> Action {
        match self.kept(side) {
            Some(why) => Action::Leave(why.to_owned()),
            None => Action::Prune {
                is_guarded: self.waits(side),
            },
        }
    }

    /// Whether nothing happens to an object: what has applied it cannot be compared, or another one wants it.
    pub(super) fn is_none(&self, side: Side<'_>, broken: &BTreeSet<LeafName>) -> bool {
        self.depends_on(&side.leaf.name, broken) || self.owners.want(&side.object.id, side.leaf)
    }

    /// Whether a Kustomization is one of these, or goes only because what brings it is: nobody deletes it then.
    fn depends_on(&self, name: &LeafName, broken: &BTreeSet<LeafName>) -> bool {
        if broken.contains(name) {
            return true;
        }
        let find = |leaves: &'a [Arc<Leaf>]| leaves.iter().find(|leaf| leaf.name == *name);
        let parent = find(self.before).and_then(|leaf| leaf.parent.as_ref());
        find(self.after).is_none() && parent.is_some_and(|parent| self.depends_on(parent, broken))
    }

    /// Why an object stays.
    fn kept(&self, side: Side<'_>) -> Option<&'static str> {
        if !self.is_there {
            return Some("the environment goes; nobody prunes it");
        }
        let of_kustomization = || match self.successor(side.leaf) {
            Some(successor) => (!successor.spec.prune).then_some("prune: false"),
            None => {
                let bringer = self.bringer(side.leaf);
                let stays = bringer.and_then(|bringer| self.kept(bringer));
                let stays = stays.map(|_| "its Kustomization stays");
                stays.or_else(|| stays_behind(&side.leaf.spec))
            }
        };
        kept_by_itself(&side.object.node).or_else(of_kustomization)
    }

    /// Whether an object that goes waits for a person's word; the gate holds nothing of a Kustomization that goes, but it
    /// may hold that one.
    fn waits(&self, side: Side<'_>) -> bool {
        let held = self.held.get(&side.leaf.name);
        match self.successor(side.leaf) {
            Some(_) => held.is_some_and(|held| held.contains(&side.object.id)),
            None => self
                .bringer(side.leaf)
                .is_some_and(|bringer| self.waits(bringer)),
        }
    }

    /// The same Kustomization of the later side. The entry is the same whatever it is called.
    fn successor(&self, leaf: &Leaf) -> Option<&'a Leaf> {
        let is_it = |other: &&Arc<Leaf>| {
            other.name == leaf.name || (other.parent.is_none() && leaf.parent.is_none())
        };
        self.after.iter().find(is_it).map(|leaf| &**leaf)
    }

    /// A Kustomization as an object of the one that brings it.
    fn bringer(&self, leaf: &Leaf) -> Option<Side<'a>> {
        let parent = leaf.parent.as_ref()?;
        let parent = self.before.iter().find(|other| other.name == *parent)?;
        let mut objects = parent.objects().iter();
        let object = objects.find(|object| {
            let id = &object.id;
            is_kustomization(id)
                && (&id.namespace, &id.name) == (&leaf.name.namespace, &leaf.name.name)
        })?;
        Some(Side {
            leaf: parent,
            object,
        })
    }

    /// What of an inventory waits for a person's word; what others take over is not part of it.
    fn held_of(&self, leaf: &Leaf, successor: &Leaf) -> Vec<ObjectId> {
        let ids = |leaf: &Leaf| -> Vec<ObjectId> {
            let objects = leaf.objects().iter();
            objects.map(|object| object.id.clone()).collect()
        };
        let (mut inventory, desired) = (ids(leaf), ids(successor));
        inventory.retain(|id| desired.contains(id) || !self.owners.want(id, leaf));
        gate::check(&inventory, &desired, None, Thresholds::default()).held
    }
}
