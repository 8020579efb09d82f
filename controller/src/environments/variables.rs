//! The variables of a Kustomization: from the ConfigMaps and Secrets that its ancestors render, then from the caller, then
//! from a cluster where one is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::Object;
use overlay::unknown::Unknown;
use overlay::vars::{Unset, Variables};
use overlay::yaml::{Mapping, Node, Secret, Value};
use zeroize::Zeroizing;

use super::Settings;
use super::door::{stand_in_token, unread_tokens};
use super::values::data_of;
use crate::api::kustomization::{KustomizationSpec, SubstituteReference};
use crate::reconcile::inputs::{ALWAYS, Data, INLINE, SECRET};

/// Where the caller's variables come from, for messages.
const GIVEN: &str = "--vars";

/// What a cluster has of the ConfigMaps and Secrets that a spec names, by kind and name. What it has not, or does not
/// give to this account, is not among them.
pub type Lent = BTreeMap<(String, String), Arc<Data>>;

/// What is put in for the variables of a spec; none when nothing is. Ancestors come nearest first. Where a cluster was
/// asked and has all that is named, a variable that nobody sets is a mistake; otherwise it is one that is not known.
pub fn variables(
    spec: &KustomizationSpec,
    namespace: &str,
    ancestors: &[&[Object]],
    settings: &Settings,
    lent: Option<&Lent>,
) -> Option<Variables> {
    let post_build = spec.post_build.as_ref()?;
    let mut variables = Variables::default();
    let (mut missing, mut borrowed) = (None, BTreeSet::new());
    let mut closed = Vec::new();
    for reference in &post_build.substitute_from {
        let key = (reference.kind.clone(), reference.name.clone());
        let of_cluster = lent.and_then(|lent| lent.get(&key));
        match (rendered(reference, namespace, ancestors), of_cluster) {
            (Some(object), _) => {
                set_all(&mut variables, reference, object, settings);
                let unread = unread_tokens(&object.node);
                // A patch that cannot be read may set more.
                if !unread.is_empty() {
                    missing = missing.or(Some(reference.name.clone()));
                    closed.extend(unread);
                }
            }
            (None, Some(data)) => borrowed.extend(borrow(&mut variables, reference, data)),
            (None, None) if reference.optional => {}
            (None, None) => {
                missing = missing.or(Some(reference.name.clone()));
                let all = ancestors.iter().flat_map(|objects| objects.iter());
                closed.extend(all.filter_map(stand_in_token));
            }
        }
    }
    fill_in(&mut variables, settings, &borrowed);
    for (name, value) in post_build.substitute.iter().flatten() {
        set(&mut variables, name, value, false, INLINE, INLINE, settings);
    }
    let always = post_build.substitute_strategy.as_deref() == Some(ALWAYS);
    if !always && missing.is_none() && variables.is_empty() {
        return None;
    }
    if lent.is_none() || missing.is_some() {
        variables.stand_in_for_unset(Unset {
            marker: settings.marker.clone(),
            source: missing,
            identity: settings
                .marker
                .shown(&closed.concat(), |unknown| unknown.identity.clone()),
        });
    }
    Some(variables)
}

/// Variables that a Kustomization is given inline, by a patch or a variable that is secret.
pub fn secret_variables(kustomization: &Object) -> Vec<(String, Secret)> {
    let inline = kustomization
        .node
        .find(&["spec", "postBuild", "substitute"])
        .and_then(Node::as_mapping);
    let entries = inline.into_iter().flat_map(Mapping::iter);
    let secret = entries.filter_map(|(name, value)| match &value.value {
        Value::Secret(secret) => Some((name.text.to_string(), secret.clone())),
        _ => None,
    });
    secret.collect()
}

/// Puts secret ones in the place of what a spec may show of them.
pub fn with_secrets(
    variables: Option<Variables>,
    secrets: &[(String, Secret)],
) -> Option<Variables> {
    let mut variables = variables?;
    for (name, value) in secrets {
        variables.set(name, value.expose(), true, INLINE);
    }
    Some(variables)
}

/// Sets what a cluster has; gives back the names.
fn borrow<'d>(
    variables: &mut Variables,
    reference: &SubstituteReference,
    data: &'d Data,
) -> impl Iterator<Item = String> + use<'d> {
    let source = format!("{}/{}", reference.kind, reference.name);
    for (name, value) in data {
        let text = String::from_utf8_lossy(value);
        variables.set(name, &text, reference.kind == SECRET, &source);
    }
    data.keys().cloned()
}

fn rendered<'a>(
    reference: &SubstituteReference,
    namespace: &str,
    ancestors: &[&'a [Object]],
) -> Option<&'a Object> {
    let is_meant = |object: &&Object| {
        let id = &object.id;
        id.group.is_empty()
            && id.kind == reference.kind
            && id.name == reference.name
            && id.namespace == namespace
    };
    let mut objects = ancestors.iter().flat_map(|objects| objects.iter());
    objects.find(is_meant)
}

fn set_all(
    variables: &mut Variables,
    reference: &SubstituteReference,
    object: &Object,
    settings: &Settings,
) {
    let source = format!("{}/{}", reference.kind, reference.name);
    let unread = unread_tokens(&object.node).concat();
    for entry in data_of(object) {
        // A patch that cannot be read may set it too.
        let value = Zeroizing::new(format!("{}{unread}", *entry.value));
        let (name, value) = (entry.key, &value);
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
    variables.set_unknown(name, unknown, marker, source);
}

/// The caller's variables, where the repository has none of the name or one that is not known.
fn fill_in(variables: &mut Variables, settings: &Settings, borrowed: &BTreeSet<String>) {
    for (name, value) in &settings.variables {
        if variables
            .get(name)
            .is_none_or(|variable| variable.is_unknown() || borrowed.contains(name))
        {
            variables.set(name, value, false, GIVEN);
        }
    }
}
