//! `weir run`: the controller.

use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{reflector, watcher};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::features::Features;
use super::flags::{
    Accepted, ClusterFlags, Encoding, Half, Leadership, PaceFlags, Policy, ScopeFlags, Servers,
};
use super::gate_flags::GateFlags;
use super::promotion_flags::PromotionFlags;
use super::proxies::proxies;
use super::sops_flags::SopsFlags;
use super::{Exit, Failure, Outcome, own_namespace};
use crate::cluster::watch::Report;
use crate::cluster::{Cluster, Fence, Identity, Limits, when_nobody_else_asks};
use crate::reconcile::automatic::{self, waves::Waves};
use crate::reconcile::context::{Context, Settings};
use crate::reconcile::dependencies::Readiness;
use crate::reconcile::dependents::{self, Dependents};
use crate::reconcile::desired::Desired;
use crate::reconcile::foreign::{Foreign, Whose};
use crate::reconcile::input_watches::InputWatches;
use crate::reconcile::keys::Decrypting;
use crate::reconcile::observe::{self, Listed, Scope};
use crate::reconcile::receiver;
use crate::reconcile::schedule::{self, Kind, Pace, Schedule, Turns};
use crate::reconcile::sites::{Site, Sites};
use crate::reconcile::snapshots::Snapshots;
use crate::report::gauges::Gauges;
use crate::report::metrics::Metrics;
use crate::report::{events, logs};
use crate::source::{Repositories, Storage};
use crate::web;
use crate::web::lease::{self, Candidate};
use crate::web::receiver::Hooks;

/// How long a run in hand may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(25);

/// Folder of the Git caches in the storage; artifacts are at `gitrepository/`.
const GIT_CACHES: &str = "cache";

/// Flux's way to switch a server off.
const OFF: &str = "0";

/// Calls of Receivers that wait to be told.
const CALLS: usize = 1024;

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
    gate: GateFlags,
    #[command(flatten)]
    sops: SopsFlags,
    #[command(flatten)]
    leadership: Leadership,
    #[command(flatten)]
    promotion: PromotionFlags,
    #[command(flatten)]
    accepted: Accepted,
    /// How much is logged: trace, debug, info, error.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// How it is logged.
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    log_encoding: Encoding,
}

/// Runs until SIGTERM or SIGINT, or until the lease is lost.
pub(super) async fn run(args: Args) -> Outcome {
    start_logging(&args)?;
    let features = args.policy.features()?;
    args.leadership.check()?;
    args.accepted.check()?;
    let config = args.cluster.connection().config().await?;
    let fence = Fence::default();
    let cluster = Cluster::new(config, Limits::default())
        .map_err(cannot("talk to the cluster"))?
        .overriding(&args.policy.override_manager)
        .fenced(fence.clone());
    let own = cluster
        .client(&Identity::OwnAccount)
        .map_err(cannot("talk to the cluster"))?;
    let client = own.kube();
    let namespace = own_namespace();
    let decrypting = args
        .sops
        .decrypting(&namespace, features.workload_identity)?;
    let identity = identity();
    let (stop, stopping) = watch::channel(false);
    let (ready, is_ready) = watch::channel(false);
    let metrics = Arc::new(Metrics::default());
    // Before anybody can see that it runs: whoever does may end it politely.
    let mut signal = Signals::new()?;
    serve(
        "health",
        &args.servers.health_addr,
        web::health::router(is_ready),
        &stopping,
    )
    .await?;
    serve(
        "metrics",
        &args.servers.metrics_addr,
        web::metrics::router(metrics.clone()),
        &stopping,
    )
    .await?;

    let storage = storage(&args.servers, &namespace)?;
    if args.scope.halves().contains(&Half::Sources) {
        let artifacts = crate::source::storage::router(storage.clone());
        serve(
            "artifacts",
            &args.servers.storage_addr,
            artifacts,
            &stopping,
        )
        .await?;
    }

    let hooks = Arc::new(Hooks::default());
    let (called, calls) = mpsc::channel(CALLS);
    serve(
        "receivers",
        &args.servers.receiver_addr,
        web::receiver::router(hooks.clone(), called),
        &stopping,
    )
    .await?;
    let calls = (args.servers.receiver_addr != OFF).then_some(calls);

    let candidates = candidates(&args, &client, &namespace, &identity, &fence);
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
    let (site, reports) = Site::new(cluster, None).map_err(cannot("talk to the cluster"))?;
    let parts = Parts {
        site,
        client,
        reports,
        metrics,
        storage,
        identity,
        features,
        stopping: stopping.clone(),
        decrypting,
        hooks,
        calls,
    };
    let (context, event_writer) = start(&args, parts, &namespace)?;
    tokio::spawn(tell_ready(context.clone(), ready));
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

/// Ready is who leads and has seen all resources once.
async fn tell_ready(context: Arc<Context>, ready: watch::Sender<bool>) {
    context.listed.both().await;
    if !context.settings.leaves_sources {
        let packages = [Kind::OciRepository, Kind::Bucket];
        context.listed.all(&packages).await;
    }
    ready.send_replace(true);
    // The receiver reads the last value for as long as there is a sender.
    ready.closed().await;
}

/// What a context is made of.
struct Parts {
    site: Arc<Site>,
    client: kube::Client,
    reports: tokio::sync::mpsc::Receiver<Report>,
    metrics: Arc<Metrics>,
    storage: Storage,
    identity: String,
    features: Features,
    stopping: watch::Receiver<bool>,
    decrypting: Decrypting,
    hooks: Arc<Hooks>,
    /// Where those are told who have called; none when nobody is answered.
    calls: Option<mpsc::Receiver<(String, String)>>,
}

/// Makes the context and starts all that runs in it.
fn start(
    args: &Args,
    parts: Parts,
    namespace: &str,
) -> Result<(Arc<Context>, JoinHandle<()>), Failure> {
    let (git_repositories, mut git_repository_writer) = reflector::store();
    let (oci_repositories, oci_repository_writer) = reflector::store();
    let (buckets, bucket_writer) = reflector::store();
    let (kustomizations, mut kustomization_writer) = reflector::store();
    let (receivers, receiver_writer) = reflector::store();
    let dropped = parts.metrics.dropped_events.clone();
    let (mut events, event_writer) =
        events::channel(parts.client.clone(), parts.identity.clone(), dropped);
    if let Some(address) = &args.servers.events_addr {
        let (posting, poster) = events
            .posting(address, &parts.identity)
            .map_err(cannot("post events"))?;
        events = posting;
        tokio::spawn(poster.run(parts.stopping.clone()));
    }
    let foreign = Foreign::new(
        (!args.scope.watch_all_namespaces).then(|| namespace.to_owned()),
        whose(&args.scope),
    )
    .map_err(cannot("download artifacts"))?;
    let promotion = args.promotion.settings(&parts.storage.root);
    let promoting = promotion
        .as_ref()
        .filter(|settings| settings.secret.is_some());
    let promoted = promoting.map(|settings| settings.source.clone());
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let context = Arc::new(Context {
        client: parts.client,
        sites: Sites::new(parts.site.clone(), args.policy.insecure_kubeconfig_tls),
        input_watches: InputWatches::default(),
        settings: settings(args, parts.features, namespace),
        decrypting: parts.decrypting,
        schedule: Arc::new(Schedule::new(pace(&args.pace))),
        git_repositories,
        oci_repositories,
        buckets,
        kustomizations,
        listed: Listed::default(),
        snapshots: Snapshots::default(),
        receivers,
        hooks: parts.hooks,
        foreign,
        repositories: Arc::new(
            Repositories::new(parts.storage.root.join(GIT_CACHES)).through(proxies()),
        ),
        storage: parts.storage,
        desired: Desired::default(),
        readiness: Readiness::default(),
        dependents: Dependents::default(),
        events,
        metrics: parts.metrics,
        turns: Turns::default(),
        waves: Waves::new(promoted),
        processors: Semaphore::new(processors),
    });
    let scope = Scope {
        namespace: (!args.scope.watch_all_namespaces).then(|| namespace.to_owned()),
        labels: args.scope.watch_label_selector.clone(),
    };
    let stopping = parts.stopping.clone();
    let event_writer = when_nobody_else_asks(event_writer.run(parts.stopping));
    let event_writer = tokio::spawn(event_writer);
    tokio::spawn(observe::managed_objects(
        context.schedule.clone(),
        Arc::downgrade(&parts.site),
        parts.reports,
    ));
    if args.scope.halves().contains(&Half::Sources) {
        let sources =
            observe::git_repositories(context.clone(), scope.clone(), git_repository_writer);
        tokio::spawn(sources);
        let (own, scope) = (context.clone(), scope.clone());
        tokio::spawn(observe::oci_repositories(
            own.clone(),
            scope.clone(),
            oci_repository_writer,
        ));
        tokio::spawn(observe::buckets(own, scope, bucket_writer));
    } else {
        context.listed.add(Kind::GitRepository);
        know_none(&mut git_repository_writer);
    }
    if args.scope.halves().contains(&Half::Kustomizations) {
        let kustomizations =
            observe::kustomizations(context.clone(), scope.clone(), kustomization_writer);
        tokio::spawn(kustomizations);
        if context.settings.shares {
            tokio::spawn(dependents::follow(context.clone()));
        }
    } else {
        context.listed.add(Kind::Kustomization);
        know_none(&mut kustomization_writer);
    }
    if let Some(calls) = parts.calls {
        tokio::spawn(observe::receivers(context.clone(), scope, receiver_writer));
        tokio::spawn(receiver::calls(context.clone(), calls));
    }
    if let Some(settings) = promotion {
        tokio::spawn(automatic::run(context.clone(), settings, stopping));
    }
    context.metrics.look_at(Gauges::of(&context));
    Ok((context, event_writer))
}

/// Which sources others look after. As with Flux, the label selector does not hide them from Kustomizations.
fn whose(scope: &ScopeFlags) -> Whose {
    match scope.halves().contains(&Half::Sources) {
        false => Whose::Others,
        true if scope.watch_label_selector.is_some() => Whose::Unselected,
        true => Whose::Own,
    }
}

/// Nobody looks at the objects of a half that is switched off, so all of them are known.
fn know_none<K>(writer: &mut Writer<K>)
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    writer.apply_watcher_event(&watcher::Event::Init);
    writer.apply_watcher_event(&watcher::Event::InitDone);
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
    Ok(Storage {
        retention: servers.artifact_retention_ttl,
        // The flag counts the newest, too.
        records: servers.artifact_retention_records.saturating_sub(1),
        ..Storage::new(folder.clone(), address)
    })
}

fn settings(args: &Args, features: Features, namespace: &str) -> Settings {
    Settings {
        requeue_dependency: args.pace.requeue_dependency,
        unchanged_status_interval: args.pace.unchanged_status_interval,
        no_cross_namespace_references: args.policy.no_cross_namespace_refs,
        default_service_account: args
            .policy
            .default_service_account
            .clone()
            .filter(|name| !name.is_empty()),
        default_kubeconfig_service_account: args
            .policy
            .default_kubeconfig_service_account
            .clone()
            .filter(|name| !name.is_empty()),
        gate: args.gate.thresholds(),
        custom_stages: args.policy.custom_apply_stage_kinds.clone(),
        leaves_sources: !args.scope.halves().contains(&Half::Sources),
        leaves_kustomizations: !args.scope.halves().contains(&Half::Kustomizations),
        shares: !args.scope.watch_all_namespaces || args.scope.watch_label_selector.is_some(),
        namespace: (!args.scope.watch_all_namespaces).then(|| namespace.to_owned()),
        additive_dependency_check: features.additive_dependency_check,
        fail_fast: features.fail_fast,
        strict_substitution: features.strict_substitution,
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
    what: &str,
    address: &str,
    router: axum::Router,
    stopping: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    if address == OFF {
        return Ok(());
    }
    let local = web::address(address).map_err(cannot("serve"))?;
    let local = web::serve(local, router, stopping.clone())
        .await
        .map_err(cannot("serve"))?;
    tracing::info!(what, address = %local, "serving");
    Ok(())
}

fn candidates(
    args: &Args,
    client: &kube::Client,
    namespace: &str,
    identity: &str,
    fence: &Fence,
) -> Vec<Candidate> {
    if !args.leadership.enable_leader_election {
        return Vec::new();
    }
    let candidate = |half: &Half| Candidate {
        client: client.clone(),
        namespace: namespace.to_owned(),
        name: lease::name(
            match half {
                Half::Sources => lease::SOURCES,
                Half::Kustomizations => lease::KUSTOMIZATIONS,
            },
            args.scope.watch_label_selector.as_deref(),
        ),
        identity: identity.to_owned(),
        terms: args.leadership.terms(),
        fence: fence.clone(),
    };
    args.scope.halves().iter().map(candidate).collect()
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
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(cannot("listen to signals"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn received(&mut self) {
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
