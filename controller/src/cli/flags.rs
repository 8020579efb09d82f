//! The flags of `weir run`, under Flux's names; also those that Flux's manifests set and that change nothing here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, ValueEnum};

use super::Failure;
use super::connection::Connection;
use super::features::{self, Features};
use crate::api::duration;
use crate::cluster::order::GroupKind;
use crate::web::lease::Terms;

/// A half of Weir, which does what one of Flux's controllers does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Half {
    /// GitRepositories, OCIRepositories and Buckets, as source-controller does.
    Sources,
    /// Kustomizations, as kustomize-controller does.
    Kustomizations,
}

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Encoding {
    /// One JSON object a line, with Flux's keys.
    Json,
    /// Text for people.
    Console,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterFlags {
    /// The kubeconfig file; default `$KUBECONFIG`, then `~/.kube/config`, then the pod's own account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig context.
    #[arg(long)]
    context: Option<String>,
}

impl ClusterFlags {
    /// The connection that they describe.
    pub(super) fn connection(&self) -> Connection {
        Connection {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: String::new(),
        }
    }
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Servers")]
pub(super) struct Servers {
    /// Where metrics are served.
    #[arg(long, default_value = ":8080")]
    pub(super) metrics_addr: String,
    /// Where /healthz and /readyz are served.
    #[arg(long, default_value = ":9440")]
    pub(super) health_addr: String,
    /// Where calls of Git servers and registries are answered, as Receivers say; `:9292` is Flux's. Nowhere unless given.
    #[arg(long, default_value = "0")]
    pub(super) receiver_addr: String,
    /// Where artifacts are served.
    #[arg(long, default_value = ":9090")]
    pub(super) storage_addr: String,
    /// Host and port under which others reach the artifacts; default: the service of source-controller.
    #[arg(long, value_name = "HOST")]
    pub(super) storage_adv_addr: Option<String>,
    /// Where events are posted besides: the address of notification-controller.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(super) events_addr: Option<String>,
    /// How long an artifact that was replaced stays, for those who are about to fetch it.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = go_duration)]
    pub(super) artifact_retention_ttl: Duration,
    /// How many artifacts of a source are kept.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub(super) artifact_retention_records: usize,
    /// The folder of artifacts and Git caches.
    #[arg(long, value_name = "DIR", default_value = "/data")]
    pub(super) storage_path: PathBuf,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Scope")]
pub(super) struct ScopeFlags {
    /// The halves of Weir that work in this process; the other stays with Flux's controller. Without `sources`,
    /// Kustomizations are built from the artifacts that source-controller stores.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Half::Sources, Half::Kustomizations])]
    pub(super) reconcilers: Vec<Half>,
    /// Look at all namespaces; otherwise at that of `RUNTIME_NAMESPACE` only.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) watch_all_namespaces: bool,
    /// Look only at resources with these labels.
    #[arg(long, value_name = "SELECTOR")]
    pub(super) watch_label_selector: Option<String>,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Pace")]
pub(super) struct PaceFlags {
    /// First delay after a failure.
    #[arg(long, default_value = "750ms", value_parser = go_duration)]
    pub(super) min_retry_delay: Duration,
    /// Longest delay after failures in a row.
    #[arg(long, default_value = "15m", value_parser = go_duration)]
    pub(super) max_retry_delay: Duration,
    /// How soon dependencies that are not ready are looked at again when no event comes.
    #[arg(long, default_value = "30s", value_parser = go_duration)]
    pub(super) requeue_dependency: Duration,
    /// The shortest time between two status writes of one Kustomization for revisions that change nothing.
    #[arg(long, default_value = "1m", value_parser = go_duration)]
    pub(super) unchanged_status_interval: Duration,
    /// Jitter of intervals, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100))]
    pub(super) interval_jitter_percentage: u8,
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Policy")]
pub(super) struct Policy {
    /// More field managers whose fields are taken over, besides kubectl's.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) override_manager: Vec<String>,
    /// Allow kubeconfigs in Secrets that skip the check of certificates or do without https.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) insecure_kubeconfig_tls: bool,
    /// Flux's feature gates, as `Name=true,Other=false`.
    #[arg(long, value_name = "GATES", value_delimiter = ',')]
    pub(super) feature_gates: Vec<String>,
    /// Refuse references to sources of other namespaces.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) no_cross_namespace_refs: bool,
    /// The account of Kustomizations that name none.
    #[arg(long, value_name = "NAME")]
    pub(super) default_service_account: Option<String>,
    /// The account whose tokens open other clusters, where the ConfigMap of a kubeConfig names none.
    #[arg(long, value_name = "NAME")]
    pub(super) default_kubeconfig_service_account: Option<String>,
    /// Kinds with an apply stage of their own, as `group/Kind`.
    #[arg(long, value_name = "GROUP/KIND", value_delimiter = ',', value_parser = group_kind)]
    pub(super) custom_apply_stage_kinds: Vec<GroupKind>,
}

impl Policy {
    /// What the feature gates say.
    pub(super) fn features(&self) -> Result<Features, Failure> {
        features::read(&self.feature_gates)
            .map_err(|problem| Failure::new(format!("--feature-gates: {problem}")))
    }
}

impl ScopeFlags {
    /// The halves that work here.
    pub(super) fn halves(&self) -> &[Half] {
        &self.reconcilers
    }
}

#[derive(ClapArgs)]
#[command(next_help_heading = "Leadership")]
pub(super) struct Leadership {
    /// Hold Flux's leases while working, so that only one process does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(super) enable_leader_election: bool,
    /// Others take over after this time without a renewal.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = go_duration)]
    pub(super) leader_election_lease_duration: Duration,
    /// The holder gives up when it could not renew for so long.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = go_duration)]
    pub(super) leader_election_renew_deadline: Duration,
    /// Time between two tries.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = go_duration)]
    pub(super) leader_election_retry_period: Duration,
    /// A lease is always given back on a clean stop.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = ArgAction::Set, hide = true)]
    pub(super) leader_election_release_on_cancel: bool,
}

impl Leadership {
    /// The terms of the leases.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            duration: self.leader_election_lease_duration,
            deadline: self.leader_election_renew_deadline,
            period: self.leader_election_retry_period,
        }
    }

    /// A holder that gives up later than others may take over would write beside them.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let terms = self.terms();
        if terms.period < terms.deadline && terms.deadline < terms.duration {
            return Ok(());
        }
        let message = "--leader-election-retry-period, -renew-deadline and -lease-duration must grow in this order";
        Err(Failure::new(message))
    }
}

/// Flags that Flux's manifests set: those without effect here, and those that are refused.
#[derive(ClapArgs)]
#[command(next_help_heading = "Flux's flags without effect")]
pub(super) struct Accepted {
    /// Runs are not bound to workers: each waits for nobody.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    concurrent: Option<u32>,
    /// What is in flight follows the API server's answers.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    concurrent_ssa: Option<u32>,
    /// What is in flight follows the API server's answers.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    kube_api_qps: Option<f32>,
    /// What is in flight follows the API server's answers.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    kube_api_burst: Option<u32>,
    /// An artifact that could not be fetched is fetched again as everything is tried again.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    http_retry: Option<u32>,
    /// All ConfigMaps and Secrets in use are watched, labelled or not.
    #[arg(long, value_name = "SELECTOR", hide_short_help = true)]
    watch_configs_label_selector: Option<String>,
    /// Tokens are kept for as long as they hold.
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    token_cache_max_size: Option<u32>,
    /// Tokens are kept for as long as they hold.
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    token_cache_max_duration: Option<String>,
    /// Remote bases are never fetched.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide_short_help = true)]
    no_remote_bases: Option<bool>,
    /// `sha256` is the only one.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    artifact_digest_algo: Option<String>,
    /// No program is run for a kubeconfig: refused.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide_short_help = true)]
    insecure_kubeconfig_exec: Option<bool>,
    /// The key exchanges cannot be chosen: refused.
    #[arg(long, value_name = "NAMES", hide_short_help = true)]
    ssh_kex_algos: Option<String>,
    /// They follow from the known_hosts of each source: refused.
    #[arg(long, value_name = "NAMES", hide_short_help = true)]
    ssh_hostkey_algos: Option<String>,
}

impl Accepted {
    /// Refuses what would be relied upon in vain.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let other_digest = |name: &String| !name.is_empty() && name != "sha256";
        let refused = [
            (
                self.insecure_kubeconfig_exec == Some(true),
                "--insecure-kubeconfig-exec: Weir runs no program",
            ),
            (
                is_set(&self.ssh_kex_algos),
                "--ssh-kex-algos: the key exchanges cannot be chosen",
            ),
            (
                is_set(&self.ssh_hostkey_algos),
                "--ssh-hostkey-algos: they follow from the known_hosts of each source",
            ),
            (
                self.no_remote_bases == Some(false),
                "--no-remote-bases=false: remote bases are never fetched",
            ),
            (
                self.artifact_digest_algo.as_ref().is_some_and(other_digest),
                "--artifact-digest-algo: sha256 is the only one",
            ),
        ];
        match refused.iter().find(|(is_set, _)| *is_set) {
            Some((_, message)) => Err(Failure::new(*message)),
            None => Ok(()),
        }
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let known = ["http://", "https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let problem = "write it as http://HOST[:PORT][/PATH]";
    known
        .then(|| text.to_owned())
        .ok_or_else(|| problem.to_owned())
}

pub(super) fn go_duration(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        scope: ScopeFlags,
        #[command(flatten)]
        leadership: Leadership,
        #[command(flatten)]
        accepted: Accepted,
        #[command(flatten)]
        servers: Servers,
    }

    fn check(flags: &str) -> Result<(), String> {
        let words = ["weir"].into_iter().chain(flags.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        assert!(!flags.scope.halves().is_empty());
        let checks = [flags.leadership.check(), flags.accepted.check()];
        let checks: Result<(), Failure> = checks.into_iter().collect();
        checks.map_err(|failure| failure.to_string())
    }

    #[test]
    fn flags_of_flux_s_manifests_are_accepted_or_refused_by_name() {
        let manifest = "--events-addr=http://notification-controller.flux-system.svc.cluster.local./ \
            --watch-all-namespaces=true --enable-leader-election --concurrent=20 --concurrent-ssa=8 \
            --kube-api-qps=500 --kube-api-burst=1000 --http-retry=9 --no-remote-bases=true \
            --watch-configs-label-selector=owner!=helm --token-cache-max-size=100 \
            --insecure-kubeconfig-exec=false --reconcilers=sources,kustomizations";
        assert_eq!(check(manifest), Ok(()));
        for (flags, part) in [
            ("--insecure-kubeconfig-exec", "runs no program"),
            ("--no-remote-bases=false", "never fetched"),
            ("--ssh-kex-algos=x", "key exchanges"),
            ("--artifact-digest-algo=blake3", "sha256"),
            ("--events-addr=notification-controller", "http://HOST"),
            ("--reconcilers=charts", "charts"),
            ("--leader-election-renew-deadline=20s", "must grow"),
            ("--no-such-flag", "no-such-flag"),
        ] {
            let refusal = check(flags).expect_err(flags);
            assert!(refusal.contains(part), "{flags}: {refusal}");
        }
    }
}
