//! What is cleaned off a live object before the first apply over it: other managers' hold on fields that are to be
//! ours, and marks that other tools have left.

use overlay::yaml::Node;
use serde_json::{Value, json};

use super::managed_fields::{TakenOver, take_over};
use super::settings::{Settings, Ssa};

/// Marks that other tools leave, by section.
const MARKS: [(&str, &str); 4] = [
    (
        "annotations",
        "kubectl.kubernetes.io/last-applied-configuration",
    ),
    ("annotations", "kustomize.toolkit.fluxcd.io/checksum"),
    ("annotations", "fluxcd.io/sync-checksum"),
    ("labels", "fluxcd.io/sync-gc-mark"),
];

/// The JSON patch that cleans a live object up; empty when there is nothing to do. The patch holds for this
/// resource version only.
pub(super) fn clean_up(live: &Value, wanted: &Node, managers: &[TakenOver]) -> Vec<Value> {
    if Settings::of_node(wanted).ssa == Ssa::Merge {
        return Vec::new();
    }
    let mut operations = Vec::new();
    for (section, key) in MARKS {
        let is_there = live["metadata"][section].get(key).is_some();
        if is_there && wanted.find(&["metadata", section, key]).is_none() {
            let path = format!("/metadata/{section}/{}", key.replace('/', "~1"));
            operations.push(json!({"op": "remove", "path": path}));
        }
    }
    if let Some(entries) = take_over(live, managers) {
        operations
            .push(json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}));
    }
    if !operations.is_empty() {
        let version = &live["metadata"]["resourceVersion"];
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
        operations.insert(0, test);
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::managed_fields::taken_over;
    use overlay::yaml::{Dialect, read_documents};

    fn node(yaml: &str) -> Node {
        read_documents(yaml.as_bytes(), 0, Dialect::Kustomize)
            .expect("valid")
            .remove(0)
    }

    #[test]
    fn marks_go_unless_they_are_wanted() {
        let live = json!({"metadata": {"resourceVersion": "7", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}", "other": "x"}}});
        let plain = node("metadata: {name: x}");
        assert_eq!(
            clean_up(&live, &plain, &taken_over()),
            [
                json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"}),
                json!({"op": "remove", "path":
                    "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}),
            ]
        );
        let wanted = node(
            "metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}}",
        );
        assert_eq!(clean_up(&live, &wanted, &taken_over()), Vec::<Value>::new());
        let merged = node("metadata: {annotations: {kustomize.toolkit.fluxcd.io/ssa: Merge}}");
        assert_eq!(clean_up(&live, &merged, &taken_over()), Vec::<Value>::new());
    }
}
