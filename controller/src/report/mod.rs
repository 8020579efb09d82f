//! Printers of one report: conditions, events, metrics.
