//! What a Kustomization has applied: a list of objects in apply order, with ids as Flux writes them.

use std::collections::HashSet;

use overlay::ObjectId;

/// The API server refuses requests to etcd above this size, so no object can be larger.
pub const LARGEST_OBJECT: usize = 1_572_864;

/// The objects of a Kustomization in apply order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Who they are.
    pub objects: Vec<ObjectId>,
}

/// What is wrong with an inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// An entry's id is not `<namespace>_<name>_<group>_<kind>`.
    #[error("inventory entry {id:?} is not <namespace>_<name>_<group>_<kind>")]
    InvalidId {
        /// The id as found.
        id: String,
    },
    /// The status that would hold the inventory is larger than the API server accepts.
    #[error(
        "the inventory of {objects} objects makes an object of {bytes} bytes, and the API server accepts \
         {LARGEST_OBJECT}: split the Kustomization"
    )]
    TooLarge {
        /// How many objects.
        objects: usize,
        /// How large the whole object would be.
        bytes: usize,
    },
}

/// An object's id as Flux writes it in `status.inventory.entries[].id`.
pub fn format_id(object: &ObjectId) -> String {
    // RBAC names may hold colons, which cli-utils writes as two underscores.
    let name = object.name.replace(':', "__");
    format!(
        "{}_{}_{}_{}",
        object.namespace, name, object.group, object.kind
    )
}

/// Reads an id and its version.
pub fn parse_id(id: &str, version: &str) -> Result<ObjectId, InventoryError> {
    let invalid = || InventoryError::InvalidId { id: id.to_owned() };
    let (namespace, rest) = id.split_once('_').ok_or_else(invalid)?;
    let (rest, kind) = rest.rsplit_once('_').ok_or_else(invalid)?;
    let (name, group) = rest.rsplit_once('_').ok_or_else(invalid)?;
    if name.is_empty() || kind.is_empty() {
        return Err(invalid());
    }
    Ok(ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.replace("__", ":"),
    })
}

/// Whether two ids name the same object: the version does not count.
pub fn same_object(left: &ObjectId, right: &ObjectId) -> bool {
    without_version(left) == without_version(right)
}

fn without_version(id: &ObjectId) -> (&str, &str, &str, &str) {
    (&id.group, &id.kind, &id.namespace, &id.name)
}

impl Inventory {
    /// The objects of this inventory that `new` does not hold, in this inventory's order.
    pub fn missing_in(&self, new: &Inventory) -> Vec<ObjectId> {
        let kept: HashSet<_> = new.objects.iter().map(without_version).collect();
        let gone = |object: &&ObjectId| !kept.contains(&without_version(object));
        self.objects.iter().filter(gone).cloned().collect()
    }

    /// This inventory with those of `others` that it does not hold appended.
    #[must_use]
    pub fn with(&self, others: &[ObjectId]) -> Self {
        let mut seen: HashSet<_> = self.objects.iter().map(without_version).collect();
        let mut objects = self.objects.clone();
        objects.extend(
            others
                .iter()
                .filter(|other| seen.insert(without_version(other)))
                .cloned(),
        );
        Self { objects }
    }

    /// Whether this inventory holds an object, in whatever version.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.objects.iter().any(|object| same_object(object, id))
    }

    /// The size of the entries as JSON in the status.
    pub fn size(&self) -> usize {
        // {"id":"…","v":"…"},
        self.objects
            .iter()
            .map(|object| format_id(object).len() + object.version.len() + 17)
            .sum()
    }

    /// Checks that the API server will accept the object that holds this inventory; `rest` is the size of all
    /// else in that object.
    pub fn check_size(&self, rest: usize) -> Result<(), InventoryError> {
        let bytes = rest + self.size();
        if bytes <= LARGEST_OBJECT {
            return Ok(());
        }
        Err(InventoryError::TooLarge {
            objects: self.objects.len(),
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_flux_s_and_read_back() {
        let table = [
            (
                "shop_api_apps_Deployment",
                "shop",
                "api",
                "apps",
                "Deployment",
            ),
            ("_shop__Namespace", "", "shop", "", "Namespace"),
            (
                "_system__node-reader_rbac.authorization.k8s.io_ClusterRole",
                "",
                "system:node-reader",
                "rbac.authorization.k8s.io",
                "ClusterRole",
            ),
            ("shop_cfg__ConfigMap", "shop", "cfg", "", "ConfigMap"),
        ];
        for (text, namespace, name, group, kind) in table {
            let id = ObjectId {
                group: group.into(),
                version: "v1".into(),
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
            };
            assert_eq!(format_id(&id), text);
            assert_eq!(parse_id(text, "v1"), Ok(id));
        }
    }

    #[test]
    fn odd_ids_are_errors() {
        for text in ["", "a", "a_b", "a_b_c", "ns___", "ns_name_group_"] {
            assert!(parse_id(text, "v1").is_err(), "{text:?}");
        }
    }

    #[test]
    fn another_version_is_the_same_object() {
        let one = parse_id("shop_web_autoscaling_HorizontalPodAutoscaler", "v1");
        let two = parse_id("shop_web_autoscaling_HorizontalPodAutoscaler", "v2");
        let (one, two) = (one.expect("valid"), two.expect("valid"));
        let old = Inventory { objects: vec![one] };
        let new = Inventory {
            objects: vec![two.clone()],
        };
        assert!(old.missing_in(&new).is_empty());
        assert_eq!(old.with(&[two]).objects.len(), 1);
        assert_eq!(old.missing_in(&Inventory::default()).len(), 1);
    }

    #[test]
    fn the_size_is_that_of_the_json() {
        let id = parse_id("shop_api_apps_Deployment", "v1").expect("valid");
        let json = r#"{"id":"shop_api_apps_Deployment","v":"v1"},"#;
        let inventory = Inventory {
            objects: vec![id; 20_000],
        };
        assert_eq!(inventory.size(), json.len() * 20_000);
        assert!(inventory.check_size(0).is_ok());
        assert!(inventory.check_size(LARGEST_OBJECT).is_err());
    }
}
