//! Deletions that a new render causes and that wait for a person's word: all of the inventory, most of it, or
//! kinds that take data with them.

use std::collections::{BTreeMap, BTreeSet};

use overlay::ObjectId;
use sha2::{Digest, Sha256};

use crate::api::kustomization::reason;
use crate::report::failure::Failure;

/// The annotation whose value, the digest of the list, lets the deletions go on.
pub const CONFIRM: &str = "weir.dev/confirm-prune";

/// Kinds whose deletion takes others' data with it, by group and kind.
const GUARDED: [(&str, &str); 3] = [
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// How many objects a message lists.
const LISTED: usize = 20;

/// Deletions are held when they are more than both of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A number of objects.
    pub objects: usize,
    /// A part of the inventory, in percent.
    pub percent: u8,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            objects: 10,
            percent: 50,
        }
    }
}

impl Thresholds {
    fn hold(&self, lost: usize, all: usize) -> bool {
        lost > self.objects && lost * 100 > all * usize::from(self.percent)
    }
}

/// What is deleted now and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// To delete now.
    pub free: Vec<ObjectId>,
    /// To keep until confirmed.
    pub held: Vec<ObjectId>,
}

impl Verdict {
    /// The digest that confirms what is held.
    pub fn digest(&self) -> String {
        digest(&self.held)
    }

    /// Says what waits for what.
    pub fn failure(&self) -> Option<Failure> {
        let first = self.held.iter().take(LISTED).map(ToString::to_string);
        let mut list = first.collect::<Vec<_>>().join(", ");
        if self.held.len() > LISTED {
            list.push_str(&format!(" and {} more", self.held.len() - LISTED));
        }
        let message = format!(
            "the new render no longer has {} of the applied objects, which are kept: {list}; to delete them \
             annotate this Kustomization with {CONFIRM}={}",
            self.held.len(),
            self.digest()
        );
        (!self.held.is_empty()).then(|| Failure::new(reason::PRUNE_FAILED, message))
    }
}

/// Sorts the objects of the inventory that the desired set no longer holds into free and held.
pub fn check(
    inventory: &[ObjectId],
    desired: &[ObjectId],
    confirmed: Option<&str>,
    thresholds: Thresholds,
) -> Verdict {
    let stale = missing(inventory, desired);
    let lost = without_successor(&stale, &missing(desired, inventory));
    let all = lost.len() == inventory.len() && !lost.is_empty();
    let most = thresholds.hold(lost.len(), inventory.len());
    let is_held = |id: &&ObjectId| is_guarded(id) || ((all || most) && lost.contains(*id));
    let (held, free): (Vec<_>, Vec<_>) = stale.iter().copied().partition(is_held);
    let (held, free) = (cloned(held), cloned(free));
    if confirmed == Some(&digest(&held)) {
        return Verdict {
            free: cloned(stale),
            held: Vec::new(),
        };
    }
    Verdict { free, held }
}

fn cloned(ids: Vec<&ObjectId>) -> Vec<ObjectId> {
    ids.into_iter().cloned().collect()
}

/// The ids that the others do not hold, in whatever version.
fn missing<'a>(ids: &'a [ObjectId], others: &[ObjectId]) -> Vec<&'a ObjectId> {
    let others: BTreeSet<_> = others.iter().map(without_version).collect();
    ids.iter()
        .filter(|id| !others.contains(&without_version(id)))
        .collect()
}

/// Whether an object is of a kind that takes others, or data, along when it goes.
pub fn is_guarded(id: &ObjectId) -> bool {
    GUARDED.contains(&(id.group.as_str(), id.kind.as_str()))
}

/// The stale objects whose place no new object of the same kind and namespace takes, one for one.
fn without_successor<'a>(stale: &[&'a ObjectId], new: &[&ObjectId]) -> BTreeSet<&'a ObjectId> {
    let mut successors: BTreeMap<_, usize> = BTreeMap::new();
    for id in new {
        *successors
            .entry((&id.group, &id.kind, &id.namespace))
            .or_default() += 1;
    }
    let mut lost = BTreeSet::new();
    for id in stale {
        match successors.get_mut(&(&id.group, &id.kind, &id.namespace)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => {
                lost.insert(*id);
            }
        }
    }
    lost
}

fn without_version(id: &ObjectId) -> (&str, &str, &str, &str) {
    (&id.group, &id.kind, &id.namespace, &id.name)
}

/// Twelve digits are enough to tell one list from another, and few enough to copy.
fn digest(ids: &[ObjectId]) -> String {
    let mut texts: Vec<String> = ids.iter().map(|id| format!("{}/{id}", id.group)).collect();
    texts.sort();
    let hash = Sha256::digest(texts.join("\n"));
    hash.iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Thresholds = Thresholds {
        objects: 10,
        percent: 50,
    };

    fn id(kind: &str, name: &str) -> ObjectId {
        let (kind, name) = (kind.into(), name.into());
        ObjectId {
            version: "v1".into(),
            namespace: "shop".into(),
            kind,
            name,
            ..ObjectId::default()
        }
    }

    fn many(prefix: &str, count: usize) -> Vec<ObjectId> {
        (0..count)
            .map(|number| id("ConfigMap", &format!("{prefix}{number}")))
            .collect()
    }

    #[test]
    fn single_deletions_are_free() {
        let inventory = [id("Service", "web"), id("Deployment", "web")];
        let verdict = check(&inventory, &inventory[1..], None, DEFAULT);
        assert_eq!(
            verdict,
            Verdict {
                free: vec![id("Service", "web")],
                held: vec![]
            }
        );
        assert_eq!(verdict.failure(), None);
    }

    #[test]
    fn the_whole_inventory_is_held_until_confirmed() {
        let stale = many("a", 3);
        let verdict = check(&stale, &[], None, DEFAULT);
        assert_eq!((verdict.free.len(), verdict.held.len()), (0, 3));
        let message = verdict.failure().expect("held").message;
        assert!(message.contains("ConfigMap/shop/a0") && message.contains(&verdict.digest()));
        let confirmed = check(&stale, &[], Some(&verdict.digest()), DEFAULT);
        assert_eq!((confirmed.free.len(), confirmed.held.len()), (3, 0));
        assert_eq!(check(&stale, &[], Some("other"), DEFAULT), verdict);
        assert_eq!(check(&[], &[], None, DEFAULT), Verdict::default());
    }

    #[test]
    fn renames_are_free() {
        let old = [id("ConfigMap", "settings-1")];
        let verdict = check(&old, &[id("ConfigMap", "settings-2")], None, DEFAULT);
        assert_eq!(verdict.free, old);
    }

    #[test]
    fn more_than_half_and_more_than_ten_are_held() {
        for (deleted, kept, held) in [(10, 9, 0), (11, 10, 11), (11, 11, 0)] {
            let kept = many("kept", kept);
            let inventory = [many("a", deleted), kept.clone()].concat();
            assert_eq!(
                check(&inventory, &kept, None, DEFAULT).held.len(),
                held,
                "{deleted}"
            );
        }
    }

    #[test]
    fn the_thresholds_are_settable() {
        let kept = many("kept", 7);
        let inventory = [many("a", 3), kept.clone()].concat();
        for (objects, percent, held) in [(2, 29, 3), (3, 29, 0), (2, 30, 0), (0, 0, 3)] {
            let thresholds = Thresholds { objects, percent };
            let verdict = check(&inventory, &kept, None, thresholds);
            assert_eq!(verdict.held.len(), held, "{thresholds:?}");
        }
    }

    #[test]
    fn kinds_that_hold_data_are_held_alone() {
        let kept = id("Deployment", "web");
        let inventory = [
            id("PersistentVolumeClaim", "data"),
            id("Service", "web"),
            kept.clone(),
        ];
        let verdict = check(&inventory, &[kept], None, DEFAULT);
        assert_eq!(verdict.free, [id("Service", "web")]);
        assert_eq!(verdict.held, [id("PersistentVolumeClaim", "data")]);
    }
}
