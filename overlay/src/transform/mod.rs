//! Transformers: what a kustomization does to the objects below it. One file each; they run in the order of the table.

mod affix;
mod embedded;
pub(crate) mod hash;
mod images;
mod namespace;
pub(crate) mod pairs;
mod patch_content;
mod patches;
mod replacements;
mod replicas;
pub(crate) mod sort;
mod value_add;

use crate::configuration::Configuration;
use crate::error::{Error, Errors};
use crate::fieldspec::FieldSpec;
use crate::history::Asker;
use crate::kustomization::Kustomization;
use crate::load::{Folder, Session};
use crate::resource::Gvk;
use crate::resources::Resources;
use crate::yaml::Node;

/// A configured transformer.
pub(crate) trait Transformer {
    /// Changes the objects. Deleted ones are left as null nodes; the caller drops them.
    fn transform(&self, resources: &mut Resources, session: &mut Session<'_>)
    -> Result<(), Errors>;
}

/// Where a transformer is configured: it may read files of the folder, and warn.
pub(crate) struct Setting<'s, 'a> {
    /// The build.
    pub session: &'s mut Session<'a>,
    /// The kustomization's folder.
    pub folder: &'s Folder,
    /// The field specs in force.
    pub configuration: &'s Configuration,
}

/// A transformer, and the entry of the kustomization that asks for it.
pub(crate) struct Asked {
    /// The entry.
    pub asker: Asker,
    /// The transformer.
    pub transformer: Box<dyn Transformer>,
}

impl Asked {
    fn new(asker: Asker, transformer: impl Transformer + 'static) -> Self {
        Self {
            asker,
            transformer: Box::new(transformer),
        }
    }
}

/// Makes transformers from a kustomization's fields.
type FromFields = fn(&Kustomization, &mut Setting<'_, '_>) -> Result<Vec<Asked>, Errors>;

/// Makes a transformer from an object under `transformers`.
type FromObject = fn(&Node, &mut Setting<'_, '_>) -> Result<Box<dyn Transformer>, Errors>;

/// Transformers by name, and how the fields of a kustomization make them, in run order.
const BY_FIELDS: &[(&str, FromFields)] = &[
    (
        "PatchStrategicMergeTransformer",
        patches::strategic_from_fields,
    ),
    ("PatchTransformer", patches::from_fields),
    ("NamespaceTransformer", namespace::from_fields),
    ("PrefixTransformer", affix::prefix_from_fields),
    ("SuffixTransformer", affix::suffix_from_fields),
    ("LabelTransformer", pairs::labels_from_fields),
    ("AnnotationsTransformer", pairs::annotations_from_fields),
    ("PatchJson6902Transformer", patches::json6902_from_fields),
    ("ReplicaCountTransformer", replicas::from_fields),
    ("ImageTagTransformer", images::from_fields),
    ("ReplacementTransformer", replacements::from_fields),
];

/// Transformers by name, and how an object makes them.
const BY_OBJECT: &[(&str, FromObject)] = &[
    ("AnnotationsTransformer", pairs::annotations_from_object),
    ("HashTransformer", hash::from_object),
    ("ImageTagTransformer", images::from_object),
    ("LabelTransformer", pairs::labels_from_object),
    ("NamespaceTransformer", namespace::from_object),
    ("PatchJson6902Transformer", patches::json6902_from_object),
    (
        "PatchStrategicMergeTransformer",
        patches::strategic_from_object,
    ),
    ("PatchTransformer", patches::from_object),
    ("PrefixSuffixTransformer", affix::both_from_object),
    ("PrefixTransformer", affix::prefix_from_object),
    ("ReplacementTransformer", replacements::from_object),
    ("ReplicaCountTransformer", replicas::from_object),
    ("SuffixTransformer", affix::suffix_from_object),
    ("ValueAddTransformer", value_add::from_object),
];

/// A transformer and the name of its kind.
pub(crate) type Named = (&'static str, Asked);

/// All transformers that the fields of a kustomization ask for, in run order. All of them are made before one runs.
pub(crate) fn from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Named>, Errors> {
    let mut transformers = Vec::new();
    let mut errors = Vec::new();
    for (name, make) in BY_FIELDS {
        match make(kustomization, setting) {
            Ok(made) => {
                transformers.extend(made.into_iter().map(|transformer| (*name, transformer)))
            }
            Err(Errors(more)) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        Ok(transformers)
    } else {
        Err(Errors(errors))
    }
}

/// The transformer that an object under `transformers` or `validators` describes.
pub(crate) fn from_object(
    kind: &str,
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Asked, Errors> {
    match BY_OBJECT.iter().find(|(name, _)| *name == kind) {
        Some((name, make)) => Ok(Asked {
            asker: Asker::field(name, node.mark),
            transformer: make(node, setting)?,
        }),
        None => Err(
            Error::new(format!("there is no built-in transformer {kind}"))
                .at_mark(node.mark)
                .into(),
        ),
    }
}

/// The specs for objects of these kinds.
fn specs_of<'s>(specs: &'s [FieldSpec], gvk: &Gvk) -> impl Iterator<Item = &'s FieldSpec> {
    specs.iter().filter(|spec| spec.is_for(gvk))
}
