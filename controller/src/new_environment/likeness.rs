//! What is compared to show how a new environment differs from its model: the model as if it were called as the new one
//! is, so that what differs in more than its name is told.

use std::sync::Arc;

use overlay::Object;
use overlay::path::base;

use super::Places;
use super::renamed::words_replaced;
use crate::environments::{Built, Environment, Leaf, LeafName, Outcome};

/// The model under the new name, and the new environment. Of a cluster that both share only what is each one's own.
pub fn sides(
    model: &Environment,
    new: &Environment,
    name: &str,
    places: &Places,
) -> (Environment, Environment) {
    let part = |of: &Environment, other: &Environment| {
        let is_own = |leaf: &&Arc<Leaf>| !other.leaves.iter().any(|it| it.name == leaf.name);
        let is_kept = |leaf: &&Arc<Leaf>| places.shared_cluster().is_none() || is_own(leaf);
        Environment {
            leaves: of.leaves.iter().filter(is_kept).cloned().collect(),
            ..of.clone()
        }
    };
    let (mut before, after) = (part(model, new), part(new, model));
    for leaf in &mut before.leaves {
        *leaf = Arc::new(renamed(leaf, &model.name, name, places));
    }
    (before, after)
}

fn renamed(leaf: &Leaf, model: &str, name: &str, places: &Places) -> Leaf {
    let named = |old: &LeafName| LeafName {
        namespace: words_replaced(&old.namespace, model, name),
        name: own_name(&old.name, model, name, places),
    };
    let outcome = match &leaf.outcome {
        Outcome::Built(built) => {
            let objects = built.objects.iter().cloned();
            Outcome::Built(Built {
                objects: objects.map(|object| called(object, model, name)).collect(),
                composed: built.composed.clone(),
                steps: built.steps,
            })
        }
        other => other.clone(),
    };
    Leaf {
        name: named(&leaf.name),
        path: leaf.path.clone(),
        spec: leaf.spec.clone(),
        place: leaf.place.clone(),
        parent: leaf.parent.as_ref().map(named),
        variables: leaf.variables.clone(),
        outcome,
    }
}

/// What a Kustomization of the model is called for the new environment.
fn own_name(old: &str, model: &str, name: &str, places: &Places) -> String {
    let new = words_replaced(old, model, name);
    let own = places.shared_cluster().map(|platform| &platform.own);
    let is_taken = own.is_some_and(|own| own.iter().any(|written| written.name == new));
    match is_taken {
        true => format!("{new}-{}", base(name)),
        false => new,
    }
}

/// An object that is known by the new environment's name where it has the model's; its content stays.
fn called(mut object: Object, model: &str, name: &str) -> Object {
    object.id.name = words_replaced(&object.id.name, model, name);
    object.id.namespace = words_replaced(&object.id.namespace, model, name);
    object
}
