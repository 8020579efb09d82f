//! The time until which this process may write: as long as its leases hold, and not a moment longer.
//!
//! A process that was stopped by its machine wakes without knowing how long it slept. So the clock is asked at the
//! last place before a request is sent, after every wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The deadlines of the leases that this process holds. Without any lease there is no deadline.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Fence {
    /// A lease is held until then.
    pub fn extend(&self, lease: &str, until: Instant) {
        self.lock().insert(lease.to_owned(), until);
    }

    /// A lease is lost: nothing is written any more.
    pub fn close(&self, lease: &str) {
        self.lock().insert(lease.to_owned(), Instant::now());
    }

    /// How long writes may still take; none when there is no lease to hold.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let first = self.lock().values().min().copied();
        first.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_lease_to_end_is_the_end() {
        let fence = Fence::default();
        assert_eq!(fence.remaining(), None);
        let seconds = Duration::from_secs;
        fence.extend("sources", Instant::now() + seconds(10));
        fence.extend("kustomizations", Instant::now() + seconds(4));
        assert_eq!(fence.remaining(), Some(seconds(4)));
        fence.extend("kustomizations", Instant::now() + seconds(20));
        assert_eq!(fence.remaining(), Some(seconds(10)));
        tokio::time::advance(seconds(11)).await;
        assert_eq!(fence.remaining(), Some(Duration::ZERO));
        fence.extend("sources", Instant::now() + seconds(10));
        fence.close("kustomizations");
        assert_eq!(fence.remaining(), Some(Duration::ZERO));
    }
}
