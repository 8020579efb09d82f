//! `weir comment`: the plan of a pull request, as one comment on it that is written once and then kept up to date.

use std::path::Path;

use anstream::println;

use super::ci_job::job;
use super::fleet::Fleet;
use super::forge_flags::ForgeFlags;
use super::plan::live::{Files, LiveFlags, Site};
use super::plan::offline::compared;
use super::plan::printing::exit;
use super::promote::git::Git;
use super::{Exit, Failure, Outcome};
use crate::comparison::Comparison;
use crate::comparison::json::Sides;
use crate::comparison::markdown::{self, Heading};
use crate::forge::{self, Forge, ForgeError, Kept, PullRequest, keep_comment};

const EXAMPLES: &str = "\
Examples:
  weir comment                                    in a CI job of GitHub, GitLab, Gitea or Forgejo: all is in its environment
  weir comment prod                               only what one stage gets
  weir comment --context prod-eu                  against the cluster; from a fork without it, and without keys
  weir comment --pull-request 12 --forge gitea    by hand; the server is that of the remote `origin`

The repository must hold both branches with their history: actions/checkout needs `fetch-depth: 0`. Nothing of the
pull request is run, so a job that holds a token may do this for pull requests from forks.
Exit codes: 0 the comment says what the plan is, 1 error, also when an environment no longer builds.";

/// Write what a pull request does to each environment as a comment on it.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An environment or a stage, a folder, or a Kustomization; default all.
    #[arg(value_name = "ENVIRONMENT|PATH|KUSTOMIZATION")]
    target: Option<String>,
    /// The number of the pull request; default that of the CI job.
    #[arg(long, value_name = "NUMBER")]
    pull_request: Option<u64>,
    /// The revision before; default where the branch of the pull request left the one that it is to be merged into.
    #[arg(long, value_name = "REVISION")]
    from: Option<String>,
    /// The revision after; default the last commit of the pull request.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Which comment it is, where several jobs comment on one pull request.
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    #[command(flatten)]
    fleet: Fleet,
    #[command(flatten)]
    live: LiveFlags,
    #[command(flatten)]
    forge: ForgeFlags,
}

/// What readers are told above the plan of a pull request from a fork.
const FROM_FORK: &str = "From a fork: told without keys and without a cluster.";

/// Compares, and writes the comment.
pub(super) async fn run(args: Args) -> Outcome {
    let job = job();
    let folder = args.fleet.repository();
    let forge = args.forge.forge(&job, folder)?;
    let number = args.pull_request.or(job.number).ok_or_else(|| {
        Failure::with_hint(
            "which pull request is meant is not said by the environment",
            "`--pull-request NUMBER` does",
        )
    })?;
    let request = forge::pull_request(&forge, number).await;
    let request = request.map_err(refused)?;
    let to = args.to.clone().unwrap_or_else(|| request.commit.clone());
    let from = match &args.from {
        Some(from) => from.clone(),
        None => before(folder, &request, &to),
    };
    let files = Files {
        fleet: &args.fleet,
        target: args.target.as_deref(),
        from: Some(&from),
        to: Some(&to),
    };
    // Whoever opens a pull request from a fork must learn nothing of a cluster, nor have a key at work on their files.
    let is_live = args.live.is_asked() && !request.is_from_fork;
    let comparison = match is_live {
        true => against_cluster(&args.live, &files).await,
        false => compared(files.fleet, files.target, &from, files.to),
    };
    let comparison = comparison.map_err(|failure| absent(failure, &request))?;
    let sides = Sides {
        from: match is_live {
            true => args.live.name(),
            false => request.target.clone(),
        },
        to: request.source.clone(),
        is_live,
    };
    let heading = Heading {
        name: args.name.clone(),
        note: match request.is_from_fork {
            true => FROM_FORK.to_owned(),
            false => String::new(),
        },
    };
    let text = markdown::render(&comparison, &sides, &heading);
    write(&forge, &request, &heading, &text).await?;
    // Changes are what a pull request is for; what cannot be is an error here too.
    exit(&comparison).map(|_| Exit::Success)
}

async fn against_cluster(live: &LiveFlags, files: &Files<'_>) -> Result<Comparison, Failure> {
    let site = Site::open(live, files).await?;
    let scope = site.scope(files.target, &live.connection.namespace)?;
    let plan = site.plan(&scope).await?;
    Ok(site.compared(&plan))
}

async fn write(
    forge: &Forge,
    request: &PullRequest,
    heading: &Heading,
    text: &str,
) -> Result<(), Failure> {
    let kept = keep_comment(forge, request.number, &heading.marker(), text).await;
    let word = match kept.map_err(refused)? {
        Kept::Created => "written",
        Kept::Updated => "brought up to date",
        Kept::Unchanged => "says so already",
    };
    println!("comment {word}: {}", request.page);
    Ok(())
}

/// Where the branch of a pull request left the other: what that has got since is not the doing of this one. Without
/// so much history it is compared with the other as it is.
fn before(folder: &Path, request: &PullRequest, to: &str) -> String {
    let git = Git::at(folder);
    let remote = format!("refs/remotes/origin/{}", request.target);
    let local = format!("refs/heads/{}", request.target);
    let known = |name: &&String| git.run(&["rev-parse", "--verify", "--quiet", name]).is_ok();
    let target = [&remote, &local].into_iter().find(known).unwrap_or(&remote);
    git.run(&["merge-base", "--end-of-options", target, to])
        .unwrap_or_else(|_| target.clone())
}

fn refused(error: ForgeError) -> Failure {
    let hint = match &error {
        ForgeError::Refused {
            status: 401 | 403 | 404,
            ..
        } => Some("the token needs the right to read pull requests and to write comments on them"),
        _ => None,
    };
    match hint {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    }
}

/// What is told where the clone does not hold a commit.
fn absent(failure: Failure, request: &PullRequest) -> Failure {
    match failure {
        Failure::Message {
            message,
            hint: None,
        } => Failure::with_hint(
            message,
            format!(
                "`git fetch origin {} {}` brings both sides; a shallow clone holds one",
                request.target, request.commit
            ),
        ),
        other => other,
    }
}
