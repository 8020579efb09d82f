//! A manifest on its way through a build: the object, the ids it had before, and what the generators asked for.
//!
//! kustomize keeps these facts in annotations that it removes at the end; here they are fields, so that no
//! patch can lose them.

use ecow::EcoString;

use crate::alias::Shared;
use crate::history::Trace;
use crate::object::{Object, ObjectId, Origin};
use crate::scope;
use crate::yaml::{Mapping, Mark, Node};

/// Group, version and kind. As a selector, an empty part matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvk {
    /// API group; empty for core.
    pub group: EcoString,
    /// API version, without the group.
    pub version: EcoString,
    /// Kind.
    pub kind: EcoString,
}

impl Gvk {
    /// From `group/version` or `version`, and a kind.
    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// `group/version`, or `version` for core.
    pub(crate) fn api_version(&self) -> EcoString {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            ecow::eco_format!("{}/{}", self.group, self.version)
        }
    }

    /// True when every part that the selector names is the same here.
    pub(crate) fn is_selected_by(&self, selector: &Gvk) -> bool {
        let allows = |wanted: &str, have: &str| wanted.is_empty() || wanted == have;
        allows(&selector.group, &self.group)
            && allows(&selector.version, &self.version)
            && allows(&selector.kind, &self.kind)
    }
}

/// Who a manifest is, or was: [`Gvk`], name and namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Name.
    pub name: EcoString,
    /// Namespace as written; empty when none is. In previous ids the effective one.
    pub namespace: EcoString,
}

impl Id {
    /// The namespace that counts for comparisons: `default` when none is written, and one of its own for all
    /// kinds that are certainly cluster-wide.
    pub(crate) fn effective_namespace(&self) -> &str {
        if scope::is_cluster_wide(&self.gvk) {
            scope::CLUSTER_WIDE
        } else if self.namespace.is_empty() {
            "default"
        } else {
            &self.namespace
        }
    }

    /// The same object: same kind, name and effective namespace.
    pub(crate) fn is_same(&self, other: &Id) -> bool {
        self.name == other.name
            && self.gvk == other.gvk
            && self.effective_namespace() == other.effective_namespace()
    }

    /// True for kinds that are certainly cluster-wide.
    pub(crate) fn is_cluster_wide(&self) -> bool {
        scope::is_cluster_wide(&self.gvk)
    }

    /// The key under which a collection finds this id: equal for two ids that are the same object.
    pub(crate) fn key(&self) -> Id {
        Id {
            gvk: self.gvk.clone(),
            name: self.name.clone(),
            namespace: self.effective_namespace().into(),
        }
    }
}

impl std::fmt::Display for Id {
    /// `Kind/name` or `Kind/namespace/name`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            gvk,
            name,
            namespace,
        } = self;
        match namespace.as_str() {
            "" | scope::CLUSTER_WIDE => write!(f, "{}/{name}", gvk.kind),
            namespace => write!(f, "{}/{namespace}/{name}", gvk.kind),
        }
    }
}

/// What an object was called before a transformer changed it. Group and version are those of today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreviousId {
    /// Kind.
    pub kind: EcoString,
    /// Name.
    pub name: EcoString,
    /// Effective namespace.
    pub namespace: EcoString,
}

/// What a generator does when an object of its name is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Nothing said; as [`Behavior::Create`].
    #[default]
    Unspecified,
    /// A new object; an existing one is an error.
    Create,
    /// Takes the place of the existing object's data.
    Replace,
    /// Adds its data to the existing object's.
    Merge,
}

/// A manifest in progress.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The manifest, a mapping. A patch may delete the object: then it is null, and dropped after the transformer.
    pub node: Node,
    /// Its earlier ids, oldest first; empty when it was never renamed.
    pub previous: Vec<PreviousId>,
    /// Name prefixes that were added, innermost first.
    pub prefixes: Vec<EcoString>,
    /// Name suffixes that were added, innermost first.
    pub suffixes: Vec<EcoString>,
    /// The name gets a hash of the content at the end.
    pub needs_hash: bool,
    /// What its generator said.
    pub behavior: Behavior,
    /// Names of the `vars` that read from this object.
    pub variables: Vec<EcoString>,
    /// Where it came from.
    pub origin: Origin,
    /// Fields that share a value.
    pub shared: Vec<Shared>,
    /// Fields that replacements made, by their paths, and the mark of the value: they have no type yet.
    pub untyped: Vec<(Vec<EcoString>, Mark)>,
    /// A prefix or suffix took the type of its name: a value that replaces the name is what it looks like.
    pub untyped_name: bool,
    /// A transformer failed on it: it is there, but nothing more can be said of it.
    pub broken: bool,
    /// Where its fields got their values, when that is recorded.
    pub trace: Option<Box<Trace>>,
}

impl Resource {
    /// A manifest as read or generated.
    pub(crate) fn new(node: Node, origin: Origin) -> Self {
        Self {
            node,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            behavior: Behavior::Unspecified,
            variables: Vec::new(),
            origin,
            shared: Vec::new(),
            untyped: Vec::new(),
            untyped_name: false,
            broken: false,
            trace: None,
        }
    }

    /// The scalar text of a top-level field; empty when it is not there.
    fn field(&self, name: &str) -> &str {
        self.node.get(name).and_then(Node::exposed).unwrap_or("")
    }

    /// The scalar text of a field of `metadata`; empty when it is null or not there.
    fn metadata(&self, name: &str) -> &str {
        self.node
            .find(&["metadata", name])
            .filter(|node| !node.is_null())
            .and_then(Node::exposed)
            .unwrap_or("")
    }

    /// Group, version and kind.
    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(self.field("apiVersion"), self.kind())
    }

    /// Kind.
    pub(crate) fn kind(&self) -> &str {
        self.field("kind")
    }

    /// Name.
    pub(crate) fn name(&self) -> &str {
        self.metadata("name")
    }

    /// Namespace as written.
    pub(crate) fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// Who it is now.
    pub(crate) fn id(&self) -> Id {
        Id {
            gvk: self.gvk(),
            name: self.name().into(),
            namespace: self.namespace().into(),
        }
    }

    /// Who it was, oldest first, without who it is now.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id> + '_ {
        let gvk = self.gvk();
        self.previous.iter().map(move |previous| Id {
            gvk: Gvk {
                kind: previous.kind.clone(),
                ..gvk.clone()
            },
            name: previous.name.clone(),
            namespace: previous.namespace.clone(),
        })
    }

    /// Who it was first.
    pub(crate) fn original_id(&self) -> Id {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// All ids it ever had, oldest first, today's last.
    pub(crate) fn all_ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.previous_ids()
            .chain(std::iter::once_with(|| self.id()))
    }

    /// True when it has, or had, a name that is accepted.
    pub(crate) fn was_called(&self, accepts: impl Fn(&str) -> bool) -> bool {
        accepts(self.name()) || self.previous.iter().any(|previous| accepts(&previous.name))
    }

    /// Remembers today's id, before something changes it.
    pub(crate) fn remember_id(&mut self) {
        let id = self.id();
        self.previous.push(PreviousId {
            kind: id.gvk.kind.clone(),
            name: id.name.clone(),
            namespace: id.effective_namespace().into(),
        });
    }

    /// Forgets what kustomize keeps in annotations, as it does itself when a patch takes the annotations' place.
    pub(crate) fn forget(&mut self) {
        self.previous.clear();
        self.prefixes.clear();
        self.suffixes.clear();
        self.needs_hash = false;
        self.behavior = Behavior::Unspecified;
    }

    /// Keeps nothing but who it is: what a patch that failed made of it is unknown.
    pub(crate) fn break_off(&mut self, id: &Id) {
        let mut metadata = Mapping::default();
        metadata.insert("name", Node::string(id.name.clone()));
        if !id.namespace.is_empty() {
            metadata.insert("namespace", Node::string(id.namespace.clone()));
        }
        let mut object = Mapping::default();
        object.insert("apiVersion", Node::string(id.gvk.api_version()));
        object.insert("kind", Node::string(id.gvk.kind.clone()));
        object.insert("metadata", metadata.into());
        self.node = object.into();
        self.broken = true;
    }

    /// True when a patch deleted it.
    pub(crate) fn is_gone(&self) -> bool {
        self.node.is_null()
            || self
                .node
                .as_mapping()
                .is_some_and(|mapping| mapping.is_empty())
    }

    /// The finished object.
    pub(crate) fn into_object(self) -> Object {
        let Id {
            gvk,
            name,
            namespace,
        } = self.id();
        Object {
            id: ObjectId {
                group: gvk.group.into(),
                version: gvk.version.into(),
                kind: gvk.kind.into(),
                namespace: namespace.into(),
                name: name.into(),
            },
            node: self.node,
            origin: self.origin,
        }
    }
}

impl Resource {
    /// Says in an error which object it is about, and where that was written.
    pub(crate) fn blame(&self, error: crate::error::Error) -> crate::error::Error {
        error.during(self.id().to_string()).at_mark(self.node.mark)
    }
}
