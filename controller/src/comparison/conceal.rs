//! What a comparison holds is shown to more people than may read Secrets: names that end in a hash of secret content are
//! told without it, wherever they stand.

use serde_json::Value;

use super::{Action, EnvironmentChange, Line, ObjectChange, Problem};
use crate::cluster::Shown;
use crate::cluster::redact::Redactor;
use crate::environments::SecretNames;

/// Takes the hashes of secrets out of all that is told of an environment.
pub fn conceal(change: &mut EnvironmentChange, names: &SecretNames) {
    if names.is_empty() {
        return;
    }
    each_text(change, &mut |text| hide(text, names));
}

/// Takes secret values out of names and paths: a variable puts them there too.
pub(super) fn redact(change: &mut EnvironmentChange, redactor: &Redactor) {
    if redactor.is_empty() {
        return;
    }
    each_text(change, &mut |text| {
        let clean = redactor.clean_name(text);
        if clean != *text {
            *text = clean;
        }
    });
}

/// All that is told of an environment.
fn each_text(change: &mut EnvironmentChange, hide: &mut impl FnMut(&mut String)) {
    change.warnings.iter_mut().for_each(&mut *hide);
    for leaf in &mut change.leaves {
        if let Some(Problem::Breaks(why) | Problem::StaysBroken(why)) = &mut leaf.problem {
            hide(why);
        }
        for change in &mut leaf.objects {
            object(change, hide);
        }
    }
}

fn hide(text: &mut String, names: &SecretNames) {
    let shown = names.shown(text);
    if shown != *text {
        *text = shown.into_owned();
    }
}

fn object(change: &mut ObjectChange, hide: &mut impl FnMut(&mut String)) {
    hide(&mut change.id.name);
    hide(&mut change.id.namespace);
    change.old_name.iter_mut().for_each(&mut *hide);
    match &mut change.action {
        Action::Replace { fields, .. } => fields.iter_mut().for_each(&mut *hide),
        Action::Leave(why) | Action::Refuse(why) | Action::Skip(why) => hide(why),
        Action::Create | Action::Change | Action::MayChange | Action::Prune { .. } => {}
    }
    for rival in &mut change.rivals {
        hide(&mut rival.field);
    }
    for told in &mut change.lines {
        line(told, hide);
    }
}

/// The path too: items of lists are named by what they hold.
fn line(line: &mut Line, hide: &mut impl FnMut(&mut String)) {
    hide(&mut line.path);
    for shown in [&mut line.before, &mut line.after].into_iter().flatten() {
        match shown {
            Shown::Value(told) => value(told, hide),
            Shown::Masked => {}
        }
    }
}

fn value(told: &mut Value, hide: &mut impl FnMut(&mut String)) {
    match told {
        Value::String(text) => hide(text),
        Value::Array(items) => items.iter_mut().for_each(|item| value(item, hide)),
        Value::Object(map) => map.values_mut().for_each(|item| value(item, hide)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
