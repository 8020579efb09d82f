//! What is measured by looking when somebody asks: requests, watches, caches, resources, the process itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use kube::ResourceExt;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::conditions;
use crate::api::meta::condition::READY;
use crate::reconcile::context::Context;
use crate::reconcile::schedule::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Where Linux tells a process of itself: its memory, and its time.
const MEMORY: &str = "/proc/self/status";
const TIME: &str = "/proc/self/stat";

/// Ticks of a second in what Linux tells, on every machine.
const TICKS: f64 = 100.0;

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
        process(&mut encoder)
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

fn caches(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let sites = context.sites.all();
    let watches = sites.iter().map(|site| site.watches.count()).sum();
    let objects = sites.iter().map(|site| site.watches.live().len()).sum();
    let help = "Clusters that objects are applied to";
    gauge(encoder, "weir_clusters", help, long(sites.len()))?;
    let help = "Open watches of managed objects";
    gauge(encoder, "weir_watches", help, long(watches))?;
    let help = "Managed objects that the watches show";
    gauge(encoder, "weir_watched_objects", help, long(objects))?;
    let help = "Revisions of sources that are kept at hand";
    gauge(
        encoder,
        "weir_snapshots",
        help,
        long(context.snapshots.count()),
    )
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ResourceLabels {
    kind: &'static str,
    ready: &'static str,
    suspended: &'static str,
}

fn resources(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let mut counts: BTreeMap<ResourceLabels, u64> = BTreeMap::new();
    let mut add = |kind: Kind, conditions: Option<&[Condition]>, suspended: bool| {
        let ready = conditions.and_then(|conditions| conditions::find(conditions, READY));
        let labels = ResourceLabels {
            kind: kind.name(),
            ready: match ready.map(|ready| ready.status.as_str()) {
                Some("True") => "True",
                Some("False") => "False",
                _ => "Unknown",
            },
            suspended: if suspended { "true" } else { "false" },
        };
        *counts.entry(labels).or_default() += 1;
    };
    for object in context.git_repositories.state() {
        let status = object.status.as_ref();
        add(
            Kind::GitRepository,
            status.map(|status| status.conditions.as_slice()),
            object.spec.suspend,
        );
    }
    for object in context.oci_repositories.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| status.source.conditions.as_slice());
        add(Kind::OciRepository, conditions, object.spec.suspend);
    }
    for object in context.buckets.state() {
        let status = object.status.as_ref();
        let conditions = status.map(|status| status.source.conditions.as_slice());
        add(Kind::Bucket, conditions, object.spec.suspend);
    }
    for object in context.kustomizations.state() {
        let status = object.status.as_ref();
        add(
            Kind::Kustomization,
            status.map(|status| status.conditions.as_slice()),
            object.spec.suspend == Some(true),
        );
    }
    let help = "Resources that Weir reconciles, by their Ready condition";
    let mut metric = encoder.encode_descriptor("weir_resources", help, None, MetricType::Gauge)?;
    for (labels, count) in &counts {
        metric.encode_family(labels)?.encode_gauge(count)?;
    }
    suspended(context, encoder)
}

/// Under Flux's name, for the alerts that people have.
fn suspended(context: &Context, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let help = "The current suspend status of a GitOps Toolkit resource";
    let mut metric =
        encoder.encode_descriptor("gotk_suspend_status", help, None, MetricType::Gauge)?;
    let mut one = |kind: Kind, namespace: Option<String>, name: String, suspend: bool| {
        let namespace = namespace.unwrap_or_default();
        let labels = [
            ("kind", kind.name()),
            ("name", name.as_str()),
            ("namespace", namespace.as_str()),
        ];
        let value = u64::from(suspend);
        metric.encode_family(&labels)?.encode_gauge(&value)
    };
    for object in context.git_repositories.state() {
        one(
            Kind::GitRepository,
            object.namespace(),
            object.name_any(),
            object.spec.suspend,
        )?;
    }
    for object in context.oci_repositories.state() {
        let (namespace, name) = (object.namespace(), object.name_any());
        one(Kind::OciRepository, namespace, name, object.spec.suspend)?;
    }
    for object in context.buckets.state() {
        let (namespace, name) = (object.namespace(), object.name_any());
        one(Kind::Bucket, namespace, name, object.spec.suspend)?;
    }
    for object in context.kustomizations.state() {
        one(
            Kind::Kustomization,
            object.namespace(),
            object.name_any(),
            object.spec.suspend == Some(true),
        )?;
    }
    Ok(())
}

/// As Prometheus' own libraries name it; nothing where there is no `/proc`.
fn process(encoder: &mut DescriptorEncoder) -> fmt::Result {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(bytes) = resident(&read(MEMORY)) {
        let help = "Resident memory size in bytes";
        gauge(encoder, "process_resident_memory_bytes", help, bytes)?;
    }
    if let Some(seconds) = seconds(&read(TIME)) {
        let help = "Total user and system CPU time spent in seconds";
        let name = "process_cpu_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
    }
    Ok(())
}

/// `VmRSS:  1234 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The seconds of the processor, from the fields after the name, which may hold anything.
fn seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some((f64::from(ticks(11)?) + f64::from(ticks(12)?)) / TICKS)
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&value)
}

fn long(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a ) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 99 1000 1024 0";
        assert_eq!(seconds(stat), Some(3.0));
        assert_eq!(seconds("7 (weir) S 1"), None);
        let status = "Name:\tweir\nVmHWM:\t   99 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(resident(status), Some(12 * 1024));
        assert_eq!(resident("VmRSS: many"), None);
    }
}
