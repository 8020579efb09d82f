//! The variables of a Kustomization: from the ConfigMaps and Secrets that its ancestors render, then from the caller.

use overlay::Object;
use overlay::unknown::Unknown;
use overlay::vars::{Unset, Variables};

use super::values::data_of;
use super::{Leaf, Settings};
use crate::api::kustomization::{KustomizationSpec, SubstituteReference};
use crate::reconcile::inputs::{ALWAYS, INLINE};

/// Where the caller's variables come from, for messages.
const GIVEN: &str = "--vars";

/// What is put in for the variables of a spec; none when nothing is. Ancestors come nearest first.
pub(super) fn variables(
    spec: &KustomizationSpec,
    namespace: &str,
    ancestors: &[&Leaf],
    settings: &Settings,
) -> Option<Variables> {
    let post_build = spec.post_build.as_ref()?;
    let mut variables = Variables::default();
    let mut missing = None;
    for reference in &post_build.substitute_from {
        match rendered(reference, namespace, ancestors) {
            Some(object) => set_all(&mut variables, reference, object, settings),
            None if reference.optional => {}
            None => missing = missing.or(Some(reference.name.clone())),
        }
    }
    fill_in(&mut variables, settings);
    for (name, value) in post_build.substitute.iter().flatten() {
        set(&mut variables, name, value, false, INLINE, INLINE, settings);
    }
    let always = post_build.substitute_strategy.as_deref() == Some(ALWAYS);
    if !always && missing.is_none() && variables.is_empty() {
        return None;
    }
    variables.stand_in_for_unset(Unset {
        marker: settings.marker.clone(),
        source: missing,
    });
    Some(variables)
}

fn rendered<'a>(
    reference: &SubstituteReference,
    namespace: &str,
    ancestors: &[&'a Leaf],
) -> Option<&'a Object> {
    let is_meant = |object: &&Object| {
        let id = &object.id;
        id.group.is_empty()
            && id.kind == reference.kind
            && id.name == reference.name
            && id.namespace == namespace
    };
    let mut objects = ancestors.iter().flat_map(|leaf| leaf.objects());
    objects.find(is_meant)
}

fn set_all(
    variables: &mut Variables,
    reference: &SubstituteReference,
    object: &Object,
    settings: &Settings,
) {
    let source = format!("{}/{}", reference.kind, reference.name);
    for entry in data_of(object) {
        let (name, value) = (entry.key, &entry.value);
        let short = &reference.name;
        set(
            variables,
            name,
            value,
            entry.is_secret,
            &source,
            short,
            settings,
        );
    }
}

fn set(
    variables: &mut Variables,
    name: &str,
    value: &str,
    secret: bool,
    source: &str,
    short: &str,
    settings: &Settings,
) {
    let marker = &settings.marker;
    if !marker.is_in(value) {
        variables.set(name, value, secret, source);
        return;
    }
    // What is not known of a part is not known of the whole: operators would cut the token.
    let unknown = Unknown {
        reason: format!("{short}.{name}"),
        identity: marker.shown(value, |unknown| unknown.identity.clone()),
    };
    variables.set_unknown(name, &marker.token(&unknown), source);
}

/// The caller's variables, where the repository has none of the name or one that is not known.
fn fill_in(variables: &mut Variables, settings: &Settings) {
    for (name, value) in &settings.variables {
        if variables
            .get(name)
            .is_none_or(|variable| variable.is_unknown)
        {
            variables.set(name, value, false, GIVEN);
        }
    }
}
