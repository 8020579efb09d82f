//! `status.history`: the last outcomes, one entry for each pair of digest and reason, newest first.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::duration;
use crate::api::kustomization::HistoryEntry;

/// How many entries are kept.
const LENGTH: usize = 5;

/// One outcome.
pub struct Met<'a> {
    /// Digest of the built objects.
    pub digest: &'a str,
    /// Reason of the Ready condition.
    pub reason: &'a str,
    /// Revision of the source.
    pub revision: &'a str,
    /// What that was made of.
    pub origin_revision: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub at: Timestamp,
}

/// Adds an outcome: the entry of the same digest and reason moves to the front, or a new one is put there.
pub fn add(history: &mut Vec<HistoryEntry>, met: &Met<'_>) {
    let same = |entry: &HistoryEntry| {
        entry.digest == met.digest && entry.last_reconciled_status == met.reason
    };
    let mut entry = match history.iter().position(same) {
        Some(index) => history.remove(index),
        None => new(met),
    };
    entry.last_reconciled = Time(met.at);
    entry.last_reconciled_duration = duration::format(whole_milliseconds(met.took));
    entry.total_reconciliations += 1;
    let origin = met.origin_revision.map(|origin| ("originRevision", origin));
    let names = [("revision", met.revision)].into_iter().chain(origin);
    let names = names.map(|(key, value)| (key.to_owned(), value.to_owned()));
    entry.metadata = Some(names.collect());
    history.insert(0, entry);
    history.truncate(LENGTH);
}

fn new(met: &Met<'_>) -> HistoryEntry {
    HistoryEntry {
        digest: met.digest.to_owned(),
        first_reconciled: Time(met.at),
        last_reconciled: Time(met.at),
        last_reconciled_duration: String::new(),
        last_reconciled_status: met.reason.to_owned(),
        metadata: None,
        total_reconciliations: 0,
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met<'a>(digest: &'a str, reason: &'a str) -> Met<'a> {
        let took = Duration::from_micros(75_400);
        Met {
            digest,
            reason,
            revision: "main@sha1:1",
            origin_revision: None,
            took,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_outcome_that_returns_moves_to_the_front() {
        let mut history = Vec::new();
        for (digest, reason) in [("a", "Good"), ("b", "Good"), ("a", "Bad"), ("a", "Good")] {
            add(&mut history, &met(digest, reason));
        }
        let seen: Vec<_> = history
            .iter()
            .map(|entry| {
                (
                    entry.digest.as_str(),
                    entry.last_reconciled_status.as_str(),
                    entry.total_reconciliations,
                )
            })
            .collect();
        assert_eq!(seen, [("a", "Good", 2), ("a", "Bad", 1), ("b", "Good", 1)]);
        assert_eq!(history[0].last_reconciled_duration, "75ms");
        for digest in ["c", "d", "e"] {
            add(&mut history, &met(digest, "Good"));
        }
        assert_eq!(history.len(), LENGTH);
    }
}
