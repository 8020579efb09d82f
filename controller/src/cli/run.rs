//! `weir run`: the controller.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, ValueEnum};
use kube::runtime::reflector;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::connection::Connection;
use super::sops_flags::SopsFlags;
use super::{Exit, Failure, Outcome, own_namespace};
use crate::api::duration;
use crate::cluster::order::GroupKind;
use crate::cluster::watch::{Report, Watches};
use crate::cluster::{Cluster, Identity, Limits};
use crate::reconcile::context::{Context, Settings, Snapshots};
use crate::reconcile::dependencies::Readiness;
use crate::reconcile::desired::Desired;
use crate::reconcile::input_watches::InputWatches;
use crate::reconcile::keys::Decrypting;
use crate::reconcile::observe::{self, Listed, Scope};
use crate::reconcile::schedule::{self, Pace, Schedule, Turns};
use crate::report::metrics::Metrics;
use crate::report::{events, logs};
use crate::source::{Repositories, Storage};
use crate::web;
use crate::web::lease::{self, Candidate, Terms};

/// How long a run in hand may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(25);

/// Folder of the Git caches in the storage; artifacts are at `gitrepository/`.
const GIT_CACHES: &str = "cache";

/// How long events that wait may still be written.
const GRACE_FOR_EVENTS: Duration = Duration::from_secs(3);

/// Reconciles GitRepositories and Kustomizations until it is told to stop.
#[derive(ClapArgs)]
#[command(
    after_help = "The flags have Flux's names. SIGTERM finishes the writes in hand and stops."
)]
pub(super) struct Args {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    scope: ScopeFlags,
    #[command(flatten)]
    pace: PaceFlags,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    sops: SopsFlags,
    /// Hold Flux's leases while working, so that only one process does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    enable_leader_election: bool,
    /// How much is logged: trace, debug, info, error.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// How it is logged.
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    log_encoding: Encoding,
}

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    /// One JSON object a line, with Flux's keys.
    Json,
    /// Text for people.
    Console,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Cluster")]
struct ClusterFlags {
    /// The kubeconfig file; default `$KUBECONFIG`, then `~/.kube/config`, then the pod's own account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig context.
    #[arg(long)]
    context: Option<String>,
}

impl ClusterFlags {
    fn connection(&self) -> Connection {
        Connection {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: String::new(),
        }
    }
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Servers")]
struct Servers {
    /// Where metrics are served.
    #[arg(long, default_value = ":8080")]
    metrics_addr: String,
    /// Where /healthz and /readyz are served.
    #[arg(long, default_value = ":9440")]
    health_addr: String,
    /// Where artifacts are served.
    #[arg(long, default_value = ":9090")]
    storage_addr: String,
    /// Host and port under which others reach the artifacts; default: the service of source-controller.
    #[arg(long, value_name = "HOST")]
    storage_adv_addr: Option<String>,
    /// The folder of artifacts and Git caches.
    #[arg(long, value_name = "DIR", default_value = "/data")]
    storage_path: PathBuf,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Scope")]
struct ScopeFlags {
    /// Look at all namespaces; otherwise at that of `RUNTIME_NAMESPACE` only.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    watch_all_namespaces: bool,
    /// Look only at resources with these labels.
    #[arg(long, value_name = "SELECTOR")]
    watch_label_selector: Option<String>,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Pace")]
struct PaceFlags {
    /// First delay after a failure.
    #[arg(long, default_value = "750ms", value_parser = go_duration)]
    min_retry_delay: Duration,
    /// Longest delay after failures in a row.
    #[arg(long, default_value = "15m", value_parser = go_duration)]
    max_retry_delay: Duration,
    /// How soon dependencies that are not ready are looked at again when no event comes.
    #[arg(long, default_value = "30s", value_parser = go_duration)]
    requeue_dependency: Duration,
    /// The shortest time between two status writes of one Kustomization for revisions that change nothing.
    #[arg(long, default_value = "1m", value_parser = go_duration)]
    unchanged_status_interval: Duration,
    /// Jitter of intervals, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100))]
    interval_jitter_percentage: u8,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Policy")]
struct Policy {
    /// Refuse references to sources of other namespaces.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    no_cross_namespace_refs: bool,
    /// The account of Kustomizations that name none.
    #[arg(long, value_name = "NAME")]
    default_service_account: Option<String>,
    /// Kinds with an apply stage of their own, as `group/Kind`.
    #[arg(long, value_name = "GROUP/KIND", value_delimiter = ',', value_parser = group_kind)]
    custom_apply_stage_kinds: Vec<GroupKind>,
}

fn go_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write it as 750ms, 30s, 1h30m".to_owned())
}

fn group_kind(text: &str) -> Result<GroupKind, String> {
    let (group, kind) = text.split_once('/').unwrap_or(("", text));
    if kind.is_empty() {
        return Err("write it as group/Kind".to_owned());
    }
    Ok(GroupKind {
        group: group.to_owned(),
        kind: kind.to_owned(),
    })
}

/// Runs until SIGTERM or SIGINT, or until the lease is lost.
pub(super) async fn run(args: Args) -> Outcome {
    start_logging(&args)?;
    let config = args.cluster.connection().config().await?;
    let cluster = Cluster::new(config, Limits::default()).map_err(cannot("talk to the cluster"))?;
    let own = cluster
        .client(&Identity::OwnAccount)
        .map_err(cannot("talk to the cluster"))?;
    let client = own.kube();
    let namespace = own_namespace();
    let decrypting = args.sops.decrypting(&namespace)?;
    let identity = identity();
    let (stop, stopping) = watch::channel(false);
    let (ready, is_ready) = watch::channel(false);
    let metrics = Arc::new(Metrics::default());
    serve(
        &args.servers.health_addr,
        web::health::router(is_ready),
        &stopping,
    )
    .await?;
    serve(
        &args.servers.metrics_addr,
        web::metrics::router(metrics.clone()),
        &stopping,
    )
    .await?;

    let storage = storage(&args.servers, &namespace)?;
    let artifacts = crate::source::storage::router(storage.clone());
    serve(&args.servers.storage_addr, artifacts, &stopping).await?;

    let candidates = candidates(&args, &client, &namespace, &identity);
    let mut signal = Signals::new()?;
    let (lost, mut is_lost) = watch::channel(false);
    let mut holds = Vec::new();
    let mut acquired = Vec::new();
    for candidate in candidates {
        let (acquire, is_acquired) = oneshot::channel();
        acquired.push(is_acquired);
        holds.push(tokio::spawn(hold(
            candidate,
            acquire,
            stopping.clone(),
            lost.clone(),
        )));
    }
    tokio::select! {
        _ = futures::future::join_all(acquired) => {}
        () = signal.received() => {
            stop.send_replace(true);
            futures::future::join_all(holds).await;
            return Ok(Exit::Success);
        }
    }
    let (watches, reports) = Watches::new(own);
    let parts = Parts {
        cluster,
        client,
        watches,
        reports,
        metrics,
        storage,
        identity,
        stopping: stopping.clone(),
        decrypting,
    };
    let (context, event_writer) = start(&args, parts, &namespace);
    ready.send_replace(true);
    tracing::info!("started");

    tokio::select! {
        () = signal.received() => {}
        _ = is_lost.wait_for(|lost| *lost) => {}
    }
    tracing::info!("stopping");
    // A run that hangs must not keep the process: whatever it has sent is safe to be cut off from.
    let _ = tokio::time::timeout(GRACE, context.schedule.stop()).await;
    stop.send_replace(true);
    let is_lost = *is_lost.borrow();
    let _ = tokio::time::timeout(GRACE_FOR_EVENTS, event_writer).await;
    for hold in holds {
        let _ = hold.await;
    }
    match is_lost {
        true => Err(Failure::new("the leader's lease is lost")),
        false => Ok(Exit::Success),
    }
}

/// What a context is made of.
struct Parts {
    cluster: Cluster,
    client: kube::Client,
    watches: Watches,
    reports: tokio::sync::mpsc::Receiver<Report>,
    metrics: Arc<Metrics>,
    storage: Storage,
    identity: String,
    stopping: watch::Receiver<bool>,
    decrypting: Decrypting,
}

/// Makes the context and starts all that runs in it.
fn start(args: &Args, parts: Parts, namespace: &str) -> (Arc<Context>, JoinHandle<()>) {
    let (git_repositories, git_repository_writer) = reflector::store();
    let (kustomizations, kustomization_writer) = reflector::store();
    let (events, event_writer) = events::channel(parts.client.clone(), parts.identity);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let context = Arc::new(Context {
        client: parts.client,
        cluster: parts.cluster,
        watches: parts.watches,
        input_watches: InputWatches::default(),
        settings: settings(args),
        decrypting: parts.decrypting,
        schedule: Arc::new(Schedule::new(pace(&args.pace))),
        git_repositories,
        kustomizations,
        listed: Listed::default(),
        snapshots: Snapshots::default(),
        repositories: Arc::new(Repositories::new(parts.storage.root.join(GIT_CACHES))),
        storage: parts.storage,
        unwatchable: Default::default(),
        desired: Desired::default(),
        readiness: Readiness::default(),
        events,
        metrics: parts.metrics,
        turns: Turns::default(),
        processors: Semaphore::new(processors),
    });
    let scope = Scope {
        namespace: (!args.scope.watch_all_namespaces).then(|| namespace.to_owned()),
        labels: args.scope.watch_label_selector.clone(),
    };
    let event_writer = tokio::spawn(event_writer.run(parts.stopping));
    tokio::spawn(observe::managed_objects(context.clone(), parts.reports));
    tokio::spawn(observe::git_repositories(
        context.clone(),
        scope.clone(),
        git_repository_writer,
    ));
    tokio::spawn(observe::kustomizations(
        context.clone(),
        scope,
        kustomization_writer,
    ));
    (context, event_writer)
}

/// The storage, with its folder in place.
fn storage(servers: &Servers, namespace: &str) -> Result<Storage, Failure> {
    let folder = &servers.storage_path;
    std::fs::create_dir_all(folder).map_err(|error| {
        let mut failure = Failure::io("creating", folder, &error);
        if let Failure::Message { hint, .. } = &mut failure {
            *hint = Some("name a folder that can be written to with --storage-path".to_owned());
        }
        failure
    })?;
    let own_service = || format!("source-controller.{namespace}.svc.cluster.local.");
    let address = servers.storage_adv_addr.clone().unwrap_or_else(own_service);
    Ok(Storage::new(folder.clone(), address))
}

fn settings(args: &Args) -> Settings {
    Settings {
        requeue_dependency: args.pace.requeue_dependency,
        unchanged_status_interval: args.pace.unchanged_status_interval,
        no_cross_namespace_references: args.policy.no_cross_namespace_refs,
        default_service_account: args
            .policy
            .default_service_account
            .clone()
            .filter(|name| !name.is_empty()),
        custom_stages: args.policy.custom_apply_stage_kinds.clone(),
        shares: !args.scope.watch_all_namespaces || args.scope.watch_label_selector.is_some(),
    }
}

fn pace(flags: &PaceFlags) -> Pace {
    Pace {
        retry_minimum: flags.min_retry_delay,
        retry_maximum: flags.max_retry_delay,
        jitter_percentage: flags.interval_jitter_percentage,
    }
}

fn start_logging(args: &Args) -> Result<(), Failure> {
    let level = args.log_level.parse().map_err(|_| {
        let message = format!("{:?} is not a log level", args.log_level);
        Failure::with_hint(message, "use trace, debug, info or error")
    })?;
    let filter = Targets::new().with_target("weir", tracing::Level::TRACE);
    let level = LevelFilter::from_level(level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match args.log_encoding {
        Encoding::Json => lines.event_format(logs::FluxJson).boxed(),
        Encoding::Console => lines.boxed(),
    };
    let subscriber =
        tracing_subscriber::registry().with(lines.with_filter(level).with_filter(filter));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::new(format!("starting the log: {error}")))
}

async fn serve(
    address: &str,
    router: axum::Router,
    stopping: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    // Flux's way to switch a server off.
    if address == "0" {
        return Ok(());
    }
    let local = web::address(address).map_err(cannot("serve"))?;
    let local = web::serve(local, router, stopping.clone())
        .await
        .map_err(cannot("serve"))?;
    tracing::info!(address = %local, "serving");
    Ok(())
}

fn candidates(
    args: &Args,
    client: &kube::Client,
    namespace: &str,
    identity: &str,
) -> Vec<Candidate> {
    let candidate = |name| Candidate {
        client: client.clone(),
        namespace: namespace.to_owned(),
        name,
        identity: identity.to_owned(),
        terms: Terms::default(),
    };
    match args.enable_leader_election {
        true => [lease::SOURCES, lease::KUSTOMIZATIONS]
            .map(candidate)
            .into(),
        false => Vec::new(),
    }
}

/// Waits for the lease, says that it is held, and holds it. Each lease by itself: one that is held must be
/// renewed while another is waited for.
async fn hold(
    candidate: Candidate,
    acquired: oneshot::Sender<()>,
    mut stopping: watch::Receiver<bool>,
    lost: watch::Sender<bool>,
) {
    tokio::select! {
        () = candidate.acquire() => {}
        _ = stopping.changed() => return,
    }
    // Nobody listens when the process stops.
    let _ = acquired.send(());
    candidate.hold(stopping).await;
    lost.send_replace(true);
}

/// A name unlike that of any other process.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "weir".to_owned());
    format!("{host}_{:016x}", schedule::chance())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(cannot("listen to signals"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn cannot<E: std::error::Error>(act: &'static str) -> impl Fn(E) -> Failure {
    move |error| {
        let mut message = format!("cannot {act}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Failure::new(message)
    }
}
