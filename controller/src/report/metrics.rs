//! Metrics under Flux's names, and the text that a scraper reads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::reconcile::schedule::{Key, Kind};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The object that a measurement is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: &'static str,
    name: String,
    namespace: String,
}

/// How a run ended, by controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: &'static str,
    result: &'static str,
}

/// The controller that a run belongs to, as users of Flux know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

/// Who wrote to an object last, by field manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ManagerLabels {
    manager: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// Nothing failed.
    Success,
    /// Something failed, and will be tried again.
    Error,
    /// It waits for something and will be woken.
    Waiting,
}

/// All that is measured.
pub struct Metrics {
    registry: Mutex<Registry>,
    active: Family<ControllerLabels, Gauge>,
    lag: Histogram,
    drift: Family<ManagerLabels, Counter>,
    /// Events that were dropped because too many waited.
    pub dropped_events: Counter,
    durations: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    runs: Family<ResultLabels, Counter>,
}

/// Twelve buckets from 10 ms to 20 seconds, each twice the one before.
fn lag_buckets() -> Histogram {
    Histogram::new((0..12).map(|step| 0.01 * 2.0_f64.powi(step)))
}

/// A run that is under way, until this is dropped.
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Ten buckets from 10 ms to 30 minutes, as Flux has them.
fn duration_buckets() -> Histogram {
    let factor = (1800.0_f64 / 0.01).powf(1.0 / 9.0);
    Histogram::new((0..10).map(|step| 0.01 * factor.powi(step)))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(duration_buckets);
        let runs = Family::default();
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a reconciliation",
            durations.clone(),
        );
        registry.register(
            "controller_runtime_reconcile",
            "Reconciliations by controller and result",
            runs.clone(),
        );
        let (active, drift) = (Family::default(), Family::default());
        let (lag, dropped_events) = (lag_buckets(), Counter::default());
        registry.register(
            "controller_runtime_active_workers",
            "Runs that are under way, by controller",
            active.clone(),
        );
        registry.register(
            "weir_revision_to_applied_seconds",
            "Time from the news of a revision to a Kustomization that is Ready at it",
            lag.clone(),
        );
        registry.register(
            "weir_drift_corrected",
            "Objects that were put right, by the field manager that wrote last",
            drift.clone(),
        );
        registry.register(
            "weir_events_dropped",
            "Events that were dropped because too many waited",
            dropped_events.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            active,
            lag,
            drift,
            dropped_events,
            durations,
            runs,
        }
    }
}

impl Metrics {
    /// Counts one run of an object.
    pub fn run(&self, key: &Key, took: Duration, result: RunResult) {
        self.durations
            .get_or_create(&object(key))
            .observe(took.as_secs_f64());
        let controller = controller(key.kind);
        let result = match result {
            RunResult::Success => "success",
            RunResult::Error => "error",
            RunResult::Waiting => "requeue_after",
        };
        self.runs
            .get_or_create(&ResultLabels { controller, result })
            .inc();
    }

    /// Has something looked at whenever somebody asks.
    pub fn look_at(&self, collector: impl Collector) {
        self.lock().register_collector(Box::new(collector));
    }

    /// A run begins.
    pub fn begin(&self, kind: Kind) -> UnderWay {
        let controller = controller(kind);
        let active = self
            .active
            .get_or_create_owned(&ControllerLabels { controller });
        active.inc();
        UnderWay(active)
    }

    /// A Kustomization is Ready at a revision of which the news came so long ago.
    pub fn applied(&self, after: Duration) {
        self.lag.observe(after.as_secs_f64());
    }

    /// An object was put right that this manager had written to last.
    pub fn drift(&self, manager: &str) {
        let manager = manager.to_owned();
        self.drift.get_or_create(&ManagerLabels { manager }).inc();
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what was measured of an object that is gone.
    pub fn forget(&self, key: &Key) {
        self.durations.remove(&object(key));
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.lock()) {
            Ok(()) => out,
            Err(error) => format!("# {error}\n# EOF\n"),
        }
    }
}

fn controller(kind: Kind) -> &'static str {
    match kind {
        Kind::GitRepository => "gitrepository",
        Kind::OciRepository => "ocirepository",
        Kind::Bucket => "bucket",
        Kind::ExternalArtifact => "externalartifact",
        Kind::Kustomization => "kustomization",
        Kind::Receiver => "receiver",
    }
}

fn object(key: &Key) -> ObjectLabels {
    ObjectLabels {
        kind: key.kind.name(),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_flux_s() {
        let metrics = Metrics::default();
        let key = Key::kustomization("flux-system", "apps");
        metrics.run(&key, Duration::from_millis(20), RunResult::Success);
        let text = metrics.encode();
        for line in [
            r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="apps",namespace="flux-system"} 1"#,
            r#"controller_runtime_reconcile_total{controller="kustomization",result="success"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.forget(&key);
        assert!(!metrics.encode().contains("flux-system"));
    }
}
