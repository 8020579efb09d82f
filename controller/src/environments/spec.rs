//! Flux's Kustomizations and sources among the objects of a build.

use overlay::yaml::{Secrets, to_json};
use overlay::{Object, ObjectId};

use crate::api::kustomization::{GROUP, KustomizationSpec};

/// The group of the kinds that files come from.
const SOURCES: &str = "source.toolkit.fluxcd.io";

/// Whether an object is a Kustomization of Flux.
pub fn is_kustomization(id: &ObjectId) -> bool {
    id.group == GROUP && id.kind == "Kustomization"
}

/// Whether an object says where files come from.
pub(super) fn is_source(id: &ObjectId) -> bool {
    id.group == SOURCES
}

/// The spec of a Kustomization as it stands in an output.
pub fn spec_of(object: &Object) -> Result<KustomizationSpec, String> {
    let spec = object.node.get("spec").ok_or("it has no spec")?;
    let spec = to_json(spec, Secrets::Masked);
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let below = error.path().iter().next().map(|_| error.path());
        let field = below.map(|path| format!(".{path}")).unwrap_or_default();
        format!("its spec{field} cannot be read: {}", error.inner())
    })
}
