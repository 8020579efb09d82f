//! Whose an object is: the two labels that every object of a Kustomization carries.

use std::collections::BTreeMap;
use std::fmt;

use ecow::EcoString;

/// Label that names the Kustomization an object belongs to.
pub const NAME_LABEL: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label that names the namespace of that Kustomization.
pub const NAMESPACE_LABEL: &str = "kustomize.toolkit.fluxcd.io/namespace";

/// The Kustomization that an object belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Its name.
    pub name: EcoString,
    /// Its namespace.
    pub namespace: EcoString,
}

impl Owner {
    /// The owner that a set of labels names; none unless both labels are there.
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            name: labels.get(NAME_LABEL)?.as_str().into(),
            namespace: labels.get(NAMESPACE_LABEL)?.as_str().into(),
        })
    }

    /// The label selector that finds this owner's objects.
    pub fn selector(&self) -> String {
        format!(
            "{NAME_LABEL}={},{NAMESPACE_LABEL}={}",
            self.name, self.namespace
        )
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kustomization/{}/{}", self.namespace, self.name)
    }
}
