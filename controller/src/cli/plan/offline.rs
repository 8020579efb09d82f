//! Two revisions, or a revision and the files on disk, are compared without a cluster.

use std::sync::Arc;

use overlay::path::inside;

use crate::cli::Failure;
use crate::cli::fleet::{Fleet, unreadable};
use crate::comparison::{Comparison, Scope, compare};
use crate::environments::{self, Graph, Leaf};

/// Compares what two revisions make; without a later one, the files on disk.
pub(in crate::cli) fn compared(
    fleet: &Fleet,
    target: Option<&str>,
    from: &str,
    to: Option<&str>,
) -> Result<Comparison, Failure> {
    let (before, after) = (fleet.open(Some(from))?, fleet.open(to)?);
    let settings = fleet.settings()?;
    let (before, after, _) =
        environments::graphs(before.as_ref(), after.as_ref(), &settings).map_err(unreadable)?;
    let scope = scope(target, &[&before, &after])?;
    let comparison = compare(&before, &after, &settings.marker, &scope);
    // The process ends soon: giving all this memory back would take longer than printing it.
    std::mem::forget((before, after));
    Ok(comparison)
}

/// What a target means: an environment or a stage, else a folder, else a Kustomization.
pub(super) fn scope(target: Option<&str>, graphs: &[&Graph]) -> Result<Scope, Failure> {
    let Some(target) = target else {
        return Ok(Scope::All);
    };
    let environments = || {
        graphs.iter().flat_map(|graph| {
            let facts = |it| environments::facts(it, &graph.folders).stages;
            graph.environments.iter().map(move |it| (it, facts(it)))
        })
    };
    if environments()
        .any(|(it, stages)| it.name == target || stages.iter().any(|stage| stage == target))
    {
        return Ok(Scope::Environment(target.to_owned()));
    }
    let leaves = || environments().flat_map(|(it, _)| &it.leaves);
    let path = inside(target);
    let is_read = |leaf: &&Arc<Leaf>| leaf.touches(&path);
    if leaves().any(|leaf| is_read(&leaf)) {
        return Ok(Scope::Path(path));
    }
    if leaves().any(|leaf| leaf.name.name == target || leaf.name.to_string() == target) {
        return Ok(Scope::Kustomization(target.to_owned()));
    }
    let mut names: Vec<&str> = environments().map(|(it, _)| it.name.as_str()).collect();
    names.dedup();
    let hint = match overlay::suggest::nearest(target, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`weir envs` lists the environments".to_owned(),
    };
    let message =
        format!("{target}: no environment, no folder that one is made of, and no Kustomization");
    Err(Failure::with_hint(message, hint))
}
