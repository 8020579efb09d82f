//! The entry of an app in the kustomization file of its stage, which comes and goes with the app.

use overlay::{Tree, TreeError};

use super::base::Past;
use super::file::{Fate, Outcome};
use super::merge::{Base, Rules, merge, travelling};
use super::prepare::{FileChange, read};
use super::scope::{App, Scope};

/// The entry of a new app in the kustomization file above it, or of an app that goes with all its files.
pub(super) fn entry(
    tree: &dyn Tree,
    scope: &Scope,
    app: &App,
    files: &[FileChange],
) -> Result<Option<FileChange>, TreeError> {
    let Some([from, to]) = app.folders.as_ref().filter(|_| scope.apps.len() == 1) else {
        return Ok(None);
    };
    let has = [tree.kind(from)?.is_some(), tree.kind(to)?.is_some()];
    let mut fates = files.iter().map(|file| &file.outcome.fate);
    let moves = match has {
        [true, false] => fates.any(|fate| matches!(fate, Fate::Written(_))),
        [false, true] => !files.is_empty() && fates.all(|fate| *fate == Fate::Deleted),
        _ => false,
    };
    if scope.from.is_per_app || *to == scope.to.folder || !moves {
        return Ok(None);
    }
    let [source, target] =
        [&scope.from, &scope.to].map(|stage| format!("{}/kustomization.yaml", stage.folder));
    let (Some(source_bytes), Some(target_bytes)) = (read(tree, &source)?, read(tree, &target)?)
    else {
        return Ok(None);
    };
    let outcome = move_entry(&app.name, &source_bytes, &target_bytes, has[0]);
    Ok(outcome.map(|outcome| FileChange {
        source,
        target,
        outcome,
        rules: Rules::default(),
        past: Past::Absent,
    }))
}

/// Merges one entry alone: the base is the side that has it, without it.
fn move_entry(name: &str, source: &[u8], target: &[u8], is_new: bool) -> Option<Outcome> {
    let (source, target) = (
        std::str::from_utf8(source).ok()?,
        std::str::from_utf8(target).ok()?,
    );
    let without = Rules {
        never: vec![format!("resources[{name}]"), format!("components[{name}]")],
        ..Rules::default()
    };
    let merged = match is_new {
        true => merge(
            Base::Was(&travelling(source, &without).ok()?),
            source,
            target,
            &Rules::default(),
        ),
        false => merge(
            Base::Was(target),
            &travelling(target, &without).ok()?,
            target,
            &Rules::default(),
        ),
    };
    let mut merged = merged.ok()?;
    merged
        .findings
        .retain(|finding| without.never.contains(&finding.path));
    Some(Outcome {
        fate: match merged.text == target {
            true => Fate::Same,
            false => Fate::Written(merged.text.into_bytes()),
        },
        findings: merged.findings,
    })
}
