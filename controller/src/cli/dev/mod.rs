//! `weir dev PATH`: what is saved is planned at once, and applied to the developer's own cluster if that is wanted.
//!
//! ```text
//! save ──▶ targets whose reads it touches ──build──▶ plan against the live cluster ──▶ shown
//!                                                      └─ with --apply: borrow once, apply, follow health and warnings
//! end ──▶ give back; what a controller looks after, it puts back to what Git says
//! ```

mod contexts;
mod following;
mod lending;
mod session;
mod target;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use overlay::{Shared, Tree};
use tokio::sync::mpsc;

use super::connection::Connection;
use super::fleet::Fleet;
use super::run::Signals;
use super::sops_flags::SopsFlags;
use super::{Exit, Failure, Outcome, own_namespace};
use crate::api::duration;
use crate::cluster::{self, Cluster, Identity, Watches};
use crate::reconcile::run::Times;
use crate::source::saved::{self, Saved};
use crate::source::subtree::Subtree;
use crate::source::{revision, work_tree};
use following::Following;
use lending::Lending;
use session::{Planned, Session};
use target::Target;
use view::View;

/// The namespace in the owner labels of a folder that no Kustomization builds.
const OWNERLESS: &str = "weir-dev";

/// Targets that are planned together.
const TOGETHER: usize = 8;

const EXAMPLES: &str = "\
Examples:
  weir dev envs/dev                       show at every save what it would change in the cluster
  weir dev envs/dev --apply               and change it, and follow until all is ready
  weir dev . --context lab --apply        all Kustomizations of this repository, in a cluster that is named
  weir dev envs/dev --apply --restore     and put back what HEAD says when leaving

Files need no commit. Without --context the current context must be of a cluster on one's own machine (kind-*, k3d-*,
minikube, docker-desktop, …) or on the list in WEIR_DEV_CONTEXTS. Where a controller looks after the Kustomization it is
suspended meanwhile, with an annotation that says for whom and until when; Ctrl-C gives it back, and the controller then
puts back what Git says. If this process dies, Weir's controller takes it back when the time of --lease is over.";

/// Plan at every save, and apply it to a cluster of one's own.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of an environment, or one with several below it.
    path: PathBuf,
    /// Apply what is planned.
    #[arg(long)]
    apply: bool,
    /// When leaving, put back what HEAD says where no controller does.
    #[arg(long, requires = "apply")]
    restore: bool,
    /// How long a Kustomization stays suspended if this process dies.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = lease)]
    lease: Duration,
    /// The folder that holds what the Kustomization's source holds; default the enclosing Git work tree.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Variables that the repository does not hold: a YAML file of names and values; may be repeated.
    #[arg(long = "vars", value_name = "FILE")]
    variables: Vec<PathBuf>,
    #[command(flatten)]
    sops: SopsFlags,
    #[command(flatten)]
    connection: Connection,
}

fn lease(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text).filter(|length| *length >= Duration::from_secs(3));
    length.ok_or_else(|| "not a duration of 3s or more, for example 2m".to_owned())
}

/// Where the files are.
struct Site {
    root: PathBuf,
    folder: String,
}

/// Plans, shows and applies until a signal comes.
pub(super) async fn run(args: Args) -> Outcome {
    let context = contexts::allowed(&args.connection)?;
    let connection = Connection {
        context: Some(context.clone()),
        ..args.connection.clone()
    };
    let site = Site::find(&args)?;
    // From here on nothing that is saved is missed.
    let saves = saved::watch(&site.root).map_err(refused)?;
    let session = Session::open(&args, &connection).await?;
    let kube = session.client.kube();
    let tree = site.tree()?;
    let namespace = &args.connection.namespace;
    let targets = target::find(
        &kube,
        namespace,
        tree.as_ref(),
        &site.folder,
        &session.settings,
    )
    .await?;
    let titles: Vec<String> = targets.iter().map(Target::title).collect();
    let verb = if args.apply {
        "applied to"
    } else {
        "planned against"
    };
    let headline = format!(
        "{} — every save is {verb} {context}; Ctrl-C ends",
        shown(&titles)
    );
    let mut desk = Desk {
        view: View::new(headline.clone()),
        lending: Lending::new(kube, person(), args.lease),
        following: Following::new(),
        applies: args.apply,
        session,
        targets,
        site,
    };
    desk.view.say(&headline);
    desk.work(saves, args.restore).await
}

/// The first titles, and how many more.
fn shown(titles: &[String]) -> String {
    match titles {
        [one, two, three, rest @ ..] if !rest.is_empty() => {
            format!("{one}, {two}, {three} and {} more", rest.len())
        }
        titles => titles.join(", "),
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

/// `alice@laptop/4711`
fn person() -> String {
    let set = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| !value.is_empty())
    };
    let user = set("USER")
        .or_else(|| set("LOGNAME"))
        .unwrap_or_else(|| "someone".to_owned());
    let file = || std::fs::read_to_string("/etc/hostname").ok();
    let host = set("HOSTNAME")
        .or_else(file)
        .unwrap_or_else(|| "somewhere".to_owned());
    format!("{user}@{}/{}", host.trim(), std::process::id())
}

impl Site {
    /// The folder, in the root that was named, else in its Git work tree, else by itself.
    fn find(args: &Args) -> Result<Self, Failure> {
        let root = match &args.source {
            Some(root) => root.clone(),
            None => {
                let root = work_tree::root_of(&args.path).map_err(refused)?;
                root.unwrap_or_else(|| args.path.clone())
            }
        };
        let (_, folder) = work_tree::open(&args.path, Some(&root)).map_err(refused)?;
        let root = root
            .canonicalize()
            .map_err(|error| Failure::io("opening", &root, &error))?;
        Ok(Self { root, folder })
    }

    /// The files as they are now: nothing is remembered of those that were read before.
    fn tree(&self) -> Result<Arc<dyn Tree>, Failure> {
        let opened = work_tree::open(&self.root, Some(&self.root)).map_err(refused)?;
        Ok(Arc::new(opened.0))
    }

    /// The files as they were committed.
    fn committed(&self) -> Result<Arc<dyn Tree>, Failure> {
        let (tree, path) = revision::open(&self.root, "HEAD", None).map_err(refused)?;
        Ok(match path.as_str() {
            "" => Arc::new(tree),
            path => Arc::new(Subtree::new(tree, path)),
        })
    }
}

impl Session {
    async fn open(args: &Args, connection: &Connection) -> Result<Self, Failure> {
        let config = connection.config().await?;
        let cluster = Cluster::new(config, cluster::Limits::default()).map_err(refused)?;
        let client = cluster.client(&Identity::Caller).map_err(refused)?;
        let (watches, mut reports) = Watches::new(client.clone());
        // What happens to objects shows in the next plan.
        tokio::spawn(async move { while reports.recv().await.is_some() {} });
        Ok(Self {
            client,
            watches,
            decrypting: args.sops.decrypting(&own_namespace(), true)?,
            settings: Fleet::new(None, None, args.variables.clone()).settings()?,
        })
    }
}

/// All that is on the developer's desk.
struct Desk {
    session: Session,
    site: Site,
    targets: Vec<Target>,
    view: View,
    lending: Lending,
    following: Following,
    applies: bool,
}

impl Desk {
    /// Until the end, however it comes: what is borrowed is given back.
    async fn work(&mut self, saves: mpsc::UnboundedReceiver<Saved>, restore: bool) -> Outcome {
        let ended = self.until_signal(saves).await;
        if restore {
            self.restore().await;
        }
        for back in self.lending.give_back().await {
            match back {
                Ok(title) => self.view.say(&format!("{title} goes on")),
                Err(failure) => self.view.fail(&failure.to_string()),
            }
        }
        ended.map(|()| Exit::Success)
    }

    async fn until_signal(
        &mut self,
        mut saves: mpsc::UnboundedReceiver<Saved>,
    ) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        if self.applies {
            let notes = self.lending.borrow(&self.targets).await?;
            notes.iter().for_each(|note| self.view.say(note));
        }
        let mut lost = self.lending.keep();
        self.saved(&Saved::from([String::new()])).await;
        loop {
            tokio::select! {
                () = signals.received() => return Ok(()),
                Some(lost) = lost.recv() => return Err(Failure::new(lost)),
                Some((title, news)) = self.following.next() => self.view.news(&title, news),
                saved = saves.recv() => match saved {
                    Some(saved) => self.saved(&saved).await,
                    None => return Err(Failure::new("the work tree is no longer watched")),
                },
            }
        }
    }

    /// Plans, and applies, what a save touches.
    async fn saved(&mut self, saved: &Saved) {
        let begin = Instant::now();
        if !self.targets.iter().any(|target| target.is_touched(saved)) {
            return;
        }
        let tree = match self.site.tree() {
            Ok(tree) => tree,
            Err(failure) => return self.view.fail(&failure.to_string()),
        };
        let is_touched = |target: &Target| target.is_touched(saved);
        let planned = plan(&self.session, &mut self.targets, &tree, is_touched).await;
        self.view.begin(&self.seen(saved));
        for (number, planned) in planned {
            let title = self.targets[number].title();
            match planned {
                Err(failure) => self.view.fail(&format!("{title}: {failure}")),
                Ok(planned) => {
                    self.view.planned(&title, &planned, begin.elapsed());
                    self.apply(number, &planned).await;
                }
            }
        }
    }

    /// What was saved, without what an editor put there for a moment.
    fn seen(&self, saved: &Saved) -> Saved {
        let is_there = |path: &&String| self.site.root.join(path).symlink_metadata().is_ok();
        let gone_for_good =
            |path: &&String| self.targets.iter().any(|target| target.has_read(path));
        let seen = saved
            .iter()
            .filter(|path| is_there(path) || gone_for_good(path));
        seen.cloned().collect()
    }

    async fn apply(&mut self, number: usize, planned: &Planned) {
        let plan = &planned.plan;
        if !self.applies || !plan.errors.is_empty() || !plan.has_changes() {
            return;
        }
        let target = &mut self.targets[number];
        let brought = match self.session.bring(target, plan, &self.lending).await {
            Ok(brought) => brought,
            Err(failure) => return self.view.fail(&failure.to_string()),
        };
        self.view.brought(&brought);
        let (title, timeout) = (target.title(), Times::of(&target.spec).timeout);
        match following::rules(&target.spec) {
            Err(failure) => self.view.fail(&failure.to_string()),
            Ok(rules) if brought.applied.errors.is_empty() => {
                let client = &self.session.client;
                self.following
                    .follow(client, &title, plan, (rules, timeout));
            }
            Ok(_) => {}
        }
    }

    /// Puts back what HEAD says, but for what a controller looks after.
    async fn restore(&mut self) {
        let tree = match self.site.committed() {
            Ok(tree) => tree,
            Err(failure) => return self.view.fail(&failure.to_string()),
        };
        self.view.say("what HEAD says is put back");
        let lending = &self.lending;
        let is_left = |target: &Target| !lending.has(target);
        for (number, planned) in plan(&self.session, &mut self.targets, &tree, is_left).await {
            let target = &mut self.targets[number];
            let brought = match planned {
                Ok(planned) => {
                    self.session
                        .bring(target, &planned.plan, &self.lending)
                        .await
                }
                Err(failure) => Err(failure),
            };
            match brought {
                Ok(brought) => self.view.brought(&brought),
                Err(failure) => self.view.fail(&failure.to_string()),
            }
        }
    }
}

/// The plans of some of the targets, by their number; all builds of a tree share their bases.
async fn plan(
    session: &Session,
    targets: &mut [Target],
    tree: &Arc<dyn Tree>,
    is_wanted: impl Fn(&Target) -> bool,
) -> Vec<(usize, Result<Planned, Failure>)> {
    let shared = Arc::new(Shared::default());
    let wanted = targets
        .iter_mut()
        .enumerate()
        .filter(|(_, target)| is_wanted(target));
    let plans = wanted.map(|(number, target)| {
        let (tree, shared) = (tree.clone(), shared.clone());
        async move { (number, session.plan(target, tree, shared).await) }
    });
    stream::iter(plans).buffered(TOGETHER).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_duration_that_can_be_renewed() {
        assert_eq!(lease("2m"), Ok(Duration::from_secs(120)));
        assert!(lease("1s").is_err() && lease("soon").is_err());
    }

    #[test]
    fn many_titles_are_counted() {
        let titles: Vec<String> = (1..=5).map(|number| format!("e{number}")).collect();
        assert_eq!(shown(&titles[..2]), "e1, e2");
        assert_eq!(shown(&titles), "e1, e2, e3 and 2 more");
    }
}
