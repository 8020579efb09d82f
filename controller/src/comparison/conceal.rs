//! What a comparison holds is shown to more people than may read Secrets: names that end in a hash of secret content are
//! told without it, wherever they stand.

use serde_json::Value;

use super::{Action, EnvironmentChange, Line, ObjectChange, Problem};
use crate::cluster::Shown;
use crate::environments::SecretNames;

/// Takes the hashes of secrets out of all that is told of an environment.
pub fn conceal(change: &mut EnvironmentChange, names: &SecretNames) {
    if names.is_empty() {
        return;
    }
    change
        .warnings
        .iter_mut()
        .for_each(|text| hide(text, names));
    for leaf in &mut change.leaves {
        if let Some(Problem::Breaks(why) | Problem::StaysBroken(why)) = &mut leaf.problem {
            hide(why, names);
        }
        leaf.objects
            .iter_mut()
            .for_each(|change| object(change, names));
    }
}

fn hide(text: &mut String, names: &SecretNames) {
    let shown = names.shown(text);
    if shown != *text {
        *text = shown.into_owned();
    }
}

fn object(change: &mut ObjectChange, names: &SecretNames) {
    hide(&mut change.id.name, names);
    if let Some(name) = &mut change.old_name {
        hide(name, names);
    }
    match &mut change.action {
        Action::Replace { fields, .. } => fields.iter_mut().for_each(|text| hide(text, names)),
        Action::Leave(why) | Action::Refuse(why) | Action::Skip(why) => hide(why, names),
        Action::Create | Action::Change | Action::MayChange | Action::Prune { .. } => {}
    }
    for rival in &mut change.rivals {
        hide(&mut rival.field, names);
    }
    change.lines.iter_mut().for_each(|told| line(told, names));
}

/// The path too: items of lists are named by what they hold.
fn line(line: &mut Line, names: &SecretNames) {
    hide(&mut line.path, names);
    for shown in [&mut line.before, &mut line.after].into_iter().flatten() {
        match shown {
            Shown::Value(told) => value(told, names),
            Shown::Masked => {}
        }
    }
}

fn value(told: &mut Value, names: &SecretNames) {
    match told {
        Value::String(text) => hide(text, names),
        Value::Array(items) => items.iter_mut().for_each(|item| value(item, names)),
        Value::Object(map) => map.values_mut().for_each(|item| value(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
