//! What the shared watches show of managed objects, as a plain lookup; and the proof that an object still is as
//! it was applied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use ecow::EcoString;
use overlay::ObjectId;

use super::managed_fields::{Digest, OwnEntry};
use super::owner::Owner;
use super::plan::Skip;

/// An object's group, kind, namespace and name: the version it is asked for in does not make another object.
///
/// Ten thousands of these are kept, so short texts lie within.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// API group; empty for core.
    pub group: EcoString,
    /// Kind.
    pub kind: EcoString,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: EcoString,
    /// Name.
    pub name: EcoString,
}

impl From<&ObjectId> for ObjectKey {
    fn from(id: &ObjectId) -> Self {
        Self {
            group: id.group.as_str().into(),
            kind: id.kind.as_str().into(),
            namespace: id.namespace.as_str().into(),
            name: id.name.as_str().into(),
        }
    }
}

/// A unique id, for comparing: a UUID, as API servers give them, else the beginning of a digest. Sixteen bytes
/// within ten thousands of records, and not as many texts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uid([u8; 16]);

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let digits: String = text.split('-').collect();
        let is_uuid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(&digits, 16) {
            Ok(number) if is_uuid => Self(number.to_be_bytes()),
            _ => {
                let Digest(digest) = Digest::of(text.as_bytes());
                Self(std::array::from_fn(|at| digest[at]))
            }
        }
    }
}

/// What a watch keeps of a live object: enough to see drift, nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Unique id of this incarnation.
    pub uid: Uid,
    /// Changes with every write, status included.
    pub resource_version: EcoString,
    /// Whom its labels name.
    pub owner: Option<Owner>,
    /// Our own entry in its managed fields.
    pub own: Option<OwnEntry>,
    /// Digest of the entries of managers that Weir takes over.
    pub taken_over: Option<Digest>,
    /// Whether the server keeps managed fields for it.
    pub has_managed_fields: bool,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// Whether a controller has written into its status which generation it has seen.
    pub reported: bool,
    /// Why it asks to be left alone, when it does.
    pub left_alone: Option<Skip>,
}

/// What a successful apply left behind: while the live object agrees with it, the object needs no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Digest of what was sent.
    pub desired: Digest,
    /// Unique id of the object.
    pub uid: Uid,
    /// Resource version that the server answered with; used only for kinds without managed fields.
    pub resource_version: EcoString,
    /// Our own entry as the server answered.
    pub own: Option<OwnEntry>,
    /// Entries of managers to take over that were left, or appeared in the answer.
    pub taken_over: Option<Digest>,
    /// What of the object it shows.
    pub shows: Shows,
}

/// What a proof shows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// That it is as it was sent.
    Content,
    /// That it is there (`ssa: IfNotPresent`): its content may be anybody's.
    Presence,
    /// That it asked to be left alone: its content may be anybody's until it does so no more.
    LeftAlone,
}

/// The proofs of one Kustomization's objects.
pub type Proofs = HashMap<ObjectKey, Proof>;

/// What the shared watches of a cluster show now: objects that carry owner labels, of the kinds that are watched.
/// Clones share the same view.
#[derive(Clone, Debug, Default)]
pub struct Live {
    objects: Arc<RwLock<HashMap<ObjectKey, Observed>>>,
    /// The fields of our own entries as the first list showed them, for a while.
    fields: Arc<RwLock<HashMap<ObjectKey, Box<str>>>>,
}

/// Why an object is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is not there, or no longer carries the owner labels.
    Missing,
    /// It was deleted and made again.
    Replaced,
    /// Its deletion has begun.
    Deleting,
    /// Its owner labels name someone else.
    Relabelled,
    /// A field of ours was taken, or our entry changed.
    FieldsTaken,
    /// A manager that Weir takes over has written.
    TakenOver,
    /// The kind keeps no managed fields, and something was written.
    Written,
    /// It no longer asks to be left alone, and may be anything by now.
    Released,
}

impl Drift {
    /// Whether somebody has written fields of an object that is otherwise ours.
    pub fn is_of_fields(self) -> bool {
        matches!(self, Self::FieldsTaken | Self::TakenOver | Self::Written)
    }
}

impl Live {
    /// What is seen of an object.
    pub fn get(&self, key: &ObjectKey) -> Option<Observed> {
        self.read().get(key).cloned()
    }

    /// Notes what is seen of an object now; gives back what was seen before.
    pub fn see(&self, key: ObjectKey, observed: Observed) -> Option<Observed> {
        self.write().insert(key, observed)
    }

    /// Keeps the fields of our own entry of an object, as JSON, until somebody asks for them.
    pub fn remember(&self, key: ObjectKey, fields: String) {
        self.write_fields().insert(key, fields.into_boxed_str());
    }

    /// Gives the fields of our own entry away.
    pub fn recall(&self, key: &ObjectKey) -> Option<Box<str>> {
        self.write_fields().remove(key)
    }

    /// Drops the fields of a kind that nobody has asked for.
    pub fn drop_fields(&self, group: &str, kind: &str) {
        let mut fields = self.write_fields();
        fields.retain(|key, _| key.group != group || key.kind != kind);
        fields.shrink_to_fit();
    }

    /// Notes that an object is no longer seen; gives back what was seen before.
    pub fn lose(&self, key: &ObjectKey) -> Option<Observed> {
        self.write().remove(key)
    }

    /// Notes that a kind is no longer watched.
    pub fn forget(&self, group: &str, kind: &str) {
        self.write()
            .retain(|key, _| key.group != group || key.kind != kind);
        self.drop_fields(group, kind);
    }

    /// The objects of a kind that are seen and that a fresh list does not hold.
    pub fn missing(&self, group: &str, kind: &str, listed: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        let is_missing =
            |key: &&ObjectKey| key.group == group && key.kind == kind && !listed.contains(*key);
        self.read().keys().filter(is_missing).cloned().collect()
    }

    /// How many objects are seen.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// True when nothing is seen.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    fn write_fields(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, Box<str>>> {
        self.fields.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ObjectKey, Observed>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, Observed>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    /// Whether all that proofs look at is the same.
    pub fn agrees(&self, other: &Self) -> bool {
        let but_for_status = Self {
            resource_version: other.resource_version.clone(),
            reported: other.reported,
            ..self.clone()
        };
        self.has_managed_fields && but_for_status == *other
    }
}

impl Proof {
    /// Shows that an object is there, whatever others have made of it.
    pub(super) fn of_presence(desired: Digest, uid: Uid) -> Self {
        Self::without_content(desired, uid, Shows::Presence)
    }

    /// Shows that an object asks to be left alone; `applied` is the digest of what was sent last, if anything was.
    pub(super) fn left_alone(applied: Option<Digest>, uid: Uid) -> Self {
        let applied = applied.unwrap_or_else(|| Digest::of(b""));
        Self::without_content(applied, uid, Shows::LeftAlone)
    }

    fn without_content(desired: Digest, uid: Uid, shows: Shows) -> Self {
        Self {
            desired,
            uid,
            resource_version: EcoString::new(),
            own: None,
            taken_over: None,
            shows,
        }
    }

    /// Whether it says anything to who wants this of the object. What is left alone is so whatever is wanted.
    pub(super) fn counts_for(&self, wanted: Digest) -> bool {
        self.desired == wanted || self.shows == Shows::LeftAlone
    }

    /// Compares the live object with what was applied; none when it still agrees.
    pub fn drift(&self, owner: &Owner, observed: Option<&Observed>) -> Option<Drift> {
        let Some(observed) = observed else {
            return Some(Drift::Missing);
        };
        if self.shows == Shows::Presence {
            return None;
        }
        if observed.uid != self.uid {
            return Some(Drift::Replaced);
        }
        if self.shows == Shows::LeftAlone {
            return observed.left_alone.is_none().then_some(Drift::Released);
        }
        self.drift_of_content(owner, observed)
    }

    fn drift_of_content(&self, owner: &Owner, observed: &Observed) -> Option<Drift> {
        if observed.deleting {
            return Some(Drift::Deleting);
        }
        if observed.owner.as_ref() != Some(owner) {
            return Some(Drift::Relabelled);
        }
        if !observed.has_managed_fields {
            let written = observed.resource_version != self.resource_version;
            return written.then_some(Drift::Written);
        }
        if observed.own != self.own {
            return Some(Drift::FieldsTaken);
        }
        let taken = observed.taken_over.is_some() && observed.taken_over != self.taken_over;
        taken.then_some(Drift::TakenOver)
    }
}

/// The objects of one owner that no longer agree with what was applied.
pub fn drifted(owner: &Owner, proofs: &Proofs, live: &Live) -> BTreeMap<ObjectKey, Drift> {
    let seen = live.read();
    proofs
        .iter()
        .filter_map(|(key, proof)| Some((key.clone(), proof.drift(owner, seen.get(key))?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            name: "apps".into(),
            namespace: "flux-system".into(),
        }
    }

    fn entry(fields: &[u8]) -> Option<OwnEntry> {
        Some(OwnEntry {
            fields: Digest::of(fields),
            time: 1,
        })
    }

    fn observed() -> Observed {
        Observed {
            uid: "1".into(),
            resource_version: "10".into(),
            owner: Some(owner()),
            own: entry(b"a"),
            taken_over: None,
            has_managed_fields: true,
            deleting: false,
            reported: false,
            left_alone: None,
        }
    }

    #[test]
    fn what_is_drift_and_what_is_not() {
        let proof = Proof {
            desired: Digest::of(b""),
            uid: "1".into(),
            resource_version: "9".into(),
            own: entry(b"a"),
            taken_over: None,
            shows: Shows::Content,
        };
        let other = Owner {
            name: "other".into(),
            namespace: "flux-system".into(),
        };
        let table = [
            (Some(observed()), None),
            (None, Some(Drift::Missing)),
            (
                Some(Observed {
                    uid: "2".into(),
                    ..observed()
                }),
                Some(Drift::Replaced),
            ),
            (
                Some(Observed {
                    deleting: true,
                    ..observed()
                }),
                Some(Drift::Deleting),
            ),
            (
                Some(Observed {
                    owner: Some(other),
                    ..observed()
                }),
                Some(Drift::Relabelled),
            ),
            (
                Some(Observed {
                    own: entry(b"b"),
                    ..observed()
                }),
                Some(Drift::FieldsTaken),
            ),
            (
                Some(Observed {
                    own: None,
                    ..observed()
                }),
                Some(Drift::FieldsTaken),
            ),
            (
                Some(Observed {
                    taken_over: Some(Digest::of(b"k")),
                    ..observed()
                }),
                Some(Drift::TakenOver),
            ),
            (
                Some(Observed {
                    has_managed_fields: false,
                    ..observed()
                }),
                Some(Drift::Written),
            ),
        ];
        for (seen, expected) in table {
            assert_eq!(proof.drift(&owner(), seen.as_ref()), expected, "{seen:?}");
        }
    }

    #[test]
    fn of_an_object_that_is_only_to_be_there_nothing_but_its_end_is_drift() {
        let proof = Proof::of_presence(Digest::of(b""), "1".into());
        let anybody_s = Observed {
            uid: "2".into(),
            owner: None,
            own: None,
            taken_over: Some(Digest::of(b"k")),
            ..observed()
        };
        assert_eq!(proof.drift(&owner(), Some(&anybody_s)), None);
        assert_eq!(proof.drift(&owner(), None), Some(Drift::Missing));
    }

    #[test]
    fn what_is_left_alone_is_drift_when_it_is_so_no_more() {
        let proof = Proof::left_alone(None, "1".into());
        let left = Observed {
            own: None,
            taken_over: Some(Digest::of(b"k")),
            left_alone: Some(Skip::ReconcileDisabled),
            ..observed()
        };
        assert_eq!(proof.drift(&owner(), Some(&left)), None);
        assert!(proof.counts_for(Digest::of(b"anything")));
        let released = Observed {
            left_alone: None,
            ..left.clone()
        };
        assert!(!left.agrees(&released));
        assert_eq!(
            proof.drift(&owner(), Some(&released)),
            Some(Drift::Released)
        );
        assert_eq!(proof.drift(&owner(), None), Some(Drift::Missing));
    }
}
