//! One Kustomization by itself: as its file has it, when no environment brings it.

use overlay::unknown::Marker;
use overlay::vars::Variables;
use overlay::yaml::{Node, Value};
use overlay::{Object, Place, Shared, Tree};

use super::variables::variables;
use super::{Composer, Leaf, LeafName, Outcome, SHARED, Settings, Site, leaf};
use crate::api::kustomization::KustomizationSpec;
use crate::reconcile::render::folder;

/// Builds a Kustomization of which only the spec is known: what its ancestors would render is not.
pub fn alone(
    tree: &dyn Tree,
    settings: &Settings,
    name: LeafName,
    spec: KustomizationSpec,
) -> Leaf {
    let site = Site {
        tree,
        shared: Shared::new(SHARED),
        settings,
        composer: Composer::default(),
        earlier: None,
    };
    let variables = variables(&spec, &name.namespace, &[], settings, None);
    let outcome = leaf::build(&site, &spec, variables.as_ref());
    Leaf {
        path: folder(&spec),
        place: None::<Place>,
        parent: None,
        name,
        spec,
        variables,
        outcome,
    }
}

/// Builds a spec whose keys are not at hand, with variables that are.
pub fn without_keys(
    tree: &dyn Tree,
    settings: &Settings,
    spec: &KustomizationSpec,
    variables: Option<&Variables>,
) -> Outcome {
    let site = Site {
        tree,
        shared: Shared::new(SHARED),
        settings,
        composer: Composer::default(),
        earlier: None,
    };
    leaf::build(&site, spec, variables)
}

/// An object with what is not known spelled out, for people to read.
pub fn spelled_out(object: &Object, marker: &Marker) -> Node {
    let mut node = object.node.clone();
    spell_out(&mut node, marker);
    node
}

fn spell_out(node: &mut Node, marker: &Marker) {
    match &mut node.value {
        Value::Scalar(scalar) if marker.is_in(&scalar.text) => {
            scalar.text = readable(&scalar.text, marker).into();
        }
        Value::Scalar(_) | Value::Secret(_) => {}
        Value::Sequence(_) => {
            let items = node.as_sequence_mut().into_iter().flatten();
            items.for_each(|item| spell_out(item, marker));
        }
        Value::Mapping(_) => {
            let mapping = node.as_mapping_mut().into_iter();
            let entries = mapping.flat_map(|mapping| mapping.iter_mut());
            entries.for_each(|(_, value)| spell_out(value, marker));
        }
    }
}

/// A text with what is not known spelled out.
pub fn readable(text: &str, marker: &Marker) -> String {
    marker.shown(text, |unknown| {
        format!("(known after apply: {})", unknown.reason)
    })
}
