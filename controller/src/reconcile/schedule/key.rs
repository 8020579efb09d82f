//! Which object a task is for.

use std::fmt;

/// The kinds that Weir reconciles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `source.toolkit.fluxcd.io GitRepository`.
    GitRepository,
    /// `source.toolkit.fluxcd.io OCIRepository`.
    OciRepository,
    /// `source.toolkit.fluxcd.io Bucket`.
    Bucket,
    /// `source.toolkit.fluxcd.io ExternalArtifact`.
    ExternalArtifact,
    /// `kustomize.toolkit.fluxcd.io Kustomization`.
    Kustomization,
    /// `notification.toolkit.fluxcd.io Receiver`.
    Receiver,
}

/// The kinds that Kustomizations are built from.
const SOURCES: [Kind; 4] = [
    Kind::GitRepository,
    Kind::OciRepository,
    Kind::Bucket,
    Kind::ExternalArtifact,
];

impl Kind {
    /// The kind of source that goes by a name.
    pub fn source(name: &str) -> Option<Self> {
        SOURCES.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind's name in manifests, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::OciRepository => "OCIRepository",
            Self::Bucket => "Bucket",
            Self::ExternalArtifact => "ExternalArtifact",
            Self::Kustomization => "Kustomization",
            Self::Receiver => "Receiver",
        }
    }
}

/// One object that has a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A Kustomization's key.
    pub fn kustomization(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        let kind = Kind::Kustomization;
        Self {
            kind,
            namespace,
            name,
        }
    }

    /// A GitRepository's key.
    pub fn git_repository(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        let kind = Kind::GitRepository;
        Self {
            kind,
            namespace,
            name,
        }
    }
}

impl fmt::Display for Key {
    /// `Kind/namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.name(), self.namespace, self.name)
    }
}
