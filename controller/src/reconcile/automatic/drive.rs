//! Driving an edge: the same promotion as the command's, committed in the mirror, signed, and pushed if nobody was faster.

use jiff::Timestamp;

use super::Settings;
use super::publish::{committer, names};
use super::repository::Repository;
use super::way::Way;
use crate::promotion::auto::pending::request;
use crate::promotion::auto::{Decision, Pending};
use crate::promotion::message;
use crate::promotion::plan::{PlanError, plan_upon};
use crate::source::Repositories;
use crate::source::SourceError;
use crate::source::history::History;
use crate::source::mirror::{Mirror, NewFile};
use crate::source::push::{Pushed, Update, push};

/// Why an edge is not promoted over.
#[derive(Debug, thiserror::Error)]
pub(super) enum DriveError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// What became of a decision to promote.
pub(super) enum Driven {
    /// It was pushed: the commit.
    Pushed(String),
    /// Somebody was faster: all is looked at anew.
    Outrun,
    /// The server or the plan refuses it, in words.
    Refused(String),
}

/// Promotes one app over one edge.
pub(super) fn drive(
    repositories: &Repositories,
    (mirror, way): (&Mirror, &Way),
    (history, repository): (&History, &Repository),
    settings: &Settings,
    (pending, decision): (&Pending, &Decision),
) -> Result<Driven, DriveError> {
    let now = Timestamp::now();
    let promotion = plan_upon(
        (history, &repository.head),
        (&repository.policy, &repository.graph),
        &request(&pending.edge, &pending.app),
        &repository.settings,
        now,
    )?;
    let refusals: Vec<String> = promotion
        .refusals
        .iter()
        .map(|refusal| format!("refused ({}): {}", refusal.name, refusal.message))
        .chain(promotion.unsigned.iter().cloned())
        .collect();
    if !refusals.is_empty() {
        return Ok(Driven::Refused(refusals.join("; ")));
    }
    let text = format!(
        "{}Weir-Driven-By: {}\n",
        message::promotion(&promotion),
        settings.environment
    );
    let files: Vec<NewFile<'_>> = promotion
        .changes
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_deref()))
        .collect();
    let (name, mail) = names(settings);
    let by = committer(way, &name, &mail, now);
    let commit = mirror.commit(
        Some(&promotion.head),
        &files,
        &promotion.executables,
        &text,
        &by,
    )?;
    let branch = format!("refs/heads/{}", way.branch);
    let update = Update {
        name: &branch,
        old: Some(promotion.head.commit.id),
        new: commit.id,
    };
    Ok(
        match push(repositories, &way.write, &update, &commit.objects)? {
            Pushed::Done => Driven::Pushed(commit.id.to_string()),
            Pushed::Outrun => Driven::Outrun,
            Pushed::Refused(why) => Driven::Refused(format!(
                "the server refuses the promotion of {}: {why}",
                decision.about()
            )),
        },
    )
}
