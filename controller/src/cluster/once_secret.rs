//! What of live objects may hold secrets that nothing wanted now tells of: it was given by what was wanted before.

use std::collections::{BTreeMap, BTreeSet};

use overlay::{Object, ObjectId};

use super::changes::secret_leaves;
use super::live::ObjectKey;

/// By object, under the name that it has in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnceSecret {
    /// Objects of which nobody can tell.
    pub whole: BTreeSet<ObjectKey>,
    /// The leaves of the others, with `[]` for every list item.
    pub leaves: BTreeMap<ObjectKey, BTreeSet<String>>,
}

/// What of one object may hold secrets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Once<'a> {
    pub(super) is_whole: bool,
    pub(super) leaves: Option<&'a BTreeSet<String>>,
}

impl Once<'_> {
    /// Whether anything of it may.
    pub(super) fn is_any(self) -> bool {
        self.is_whole || self.leaves.is_some()
    }
}

impl OnceSecret {
    /// Notes the leaves of what was wanted, and how that is called in the cluster.
    pub fn add(&mut self, id: &ObjectId, wanted: &Object) {
        let leaves = secret_leaves(&wanted.node);
        if !leaves.is_empty() {
            let known = self.leaves.entry(ObjectKey::from(id));
            known.or_default().extend(leaves);
        }
    }

    /// What is known of an object.
    pub(crate) fn of(&self, id: &ObjectId) -> Once<'_> {
        let key = ObjectKey::from(id);
        Once {
            is_whole: self.whole.contains(&key),
            leaves: self.leaves.get(&key),
        }
    }
}
