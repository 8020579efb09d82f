//! Rule: an object that two Kustomizations of one cluster bring. Each puts its own version in place of the other's.

use std::collections::{BTreeMap, HashMap};

use overlay::{Object, TreeError};

use super::{Finding, Site};
use crate::environments::{Leaf, LeafName};

/// Group, kind, namespace and name: what an API server tells objects apart by.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str);

/// The Kustomizations of a cluster, each once, with the environments that have it.
type Cluster<'a> = Vec<(&'a Leaf, Vec<&'a str>)>;

/// Tells of the second of two.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let mut clusters: BTreeMap<&str, Cluster<'_>> = BTreeMap::new();
    for environment in &site.graph.environments {
        let cluster = clusters.entry(&environment.path).or_default();
        let mut known: HashMap<LeafName, usize> = HashMap::new();
        for (number, (leaf, _)) in cluster.iter().enumerate() {
            known.insert(leaf.name.clone(), number);
        }
        for leaf in &environment.leaves {
            match known.get(&leaf.name) {
                Some(number) => cluster[*number].1.push(&environment.name),
                None => cluster.push((leaf, vec![&environment.name])),
            }
        }
    }
    let found = clusters.values().map(|cluster| of_cluster(site, cluster));
    Ok(found.flatten().collect())
}

fn of_cluster(site: &Site<'_>, cluster: &Cluster<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut known: HashMap<Key<'_>, (&Leaf, &Object)> = HashMap::new();
    for (leaf, environments) in cluster {
        let objects = leaf.objects().iter();
        for object in objects.filter(|object| is_certain(site, object)) {
            let first = *known.entry(key(leaf, object)).or_insert((*leaf, object));
            if first.0.name != leaf.name && first.0.spec.kube_config == leaf.spec.kube_config {
                let names = environments.iter();
                let seen = |finding: Finding, name: &&str| finding.seen_in(name);
                found.push(names.fold(finding(first, leaf, object), seen));
            }
        }
    }
    found
}

/// A name with something unknown in it may be another one.
fn is_certain(site: &Site<'_>, object: &Object) -> bool {
    let id = &object.id;
    ![&id.name, &id.namespace]
        .into_iter()
        .any(|text| site.marker.is_in(text) || text.contains("${"))
}

fn key<'a>(leaf: &'a Leaf, object: &'a Object) -> Key<'a> {
    let id = &object.id;
    let own = leaf.spec.target_namespace.as_deref();
    let namespace = own
        .filter(|_| id.namespace.is_empty())
        .unwrap_or(&id.namespace);
    (&id.group, &id.kind, namespace, &id.name)
}

fn finding((other, first): (&Leaf, &Object), leaf: &Leaf, object: &Object) -> Finding {
    let message = format!(
        "{} is brought by {} and by {} ({})",
        object.id, leaf.name, other.name, first.origin.place
    );
    Finding::new(object.origin.place.clone(), message)
        .hint("keep it in one of the two; the other may name it in dependsOn")
}
