//! Values and texts of others, as people may see them: one line a changed leaf, small diffs of long texts.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cluster::Shown;

/// A changed leaf: its sign, and what follows.
pub struct Told {
    /// `+`, `-`, `~` or `?`.
    pub sign: char,
    /// `path: before → after`.
    pub text: String,
    /// The lines of a small diff below it.
    pub below: Vec<String>,
}

/// Tells of a leaf that changes, or may where it depends on unknown values; `None` when there is nothing on either side.
pub fn tell(
    path: &str,
    before: Option<&Shown>,
    after: Option<&Shown>,
    unknown: &[String],
) -> Option<Told> {
    let is_certain = unknown.is_empty();
    let path = visible(path);
    let told = |sign: char, text: String| Told {
        sign,
        text,
        below: Vec::new(),
    };
    Some(match (before, after) {
        (None, None) => return None,
        (None, Some(after)) => told('+', format!("{path}: {}", show(after))),
        (Some(before), None) => told('-', format!("{path}: {}", show(before))),
        (Some(Shown::Masked), Some(Shown::Masked)) if is_certain => {
            told('~', format!("{path}: *** changed"))
        }
        (Some(Shown::Masked), Some(Shown::Masked)) => {
            let unknown = visible(&unknown.join(", "));
            told(
                '?',
                format!("{path}: *** may change (known after apply: {unknown})"),
            )
        }
        (Some(Shown::Value(Value::String(one))), Some(Shown::Value(Value::String(other))))
            if one.contains('\n') || other.contains('\n') =>
        {
            Told {
                below: small_diff(one, other),
                ..told(sign_of(is_certain), format!("{path}:"))
            }
        }
        (Some(Shown::Value(Value::Array(one))), Some(Shown::Value(Value::Array(other)))) => {
            let order = format!("{} → {}", listed(one), listed(other));
            match is_certain {
                true => told('~', format!("{path}: order changes: {order}")),
                false => told('?', format!("{path}: order may change: {order}")),
            }
        }
        (Some(before), Some(after)) => {
            let (before, after) = (show(before), show(after));
            match before == after {
                // What differs is not shown: the end of a generated name.
                true if is_certain => told('~', format!("{path}: {after} changed")),
                true => told('?', format!("{path}: may change: {after}")),
                false if is_certain => told('~', format!("{path}: {before} → {after}")),
                false => told('?', format!("{path}: may change: {before} → {after}")),
            }
        }
    })
}

/// The names of a list's items. Lists are told item by item, so that two of them are the same items in another order.
fn listed(names: &[Value]) -> String {
    let names = names.iter().map(|name| show(&Shown::Value(name.clone())));
    names.collect::<Vec<_>>().join(", ")
}

fn sign_of(is_certain: bool) -> char {
    if is_certain { '~' } else { '?' }
}

/// A value on one line.
pub fn show(shown: &Shown) -> String {
    match shown {
        Shown::Masked => "***".to_owned(),
        Shown::Value(Value::String(text)) if !text.is_empty() && !text.contains('\n') => {
            visible(text)
        }
        Shown::Value(value) => visible(&value.to_string()),
    }
}

/// Manifests are written by others: control characters would reach the reader's terminal, and those that turn the
/// direction of writing would make a text read as another.
pub fn visible(text: &str) -> String {
    let is_seen = |c: char| (!c.is_control() || c == '\t') && !turns(c);
    text.chars()
        .map(|c| if is_seen(c) { c } else { '\u{fffd}' })
        .collect()
}

fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A small unified diff of a value of several lines.
fn small_diff(before: &str, after: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(1) {
        if !lines.is_empty() {
            lines.push("…".to_owned());
        }
        for operation in group {
            for change in diff.iter_changes(&operation) {
                let line = visible(change.value().trim_end_matches('\n'));
                let mut text = String::new();
                let _ = write!(text, "{}{line}", change.tag());
                lines.push(text);
            }
        }
    }
    lines
}
