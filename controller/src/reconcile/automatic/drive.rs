//! Driving an edge: the same promotion as the command's, committed in the mirror, signed, and pushed if nobody was faster.

use jiff::Timestamp;

use super::Settings;
use super::publish::{committer, names};
use super::repository::Repository;
use super::tell::Told;
use super::way::Way;
use crate::environments::{self, graph};
use crate::promotion::auto::pending::request;
use crate::promotion::auto::{Decision, Pending, Verdict};
use crate::promotion::message;
use crate::promotion::plan::{PlanError, plan_upon};
use crate::promotion::prepare::Site;
use crate::report::events::Severity;
use crate::source::Repositories;
use crate::source::SourceError;
use crate::source::history::History;
use crate::source::mirror::{Mirror, NewFile};
use crate::source::push::{PushError, Pushed, Update, push};

/// What drives edges.
#[derive(Clone, Copy)]
pub(super) struct Driver<'a> {
    pub(super) repositories: &'a Repositories,
    pub(super) mirror: &'a Mirror,
    pub(super) way: &'a Way,
    pub(super) history: &'a History,
    pub(super) repository: &'a Repository,
    pub(super) settings: &'a Settings,
}

/// Promotes over the edges that this environment drives. True when the branch was moved: the rest is decided upon what it
/// is then.
pub(super) fn drive_all(driver: Driver<'_>, decisions: &[Decision]) -> (Vec<Told>, bool) {
    let mut told = Vec::new();
    let all = driver.repository.pending.iter().zip(decisions);
    for (pending, decision) in all {
        if decision.driver != driver.settings.environment {
            continue;
        }
        let (sentence, severity, has_moved) = match &decision.verdict {
            Verdict::Promotes(files) => match drive(driver, pending, decision) {
                Ok(Driven::Pushed(commit)) => {
                    let short = commit.get(..12).unwrap_or(&commit);
                    let sentence = format!("promoted in {short}: {}", files.join(", "));
                    (sentence, Severity::Info, true)
                }
                Ok(Driven::Outrun) => return (told, true),
                Ok(Driven::Refused(why)) => (format!("stopped: {why}"), Severity::Error, false),
                Err(error) => (format!("not promoted: {error}"), Severity::Error, false),
            },
            verdict @ Verdict::Stopped(_) => (verdict.sentence(), Severity::Error, false),
            verdict => (verdict.sentence(), Severity::Info, false),
        };
        told.push(Told {
            about: decision.about(),
            sentence,
            severity,
        });
        if has_moved {
            return (told, true);
        }
    }
    (told, false)
}

/// Why an edge is not promoted over.
#[derive(Debug, thiserror::Error)]
enum DriveError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Push(#[from] PushError),
}

/// What became of a decision to promote.
enum Driven {
    /// It was pushed: the commit.
    Pushed(String),
    /// Somebody was faster: all is looked at anew.
    Outrun,
    /// The server or the plan refuses it, in words.
    Refused(String),
}

/// Promotes one app over one edge.
fn drive(driver: Driver<'_>, pending: &Pending, decision: &Decision) -> Result<Driven, DriveError> {
    let Driver {
        repositories,
        mirror,
        way,
        history,
        repository,
        settings,
    } = driver;
    let now = Timestamp::now();
    let rendering = environments::Settings::default();
    let graph = graph(&repository.head.tree, &rendering).map_err(PlanError::from)?;
    let site = Site {
        history,
        head: &repository.head,
        trunk: &repository.head,
        graph: &graph,
        policy: &repository.policy,
    };
    let asked = request(&pending.edge, &pending.app);
    let promotion = plan_upon(&site, &asked, &rendering, now)?;
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
