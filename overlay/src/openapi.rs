//! `openapi`: where the merge keys of a build come from. The first kustomization that says anything counts, the one
//! that is built before all others.

use crate::error::{Error, Errors};
use crate::kustomization::Kustomization;
use crate::load::{Folder, Session};
use crate::merge::schema::{Schema, is_built_in};
use crate::resource::Resource;
use crate::yaml::Dialect;

/// The one version that kustomize carries.
const VERSION: &str = "v1.21.2";

/// What was decided, and what happened before it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decision {
    /// A kustomization has said something.
    is_made: bool,
    /// Objects of kinds that kustomize does not carry were met before. Then a schema adds to the built-in one
    /// instead of taking its place.
    met_custom_kinds: bool,
    /// The same, since this was last set back.
    pub met_lately: bool,
}

impl Decision {
    /// Takes note of objects that were read.
    pub(crate) fn meet(&mut self, resources: &[Resource]) {
        let met = resources.iter().any(|resource| {
            let gvk = resource.gvk();
            !is_built_in(&gvk.api_version(), &gvk.kind)
        });
        self.note(met);
    }

    /// The same of objects that an earlier build met.
    pub(crate) fn note(&mut self, met: bool) {
        self.met_custom_kinds |= met;
        self.met_lately |= met;
    }

    /// True when a kustomization has said something.
    pub(crate) fn is_made(&self) -> bool {
        self.is_made
    }
}

/// Takes a kustomization's word, unless another one had its say before.
pub(crate) fn decide(
    kustomization: &Kustomization,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<(), Errors> {
    let openapi = &kustomization.openapi;
    let mark = kustomization.mark;
    let version = openapi.get("version").filter(|version| !version.is_empty());
    let Some(path) = openapi.get("path") else {
        let Some(version) = version.filter(|_| !session.openapi.is_made) else {
            return Ok(());
        };
        session.openapi.is_made = true;
        if **version != *VERSION {
            return Err(Error::new(format!(
                "there is no built-in OpenAPI version {}",
                &**version
            ))
            .at_mark(version.mark)
            .hint(format!("the built-in one is {VERSION}"))
            .into());
        }
        return Ok(());
    };
    let documents = session.plain_documents(folder, path, Dialect::Kubernetes);
    let documents = documents.map_err(|error| error.at_mark(path.mark).during("openapi.path"))?;
    if session.openapi.is_made {
        return Ok(());
    }
    if openapi.contains_key("version") {
        return Err(Error::new("openapi has both `path` and `version`")
            .at_mark(mark)
            .into());
    }
    session.openapi.is_made = true;
    let keep_built_in = session.options.flux || session.openapi.met_custom_kinds;
    if let Some(document) = documents.first() {
        session.schema = Schema::from_document(document, keep_built_in)
            .map_err(|error| error.at_mark(path.mark).during("openapi.path"))?;
    }
    Ok(())
}
