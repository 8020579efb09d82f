//! A plan in a file, and back.

use std::path::Path;

use super::Args;
use super::live::{Site, failure, stopped};
use crate::cli::Failure;
use crate::comparison::Comparison;
use crate::live::{Header, Live, SCHEMA, Saved, cluster_id, is_whole, saved};
use crate::source::history::History;

/// What a plan of a revision is bound to.
pub(super) async fn header(site: &Site, args: &Args, revision: &str) -> Result<Header, Failure> {
    let (commit, tree) = commit(args.fleet.repository(), revision)?;
    Ok(Header {
        commit,
        tree,
        target: args.target.clone(),
        namespace: args.live.connection.namespace.clone(),
        without_keys: args.live.without_keys,
        cluster: cluster_id(&site.client).await.map_err(stopped)?,
    })
}

/// The commit that a revision names, and its tree.
pub(in crate::cli) fn commit(folder: &Path, revision: &str) -> Result<(String, String), Failure> {
    let history = History::discover(folder).map_err(failure)?;
    let point = history.point(revision).map_err(failure)?;
    Ok((point.commit.id.to_string(), point.commit.tree.to_string()))
}

/// Writes a plan that can be carried out as it is.
pub(super) fn save(
    file: &Path,
    site: &Site,
    live: &Live,
    comparison: &Comparison,
    header: Header,
) -> Result<(), Failure> {
    if !comparison.environments.iter().all(is_whole) || live.closed().next().is_some() {
        return Err(Failure::with_hint(
            "the plan is not saved: parts of it are approximate, or cannot be planned",
            "an account that may apply, and the keys, are needed for a plan that is carried out",
        ));
    }
    let saved = saved(&site.ground(), live, header);
    let text = serde_json::to_string_pretty(&saved).map_err(failure)? + "\n";
    std::fs::write(file, text).map_err(|error| Failure::io("writing", file, &error))
}

/// Reads a plan.
pub(in crate::cli) fn read(file: &Path) -> Result<Saved, Failure> {
    let text = std::fs::read(file).map_err(|error| Failure::io("reading", file, &error))?;
    let refused = |problem: String| {
        let hint = "`weir plan --context … --save FILE` writes one";
        Failure::with_hint(format!("{}: {problem}", file.display()), hint)
    };
    let saved: Saved = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("this is no saved plan: {error}")))?;
    match saved.schema == SCHEMA {
        true => Ok(saved),
        false => Err(refused(format!(
            "its form is {:?}, and this version of Weir reads {SCHEMA}",
            saved.schema
        ))),
    }
}
