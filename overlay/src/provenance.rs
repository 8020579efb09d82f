//! `buildMetadata`: annotations that say where an object came from and what changed it.

use crate::error::Error;
use crate::kustomization::Kustomization;
use crate::resource::Resource;
use crate::yaml::{Dialect, Key, Mapping, Node, Tag, resolve};

/// Where an object was written.
const ORIGIN: &str = "config.kubernetes.io/origin";

/// What changed it.
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// The options of `buildMetadata`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BuildMetadata {
    /// Print where objects came from.
    pub origins: bool,
    /// Print what changed them.
    pub transformations: bool,
    /// Print the label of what built them.
    pub managed_by: bool,
}

impl BuildMetadata {
    /// Of the kustomization that is built.
    pub(crate) fn of(kustomization: &Kustomization) -> Self {
        let has = |option: &str| {
            kustomization
                .build_metadata
                .iter()
                .any(|have| **have == *option)
        };
        Self {
            origins: has("originAnnotations"),
            transformations: has("transformerAnnotations"),
            managed_by: has("managedByLabel"),
        }
    }

    /// True when objects are to be annotated on their way.
    pub(crate) fn tracks(self) -> bool {
        self.origins || self.transformations
    }
}

/// A step of an object's history, as kustomize writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file.
    File(String),
    /// A generator or transformer.
    Configured {
        /// The file that asks for it.
        file: String,
        /// `builtin`, or the API version of the object that configures it.
        api_version: String,
        /// Its kind.
        kind: String,
        /// The object's name; empty for fields.
        name: String,
        /// The object's namespace.
        namespace: String,
    },
}

impl Step {
    /// A generator or transformer that a field of a kustomization asks for.
    pub(crate) fn field(file: String, kind: &str) -> Self {
        Self::Configured {
            file,
            api_version: "builtin".to_owned(),
            kind: kind.to_owned(),
            name: String::new(),
            namespace: String::new(),
        }
    }

    /// A generator or transformer that an object describes.
    pub(crate) fn object(resource: &Resource) -> Option<Self> {
        let origin = annotation(resource, ORIGIN)?;
        let path = origin.lines().find_map(|line| line.strip_prefix("path: "));
        Some(Self::Configured {
            file: path.unwrap_or_default().to_owned(),
            api_version: resource.gvk().api_version().into(),
            kind: resource.kind().to_owned(),
            name: resource.name().to_owned(),
            namespace: resource.namespace().to_owned(),
        })
    }

    fn text(&self) -> String {
        let Self::Configured {
            file,
            api_version,
            kind,
            name,
            namespace,
        } = self
        else {
            let Self::File(path) = self else {
                return String::new();
            };
            return format!("path: {path}\n");
        };
        let mut text = format!(
            "configuredIn: {file}\nconfiguredBy:\n  apiVersion: {api_version}\n  kind: {kind}\n"
        );
        for (field, value) in [("name", name), ("namespace", namespace)] {
            if !value.is_empty() {
                text.push_str(&format!("  {field}: {value}\n"));
            }
        }
        text
    }
}

fn annotation<'r>(resource: &'r Resource, key: &str) -> Option<&'r str> {
    resource
        .node
        .find(&["metadata", "annotations", key])?
        .exposed()
}

fn annotate(resource: &mut Resource, key: &str, text: String) {
    let Some(metadata) = resource
        .node
        .get_mut("metadata")
        .and_then(Node::as_mapping_mut)
    else {
        return;
    };
    let annotations = metadata.get_or_insert_with("annotations", Node::mapping);
    if annotations.as_mapping().is_none() {
        *annotations = Mapping::default().into();
    }
    if let Some(annotations) = annotations.as_mapping_mut() {
        annotations.insert(key, Node::string(text));
    }
}

/// Makes text of all annotations, as kustomize does when it notes another one.
fn make_texts(resource: &mut Resource) {
    let metadata = resource.node.get_mut("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    if let Some(entries) = annotations.and_then(Node::as_mapping_mut) {
        for (_, value) in entries.iter_mut() {
            *value = crate::generate::text_of(value);
        }
    }
}

/// Notes where an object came from, in place of what was noted before.
pub(crate) fn set_origin(resource: &mut Resource, step: &Step) {
    annotate(resource, ORIGIN, step.text());
}

/// Notes where a generated object came from, unless that is known.
pub(crate) fn add_origin(resource: &mut Resource, step: &Step) {
    if annotation(resource, ORIGIN).is_none() {
        set_origin(resource, step);
    }
}

/// Takes over where the object came from that a generated one is merged into.
pub(crate) fn keep_origin(new: &mut Resource, old: &Resource) {
    if let Some(origin) = annotation(old, ORIGIN) {
        annotate(new, ORIGIN, origin.to_owned());
    }
}

/// Notes that a transformer ran over an object; one that no origin is known of was made by it.
pub(crate) fn add_transformation(resource: &mut Resource, step: &Step) {
    make_texts(resource);
    if annotation(resource, ORIGIN).is_none() {
        return set_origin(resource, step);
    }
    let mut text = annotation(resource, TRANSFORMATIONS)
        .unwrap_or_default()
        .to_owned();
    for (number, line) in step.text().lines().enumerate() {
        text.push_str(if number == 0 { "- " } else { "  " });
        text.push_str(line);
        text.push('\n');
    }
    annotate(resource, TRANSFORMATIONS, text);
}

/// The annotations that kustomize keeps for itself and takes away at the end, whoever wrote them.
const INTERNAL: &[&str] = &[
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    "internal.config.kubernetes.io/helm-generated",
];

/// Leaves an object's annotations as they are printed: without internal ones, all of them text, and none when
/// none is left. kustomize writes the keys without quotes on the way, and refuses what it then reads.
pub(crate) fn finish(resource: &mut Resource, metadata: BuildMetadata) -> Result<(), Error> {
    let annotations = resource.node.find(&["metadata", "annotations"]);
    if let Some(key) = annotations.and_then(key_that_is_no_text) {
        let message = format!("the annotation key `{}` reads as no text", key.text);
        return Err(resource.blame(Error::new(message).at_mark(key.mark)));
    }
    tidy(resource, metadata);
    Ok(())
}

fn key_that_is_no_text(annotations: &Node) -> Option<&Key> {
    let mut keys = annotations.as_mapping()?.iter().map(|(key, _)| key);
    keys.find(|key| resolve(&key.text, Dialect::Kustomize) != Tag::Str)
}

fn tidy(resource: &mut Resource, metadata: BuildMetadata) {
    let Some(object) = resource.node.as_mapping_mut() else {
        return;
    };
    let Some(fields) = object
        .get_or_insert_with("metadata", Node::mapping)
        .as_mapping_mut()
    else {
        return;
    };
    let Some(annotations) = fields.get_mut("annotations") else {
        return;
    };
    if let Some(entries) = annotations.as_mapping_mut() {
        entries.retain(|key, value| {
            *value = crate::generate::text_of(value);
            let hidden = (key.text == ORIGIN && !metadata.origins)
                || (key.text == TRANSFORMATIONS && !metadata.transformations);
            !hidden && !INTERNAL.contains(&key.text.as_str())
        });
    }
    if annotations.as_mapping().is_none_or(Mapping::is_empty) {
        fields.remove("annotations");
    }
}
