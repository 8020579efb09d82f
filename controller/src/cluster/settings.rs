//! What an object says about its own treatment, in annotations or labels.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use overlay::yaml::Node;
use serde_json::Value;

use super::plan::Skip;

const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";

/// How an object is applied over what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ssa {
    /// Fields that `kubectl` has added go.
    #[default]
    Override,
    /// Fields that others have added stay.
    Merge,
    /// Only when nothing is there.
    IfNotPresent,
    /// Never.
    Ignore,
}

/// What an object says about its own treatment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// Neither applied nor deleted.
    pub(super) reconcile_disabled: bool,
    /// Not deleted.
    pub(super) prune_disabled: bool,
    /// Replaced when its immutable fields change.
    pub(super) force: bool,
    /// How it is applied.
    pub(super) ssa: Ssa,
}

impl Settings {
    /// Those of a manifest.
    pub(super) fn of_node(object: &Node) -> Self {
        Self::read(|section, key| object.find_str(&["metadata", section, key]))
    }

    /// Those of a live object.
    pub(super) fn of_json(object: &Value) -> Self {
        Self::read(|section, key| object["metadata"][section][key].as_str())
    }

    /// Those of a live object of which no more than the metadata is known.
    pub(super) fn of_metadata(metadata: &ObjectMeta) -> Self {
        Self::read(|section, key| {
            let texts = match section {
                "labels" => metadata.labels.as_ref(),
                _ => metadata.annotations.as_ref(),
            };
            texts?.get(key).map(String::as_str)
        })
    }

    fn read<'a>(lookup: impl Fn(&str, &str) -> Option<&'a str>) -> Self {
        // Either place counts, and case does not.
        let says = |key: &str, word: &str| {
            ["annotations", "labels"].into_iter().any(|section| {
                lookup(section, key).is_some_and(|value| value.eq_ignore_ascii_case(word))
            })
        };
        let ssa = [
            ("Ignore", Ssa::Ignore),
            ("IfNotPresent", Ssa::IfNotPresent),
            ("Merge", Ssa::Merge),
        ];
        Self {
            reconcile_disabled: says(RECONCILE, "disabled"),
            prune_disabled: says(PRUNE, "disabled"),
            force: says(FORCE, "enabled"),
            ssa: ssa
                .into_iter()
                .find(|(word, _)| says(SSA, word))
                .map_or(Ssa::Override, |(_, ssa)| ssa),
        }
    }

    /// Why nothing is applied over the object, whether Git or the cluster says so.
    pub(super) fn left_alone(&self) -> Option<Skip> {
        match (self.reconcile_disabled, self.ssa) {
            (true, _) => Some(Skip::ReconcileDisabled),
            (false, Ssa::Ignore) => Some(Skip::Ignored),
            (false, Ssa::Override | Ssa::Merge | Ssa::IfNotPresent) => None,
        }
    }

    /// Whether the object keeps out of deletion.
    pub(super) fn keeps(&self) -> bool {
        self.kept_by().is_some()
    }

    /// By which word.
    fn kept_by(&self) -> Option<&'static str> {
        match self.left_alone() {
            _ if self.prune_disabled => Some("prune: disabled"),
            _ if self.reconcile_disabled => Some("reconcile: disabled"),
            skip => skip.map(|_| "ssa: Ignore"),
        }
    }
}

/// The word by which a manifest keeps its object out of deletion.
pub(crate) fn kept_by_itself(object: &Node) -> Option<&'static str> {
    Settings::of_node(object).kept_by()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_annotations_count_in_any_case() {
        let table = [
            (
                json!({"annotations": {RECONCILE: "Disabled"}}),
                true,
                Ssa::Override,
            ),
            (
                json!({"labels": {RECONCILE: "disabled"}}),
                true,
                Ssa::Override,
            ),
            (
                json!({"annotations": {RECONCILE: "enabled"}}),
                false,
                Ssa::Override,
            ),
            (json!({"annotations": {SSA: "merge"}}), false, Ssa::Merge),
            (
                json!({"labels": {SSA: "IfNotPresent"}}),
                false,
                Ssa::IfNotPresent,
            ),
            (json!({"labels": {SSA: "Ignore"}}), false, Ssa::Ignore),
            (json!({"labels": {SSA: "other"}}), false, Ssa::Override),
        ];
        for (metadata, disabled, ssa) in table {
            let settings = Settings::of_json(&json!({"metadata": metadata}));
            assert_eq!(settings.reconcile_disabled, disabled, "{metadata}");
            assert_eq!(settings.ssa, ssa, "{metadata}");
        }
    }
}
