//! What an environment runs of a folder, and whether it is well, by what its cluster says of its Kustomizations.

use jiff::Timestamp;
use overlay::Tree;

use super::published::{Failure, Running};
use crate::environments::Environment;
use crate::promotion::health::{Reported, find, leaves};
use crate::source::history::History;

/// The longest part of a cluster's message that is published.
const MESSAGE: usize = 300;

/// What it runs now; none when it builds nothing of the folder. What was said before tells since when it is so.
pub fn running(
    history: &History,
    environment: &Environment,
    reported: &[Reported],
    folder: &str,
    before: Option<&Running>,
    now: Timestamp,
) -> Option<Running> {
    let folders = [folder.to_owned()];
    let builders: Vec<_> = leaves(environment, &folders).collect();
    if builders.is_empty() {
        return None;
    }
    let found = builders.iter().map(|leaf| find(leaf, reported));
    let Some(found) = found.collect::<Option<Vec<&Reported>>>() else {
        // One of its Kustomizations is not in the cluster yet.
        return Some(Running {
            tree: None,
            healthy_since: None,
            drifted: None,
            failure: None,
        });
    };
    let mut trees: Vec<Option<String>> = found
        .iter()
        .map(|reported| tree(history, reported, folder))
        .collect();
    trees.dedup();
    let tree = match trees.as_slice() {
        [Some(tree)] => Some(tree.clone()),
        _ => None,
    };
    let before = before.filter(|before| before.tree == tree);
    let is_well = tree.is_some() && found.iter().all(|reported| reported.is_ready);
    let since = before.and_then(|before| before.healthy_since);
    // What failed before it was well says nothing of why it is not well any more.
    let earlier = before
        .filter(|before| is_well || before.healthy_since.is_none())
        .and_then(|before| before.failure.clone());
    let failed = found.iter().find(|it| it.has_failed && !it.is_ready);
    let drifted = found
        .iter()
        .find_map(|it| Some(said(it, it.drifted.as_ref()?)));
    Some(Running {
        drifted,
        healthy_since: is_well.then(|| since.unwrap_or(now)),
        failure: match failed {
            Some(reported) => Some(failure(reported, earlier, now)),
            None => earlier,
        },
        tree,
    })
}

/// The tree of the folder that a Kustomization has applied, or tries to.
fn tree(history: &History, reported: &Reported, folder: &str) -> Option<String> {
    let spliced = reported.spliced.iter().find(|(path, _)| path == folder);
    if let Some((_, id)) = spliced {
        return history.full_id(id);
    }
    // A folder below one that was put in.
    let above = reported
        .spliced
        .iter()
        .find_map(|(path, id)| Some((folder.strip_prefix(path)?.strip_prefix('/')?, id)));
    let id = match above {
        Some((rest, id)) => history.tree(&history.full_id(id)?)?.id(rest),
        None => history
            .point(reported.commit.as_deref()?)
            .ok()?
            .tree
            .id(folder),
    };
    id.ok().flatten().map(|id| id.to_string())
}

/// What failed, since it was first said.
fn failure(reported: &Reported, earlier: Option<Failure>, now: Timestamp) -> Failure {
    let message = said(reported, &reported.message);
    earlier
        .filter(|known| known.message == message)
        .unwrap_or(Failure { at: now, message })
}

/// What a Kustomization says, with its name.
fn said(reported: &Reported, message: &str) -> String {
    let said = format!("{}/{}: {message}", reported.namespace, reported.name);
    said.chars().take(MESSAGE).collect()
}
