//! What is measured by looking when somebody asks: requests, watches, caches, resources.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use kube::ResourceExt;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{conditions, process};
use crate::api::meta::condition::READY;
use crate::reconcile::context::Context;
use crate::reconcile::schedule::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Looks at everything that a controller has.
pub struct Gauges(Weak<Context>);

impl Gauges {
    /// Looks at this one, for as long as it is there.
    pub fn of(context: &Arc<Context>) -> Self {
        Self(Arc::downgrade(context))
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(context) = self.0.upgrade() else {
            return Ok(());
        };
        requests(&context, &mut encoder)?;
        caches(&context, &mut encoder)?;
        resources(&context, &mut encoder)?;
        process::measure(&mut encoder)
    }
}

/// What was sent to one API server, by however many kubeconfigs lead there.
#[derive(Default)]
struct Sent {
    by_verb: BTreeMap<&'static str, u64>,
    refused: u64,
    unanswered: u64,
    waiting: u64,
    allowed: u64,
}

type Figure = (&'static str, &'static str, MetricType, fn(&Sent) -> u64);

const OF_A_SERVER: [Figure; 4] = [
    (
        "weir_requests_refused",
        "Requests that the API server answered with 429 or an error of its own",
        MetricType::Counter,
        |sent| sent.refused,
    ),
    (
        "weir_requests_unanswered",
        "Requests that were not answered",
        MetricType::Counter,
        |sent| sent.unanswered,
    ),
    (
        "weir_requests_waiting",
        "Requests that wait for a place now",
        MetricType::Gauge,
        |sent| sent.waiting,
    ),
    (
        "weir_requests_allowed",
        "Requests that may be in flight now, by the API server's own answers",
        MetricType::Gauge,
        |sent| sent.allowed,
    ),
];

fn requests(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let servers = sent(context);
    let help = "Requests sent to an API server by what they do";
    let mut metric = encoder.encode_descriptor("weir_requests", help, None, MetricType::Counter)?;
    for (server, sent) in &servers {
        for (verb, count) in &sent.by_verb {
            metric
                .encode_family(&[("cluster", server.as_str()), ("verb", *verb)])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
    }
    for (name, help, kind, figure) in OF_A_SERVER {
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for (server, sent) in &servers {
            let labels = [("cluster", server.as_str())];
            let mut metric = metric.encode_family(&labels)?;
            match kind {
                MetricType::Counter => {
                    metric.encode_counter::<NoLabelSet, _, u64>(&figure(sent), None)?;
                }
                _ => metric.encode_gauge(&figure(sent))?,
            }
        }
    }
    Ok(())
}

fn sent(context: &Context) -> BTreeMap<String, Sent> {
    let mut servers: BTreeMap<String, Sent> = BTreeMap::new();
    for site in context.sites.all() {
        let traffic = site.cluster.traffic();
        let sent = servers
            .entry(site.cluster.address().to_owned())
            .or_default();
        for (verb, count) in traffic.by_verb() {
            *sent.by_verb.entry(verb).or_default() += count;
        }
        sent.refused += traffic.refused();
        sent.unanswered += traffic.unanswered();
        sent.waiting += traffic.waiting();
        sent.allowed += long(site.cluster.allowed());
    }
    servers
}

/// What is open and what is kept, each as one number.
fn caches(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    watches(context, encoder)?;
    let sites = context.sites.all();
    let objects = sites.iter().map(|site| site.watches.live().len()).sum();
    let (repositories, bytes) = context.repositories.size();
    let opened = context.decrypting.cache.as_ref();
    let services = context.decrypting.services.as_ref();
    let figures = [
        (
            "weir_clusters",
            "Clusters that objects are applied to",
            long(sites.len()),
        ),
        (
            "weir_watched_objects",
            "Managed objects that the watches show",
            long(objects),
        ),
        (
            "weir_snapshots",
            "Revisions of sources that are kept at hand",
            long(context.snapshots.count()),
        ),
        (
            "weir_git_caches",
            "Git repositories that are kept on the disk",
            long(repositories),
        ),
        ("weir_git_cache_bytes", "What they take there", bytes),
        (
            "weir_inputs",
            "ConfigMaps and Secrets that are kept while they do not change",
            long(context.input_watches.kept()),
        ),
        (
            "weir_opened_files",
            "Encrypted files that are kept opened in memory",
            opened.map_or(0, |cache| long(cache.len())),
        ),
        (
            "weir_opened_bytes",
            "What they take there, roughly",
            opened.map_or(0, |cache| long(cache.weight())),
        ),
        (
            "weir_unwrapped_keys",
            "Answers and tokens of key services that are remembered",
            services.map_or(0, |services| long(services.remembered())),
        ),
    ];
    figures
        .into_iter()
        .try_for_each(|(name, help, value)| gauge(encoder, name, help, value))
}

fn watches(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let sites = context.sites.all();
    let objects = sites.iter().map(|site| site.watches.count()).sum();
    let help = "Open watches, by what they are of";
    let mut metric = encoder.encode_descriptor("weir_watches", help, None, MetricType::Gauge)?;
    for (of, count) in [
        ("objects", objects),
        ("inputs", context.input_watches.count()),
    ] {
        metric
            .encode_family(&[("of", of)])?
            .encode_gauge(&long(count))?;
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ResourceLabels {
    kind: &'static str,
    ready: &'static str,
    suspended: &'static str,
}

/// A resource that Weir reconciles, as its metrics show it.
struct Shown {
    kind: Kind,
    namespace: String,
    name: String,
    /// What its condition Ready says.
    ready: &'static str,
    suspended: bool,
}

impl Shown {
    fn of<K: ResourceExt>(
        kind: Kind,
        object: &K,
        conditions: Option<&Vec<Condition>>,
        suspended: bool,
    ) -> Self {
        let ready = conditions.and_then(|conditions| conditions::find(conditions, READY));
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            ready: match ready.map(|ready| ready.status.as_str()) {
                Some("True") => "True",
                Some("False") => "False",
                _ => "Unknown",
            },
            suspended,
        }
    }
}

fn shown(context: &Context) -> Vec<Shown> {
    let mut all = Vec::new();
    for object in context.git_repositories.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| &status.conditions);
        let suspended = object.spec.suspend;
        all.push(Shown::of(
            Kind::GitRepository,
            &*object,
            conditions,
            suspended,
        ));
    }
    for object in context.oci_repositories.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| &status.source.conditions);
        let suspended = object.spec.suspend;
        all.push(Shown::of(
            Kind::OciRepository,
            &*object,
            conditions,
            suspended,
        ));
    }
    for object in context.buckets.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| &status.source.conditions);
        all.push(Shown::of(
            Kind::Bucket,
            &*object,
            conditions,
            object.spec.suspend,
        ));
    }
    for object in context.kustomizations.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| &status.conditions);
        let suspended = object.spec.suspend == Some(true);
        all.push(Shown::of(
            Kind::Kustomization,
            &*object,
            conditions,
            suspended,
        ));
    }
    all
}

fn resources(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let all = shown(context);
    let mut counts: BTreeMap<ResourceLabels, u64> = BTreeMap::new();
    for one in &all {
        let labels = ResourceLabels {
            kind: one.kind.name(),
            ready: one.ready,
            suspended: if one.suspended { "true" } else { "false" },
        };
        *counts.entry(labels).or_default() += 1;
    }
    let help = "Resources that Weir reconciles, by their Ready condition";
    let mut metric = encoder.encode_descriptor("weir_resources", help, None, MetricType::Gauge)?;
    for (labels, count) in &counts {
        metric.encode_family(labels)?.encode_gauge(count)?;
    }
    suspended(&all, encoder)?;
    readiness(&all, encoder)
}

/// Under Flux's name, for the alerts that people have.
fn suspended(all: &[Shown], encoder: &mut DescriptorEncoder) -> fmt::Result {
    let help = "The current suspend status of a GitOps Toolkit resource";
    let name = "gotk_suspend_status";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for one in all {
        let labels = [
            ("kind", one.kind.name()),
            ("name", one.name.as_str()),
            ("namespace", one.namespace.as_str()),
        ];
        let value = u64::from(one.suspended);
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// Under the name that Flux's controllers register too, and have not set for years: 1 for what the condition says.
fn readiness(all: &[Shown], encoder: &mut DescriptorEncoder) -> fmt::Result {
    let help = "The current condition Ready of a GitOps Toolkit resource";
    let name = "gotk_reconcile_condition";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for one in all {
        for status in ["True", "False", "Unknown"] {
            let labels = [
                ("kind", one.kind.name()),
                ("name", one.name.as_str()),
                ("namespace", one.namespace.as_str()),
                ("type", READY),
                ("status", status),
            ];
            let value = u64::from(one.ready == status);
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

/// One number.
pub(super) fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: u64,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&value)
}

fn long(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
