//! One Kubernetes object on its way through a build, who it is, and where it came from.

use std::fmt;
use std::sync::Arc;

use crate::error::Place;
use crate::yaml::Node;

/// Group, version, kind, namespace and name. Ordered as written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// API group; empty for core.
    pub group: String,
    /// API version, without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty when the manifest names none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// Who a manifest says that it is; `None` without apiVersion, kind or name.
    pub fn of(node: &Node) -> Option<Self> {
        let text = |path: &[&str]| {
            let found = node.find(path).filter(|found| !found.is_null())?;
            found.exposed().filter(|text| !text.is_empty())
        };
        let api_version = text(&["apiVersion"])?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(&["kind"])?.to_owned(),
            namespace: text(&["metadata", "namespace"])
                .unwrap_or_default()
                .to_owned(),
            name: text(&["metadata", "name"])?.to_owned(),
        })
    }
}

impl fmt::Display for ObjectId {
    /// `Kind/namespace/name`, or `Kind/name` without a namespace, as Flux prints objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Where an object was first written: the file and line of its document, or of the generator that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// File and line.
    pub place: Place,
    /// The generator's kind (`ConfigMapGenerator`) when no file holds the object itself.
    pub generator: Option<Arc<str>>,
}

/// An object as a build emits it. Secret scalars keep their mark.
#[derive(Clone, Debug)]
pub struct Object {
    /// Who it is.
    pub id: ObjectId,
    /// The whole manifest, a mapping.
    pub node: Node,
    /// Where it came from.
    pub origin: Origin,
}
