//! One Kustomization becomes objects: composed once for all that ask for the same, then variables are put in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use overlay::build::Opener;
use overlay::vars::Variables;
use overlay::{Shared, Tree};
use serde_json::json;

use super::door::Door;
use super::generated::name_unknown;
use super::{Built, Changed, Composed, Outcome, Settings, Site};
use crate::api::kustomization::KustomizationSpec;
use crate::reconcile::{encrypted, render};

/// What was composed of a tree, by what was asked for.
#[derive(Default)]
pub struct Composer {
    made: Mutex<HashMap<String, Arc<OnceLock<Attempt>>>>,
}

/// What came of composing.
type Attempt = Result<Arc<Composed>, String>;

impl Composer {
    fn made(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceLock<Attempt>>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a change of files leaves as it is. What did not build is built again.
    pub(super) fn untouched(&self, changed: &Changed) -> Self {
        let stays = |slot: &OnceLock<Attempt>| {
            let made = slot.get().and_then(|attempt| attempt.as_ref().ok());
            made.is_some_and(|composed| changed.leaves(&composed.reads))
        };
        let made = self.made();
        let kept = made.iter().filter(|(_, slot)| stays(slot));
        let kept = kept.map(|(key, slot)| (key.clone(), slot.clone()));
        Self {
            made: Mutex::new(kept.collect()),
        }
    }

    /// All that was composed.
    pub(super) fn all(&self) -> Vec<Arc<Composed>> {
        let made = self.made();
        let attempts = made.values().filter_map(|slot| slot.get());
        attempts
            .filter_map(|attempt| attempt.as_ref().ok().cloned())
            .collect()
    }

    /// What was composed for a spec.
    pub(super) fn made_of(&self, spec: &KustomizationSpec) -> Option<Arc<Composed>> {
        let slot = self.made().get(&key(spec)).cloned()?;
        slot.get()?.as_ref().ok().cloned()
    }

    /// Composes, or waits for who does, or takes what was.
    fn get(&self, key: String, compose: impl FnOnce() -> Attempt) -> Attempt {
        let slot = self.made().entry(key).or_default().clone();
        slot.get_or_init(compose).clone()
    }
}

/// The part of a spec that decides what the composer makes of it.
fn key(spec: &KustomizationSpec) -> String {
    json!([
        render::folder(spec),
        spec.patches,
        spec.images,
        spec.components,
        spec.ignore_missing_components,
        spec.target_namespace,
        spec.name_prefix,
        spec.name_suffix,
        spec.common_metadata,
        spec.build_metadata,
        spec.decryption.is_some(),
    ])
    .to_string()
}

fn compose(
    tree: &dyn Tree,
    shared: &Shared,
    spec: &KustomizationSpec,
    settings: &Settings,
) -> Result<Composed, String> {
    let door = Door::new(&settings.marker);
    let opener = spec.decryption.is_some().then_some(&door as &dyn Opener);
    let mut build =
        render::compose(spec, tree, Some(shared), opener).map_err(|failure| failure.message)?;
    if opener.is_none() {
        encrypted::refuse(&build.objects, false).map_err(|failure| failure.message)?;
    }
    name_unknown(&mut build, &settings.marker);
    let reads = std::mem::take(&mut build.reads);
    Ok(Composed {
        build,
        reads,
        encrypted: door.met(),
    })
}

/// Builds a Kustomization whose files lie in this tree.
pub(super) fn build(
    site: &Site<'_>,
    spec: &KustomizationSpec,
    variables: Option<&Variables>,
) -> Outcome {
    let compose = || compose(site.tree, &site.shared, spec, site.settings).map(Arc::new);
    let built = site.composer.get(key(spec), compose);
    match built.and_then(|composed| put_in(composed, variables)) {
        Ok(built) => Outcome::Built(built),
        Err(message) => Outcome::Failed(message),
    }
}

/// The same without objects: composed, and no more.
pub(super) fn composed(site: &Site<'_>, spec: &KustomizationSpec) -> Outcome {
    let compose = || compose(site.tree, &site.shared, spec, site.settings).map(Arc::new);
    match site.composer.get(key(spec), compose) {
        Ok(composed) => Outcome::Built(Built {
            objects: Vec::new(),
            composed,
            steps: 0,
        }),
        Err(message) => Outcome::Failed(message),
    }
}

fn put_in(composed: Arc<Composed>, variables: Option<&Variables>) -> Result<Built, String> {
    let mut build = composed.build.clone();
    let mut steps = 0;
    if let Some(variables) = variables {
        let outcome = build.substitute(variables, true);
        steps = outcome.map_err(|errors| errors.to_string())?;
    }
    Ok(Built {
        objects: build.objects,
        composed,
        steps,
    })
}
