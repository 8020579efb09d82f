//! Who wants which object, of all Kustomizations of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use overlay::ObjectId;

use crate::environments::Leaf;

/// Group, kind, namespace and name: what an API server tells objects apart by.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str);

fn key(id: &ObjectId) -> Key<'_> {
    (&id.group, &id.kind, &id.namespace, &id.name)
}

/// The Kustomizations that want each object.
pub(super) struct Owners<'a>(BTreeMap<Key<'a>, Vec<&'a Leaf>>);

impl<'a> Owners<'a> {
    /// Those among some Kustomizations.
    pub(super) fn among(leaves: impl Iterator<Item = &'a Arc<Leaf>>) -> Self {
        let mut owners: BTreeMap<Key<'a>, Vec<&'a Leaf>> = BTreeMap::new();
        for leaf in leaves {
            for object in leaf.objects() {
                owners.entry(key(&object.id)).or_default().push(leaf);
            }
        }
        Self(owners)
    }

    /// Whether an object that one has had is wanted, in the same cluster.
    pub(super) fn want(&self, id: &ObjectId, owner: &Leaf) -> bool {
        let leaves = self.0.get(&key(id)).into_iter().flatten();
        let mut clusters = leaves.map(|leaf| &leaf.spec.kube_config);
        clusters.any(|cluster| *cluster == owner.spec.kube_config)
    }

    /// What is said of objects that several want, one of these among them.
    pub(super) fn warnings(&self, changed: impl Fn(&Leaf) -> bool) -> Vec<String> {
        let mut warnings = Vec::new();
        for ((_, kind, namespace, name), leaves) in &self.0 {
            if are_several(leaves) && leaves.iter().any(|leaf| changed(leaf)) {
                let names: Vec<String> = leaves.iter().map(|leaf| leaf.name.to_string()).collect();
                let object = format!("{kind}/{namespace}/{name}").replace("//", "/");
                warnings.push(format!("{object} is wanted by {}", names.join(" and ")));
            }
        }
        warnings
    }
}

/// Whether there are two of one cluster.
fn are_several(leaves: &[&Leaf]) -> bool {
    let mut leaves = leaves.iter();
    leaves
        .next()
        .is_some_and(|first| leaves.any(|leaf| leaf.spec.kube_config == first.spec.kube_config))
}
