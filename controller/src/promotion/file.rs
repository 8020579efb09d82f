//! One file of a promotion: what the target holds afterwards, and what was found on the way.

use super::base::{Past, same};
use super::files::is_kustomization;
use super::merge::{Base, Choice, Finding, Merged, Rules, Side, What, merge, travelling};

/// What becomes of a file of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is, or stays away.
    Same,
    /// It holds these bytes.
    Written(Vec<u8>),
    /// It goes.
    Deleted,
}

/// What a merge gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What becomes of the file.
    pub fate: Fate,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// The three versions of a file.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    /// Its past.
    pub past: &'a Past,
    /// The source's version.
    pub source: Option<&'a [u8]>,
    /// The target's version.
    pub target: Option<&'a [u8]>,
}

/// Merges a file: leaf by leaf where that can be, else as a whole.
pub fn outcome(path: &str, versions: Versions<'_>, rules: &Rules) -> Outcome {
    if let Some(merged) = by_leaves(path, versions, rules) {
        let is_same = versions.target == Some(merged.text.as_bytes());
        return Outcome {
            fate: match is_same {
                true => Fate::Same,
                false => Fate::Written(merged.text.into_bytes()),
            },
            findings: merged.findings,
        };
    }
    whole(path, versions, rules)
}

/// Whether a file is merged by its leaves.
fn has_leaves(path: &str) -> bool {
    let name = overlay::path::base(path);
    let ends = |ending: &&str| name.ends_with(*ending);
    [".yaml", ".yml", ".json"].iter().any(ends) || name == "Kustomization"
}

fn by_leaves(path: &str, versions: Versions<'_>, rules: &Rules) -> Option<Merged> {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|_| has_leaves(path));
    let (source, target) = (text(versions.source?)?, text(versions.target?)?);
    let base = match versions.past {
        // Both sides came by it on their own: that is a first meeting too.
        Past::Unknown | Past::Absent => Base::Unknown,
        Past::Was(bytes) => Base::Was(text(bytes)?),
    };
    merge(base, source, target, rules).ok()
}

/// What of the source's version travels.
fn carried(path: &str, bytes: &[u8], rules: &Rules) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| has_leaves(path));
    let stripped = text.and_then(|text| travelling(text, rules).ok());
    stripped.map_or_else(|| bytes.to_vec(), String::into_bytes)
}

/// Whether a file that is not merged by its leaves holds what never travels in a form that cannot be taken out, or would be
/// written over where the target has its own.
fn is_inseparable(path: &str, source: Option<&[u8]>, target: Option<&[u8]>, rules: &Rules) -> bool {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|_| has_leaves(path));
    let (Some(source), target) = (source.and_then(text), target.and_then(text)) else {
        return false;
    };
    let is_guarded = !rules.never.is_empty() || is_kustomization(path);
    let is_unknown = travelling(source, rules).is_err();
    let has_own = target.is_some_and(|target| {
        travelling(target, rules).map_or(true, |travelling| travelling != target)
    });
    is_guarded && (is_unknown || has_own)
}

fn whole(path: &str, versions: Versions<'_>, rules: &Rules) -> Outcome {
    let Versions {
        past,
        source,
        target,
    } = versions;
    let equal = |one: Option<&[u8]>, other: Option<&[u8]>| match (one, other) {
        (Some(one), Some(other)) => one == other || (has_leaves(path) && same(one, other, rules)),
        (one, other) => one.is_none() && other.is_none(),
    };
    if equal(source, target) {
        return Outcome {
            fate: Fate::Same,
            findings: Vec::new(),
        };
    }
    let base = match past {
        Past::Unknown => None,
        Past::Absent if source.is_some() && target.is_some() => None,
        Past::Absent => Some(None),
        Past::Was(bytes) => Some(Some(bytes.as_slice())),
    };
    let chosen = chosen(&rules.choices);
    let (what, side) = match base {
        _ if rules.pins.iter().any(String::is_empty) => (What::Pinned, Side::Target),
        _ if chosen == Some(Side::Source) => (What::Taken, Side::Source),
        Some(base) if equal(base, target) && chosen.is_none() => (What::Taken, Side::Source),
        Some(base) if equal(base, source) && target.is_none() => (What::StaysDeleted, Side::Target),
        Some(base) if equal(base, source) => (What::Kept, Side::Target),
        // What only the target has is its own, also where nothing is known of the past.
        None if source.is_none() => (What::Kept, Side::Target),
        _ if chosen == Some(Side::Target) => (What::Kept, Side::Target),
        None => (What::Unmet, Side::Target),
        Some(_) => (What::Conflict, Side::Target),
    };
    let is_inseparable = side == Side::Source && is_inseparable(path, source, target, rules);
    let (what, side) = match is_inseparable {
        true => (What::Conflict, Side::Target),
        false => (what, side),
    };
    let fate = match (side, source) {
        (Side::Target, _) => Fate::Same,
        (Side::Source, Some(bytes)) => Fate::Written(carried(path, bytes, rules)),
        (Side::Source, None) => Fate::Deleted,
    };
    let told = |bytes: Option<&[u8]>| bytes.map(|bytes| format!("{} bytes", bytes.len()));
    let finding = Finding {
        path: String::new(),
        what,
        base: told(base.flatten()),
        source: told(source),
        target: told(target),
    };
    Outcome {
        fate,
        findings: vec![finding],
    }
}

/// The side that was chosen for the whole file.
fn chosen(choices: &[Choice]) -> Option<Side> {
    let whole = choices.iter().rfind(|choice| choice.path.is_empty());
    whole.map(|choice| choice.side)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (Past, Option<&'a str>, Option<&'a str>, Option<What>, Fate);

    #[test]
    fn files_come_go_and_stay() {
        let was = |text: &str| Past::Was(text.as_bytes().to_vec());
        let written = |text: &str| Fate::Written(text.as_bytes().to_vec());
        let cases: Vec<Case<'_>> = vec![
            (
                Past::Absent,
                Some("a"),
                None,
                Some(What::Taken),
                written("a"),
            ),
            (
                Past::Unknown,
                Some("a"),
                None,
                Some(What::Unmet),
                Fate::Same,
            ),
            (
                was("a"),
                Some("a"),
                None,
                Some(What::StaysDeleted),
                Fate::Same,
            ),
            (was("a"), Some("b"), None, Some(What::Conflict), Fate::Same),
            (Past::Unknown, None, Some("a"), Some(What::Kept), Fate::Same),
            (Past::Absent, None, Some("a"), Some(What::Kept), Fate::Same),
            (was("a"), None, Some("a"), Some(What::Taken), Fate::Deleted),
            (was("a"), None, Some("b"), Some(What::Conflict), Fate::Same),
            (
                was("a"),
                Some("b"),
                Some("a"),
                Some(What::Taken),
                written("b"),
            ),
            (was("a"), Some("a"), Some("b"), Some(What::Kept), Fate::Same),
            (
                was("a"),
                Some("b"),
                Some("c"),
                Some(What::Conflict),
                Fate::Same,
            ),
            (
                Past::Absent,
                Some("b"),
                Some("c"),
                Some(What::Unmet),
                Fate::Same,
            ),
            (was("a"), Some("b"), Some("b"), None, Fate::Same),
        ];
        for (past, source, target, what, fate) in cases {
            let versions = Versions {
                past: &past,
                source: source.map(str::as_bytes),
                target: target.map(str::as_bytes),
            };
            let outcome = outcome("script.sh", versions, &Rules::default());
            let found = outcome.findings.first().map(|finding| finding.what);
            assert_eq!(
                (found, outcome.fate),
                (what, fate),
                "{past:?} {source:?} {target:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_not_written_where_something_never_travels() {
        let was = Past::Was(b"? a\n: 1\nspec: {replicas: 2}\n".to_vec());
        let (source, target) = (
            b"? a\n: 2\nspec: {replicas: 9}\n".as_slice(),
            b"? a\n: 1\nspec: {replicas: 2}\n".as_slice(),
        );
        let never = |fields: &[&str]| Rules {
            never: fields.iter().map(|field| (*field).to_owned()).collect(),
            ..Rules::default()
        };
        let guarded = never(&["spec.replicas"]);
        for (rules, target, written) in [
            (never(&[]), Some(target), true),
            (guarded.clone(), Some(target), false),
            (guarded, None, false),
        ] {
            let past = target.map_or(Past::Absent, |_| was.clone());
            let versions = Versions {
                past: &past,
                source: Some(source),
                target,
            };
            let outcome = outcome("odd.yaml", versions, &rules);
            assert_eq!(outcome.fate != Fate::Same, written, "{rules:?}");
            let is_open = outcome.findings.iter().any(Finding::is_open);
            assert_eq!(is_open, !written, "{rules:?}");
        }
    }
}
