//! `weir promote --edit`: conflicts as markers in the work tree, for an editor; nothing is committed.

use std::path::Path;

use anstream::{print, println};
use overlay::Tree;

use super::git::Git;
use super::trunk::warn;
use super::write::{Upon, WriteFlags, refuse_uncommitted, work_tree};
use super::{history, planned, print as printing, touched};
use crate::cli::{Exit, Failure, Outcome};
use crate::promotion::base::Past;
use crate::promotion::overlaid::Changes;
use crate::promotion::prepare::{AppChange, FileChange};
use crate::promotion::{Promotion, Request, markers};

/// Writes the files with conflict markers, and the record, for a commit by hand.
pub(super) fn edit(flags: &WriteFlags, request: &Request) -> Outcome {
    let history = history(Path::new("."))?;
    let git = Git::at(&work_tree(&history)?);
    let trunk = flags.server().beside_head(&history)?;
    warn(&trunk);
    let upon = Upon {
        history: &history,
        revision: "HEAD",
        trunk: trunk.revision(),
    };
    let promotion = planned(upon, request)?;
    refuse_uncommitted(&git, &touched(&promotion))?;
    print!("{}", printing::render(&promotion));
    let mut changes = promotion.changes.clone();
    let mut marked = Vec::new();
    for app in &promotion.apps {
        marked.extend(mark(&promotion, app, &mut changes)?);
    }
    if marked.is_empty() {
        return Err(Failure::with_hint(
            "there is no conflict to edit",
            "`--commit` commits the promotion",
        ));
    }
    git.write(&changes)?;
    println!(
        "\nBoth versions stand in {}: choose, then commit all with `git commit`.",
        marked.join(", ")
    );
    Ok(Exit::Success)
}

/// Writes the conflicts of an app, and gives the files that have any.
fn mark(
    promotion: &Promotion,
    app: &AppChange,
    changes: &mut Changes,
) -> Result<Vec<String>, Failure> {
    let names = [
        promotion.scope.from.name.as_str(),
        promotion.scope.to.name.as_str(),
    ];
    let mut record = app.record.clone();
    let mut marked = Vec::new();
    for file in app.files.iter().filter(|file| is_open(file)) {
        let bytes = |path: &str| promotion.head.tree.read(path).ok();
        let (Some(source), Some(target)) = (bytes(&file.source), bytes(&file.target)) else {
            return Err(Failure::with_hint(
                format!("{} is on one side only", file.target),
                "`--take source FILE` or `--take target FILE` settles it",
            ));
        };
        let text = markers::marked(
            &file.target,
            &file.past,
            [&source, &target],
            &file.rules,
            names,
        );
        changes.insert(file.target.clone(), Some(text.into_bytes()));
        marked.push(file.target.clone());
        // What it will be is for the editor to say.
        if let Some(blobs) = record.files.get_mut(&file.target) {
            blobs.target = None;
        }
    }
    if !marked.is_empty() {
        changes.insert(app.record_path.clone(), Some(record.text().into_bytes()));
    }
    Ok(marked)
}

fn is_open(file: &FileChange) -> bool {
    file.past != Past::Unknown
        && file
            .outcome
            .findings
            .iter()
            .any(|finding| finding.is_open())
}
