//! Waiting for what will come true, and saying what was there instead when it does not.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until a probe succeeds and returns what it found. The probe says in its error what it saw
/// instead; the last of these stands in the panic when the time is up.
pub async fn eventually<T, E: Display>(
    within: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + within;
    let mut last = String::from("nothing: the first look did not end in time");
    while let Ok(seen) = timeout(deadline - Instant::now(), probe()).await {
        match seen {
            Ok(found) => return found,
            Err(state) => last = state.to_string(),
        }
        if Instant::now() + INTERVAL > deadline {
            break;
        }
        sleep(INTERVAL).await;
    }
    panic!("after {within:?} still not: {what}\nlast seen: {last}");
}
