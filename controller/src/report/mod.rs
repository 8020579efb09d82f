//! Printers of one report: conditions, events, metrics.

pub mod conditions;
pub mod events;
pub mod metrics;
