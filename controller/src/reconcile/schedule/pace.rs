//! When a task runs without any event: delays, their jitter, and turns.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::lock;

/// What a run asks of the schedule. Whatever it asks, an event wakes the task earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run again after this time, with jitter.
    After(Duration),
    /// Run again soon, later with every failure in a row (`--min-retry-delay`, `--max-retry-delay`), and at the
    /// latest after this time.
    Backoff(Duration),
    /// Run again at this time, without jitter: the run has reckoned it.
    At(Instant),
    /// Run again only when something happens.
    OnEvent,
    /// As the run before this one asked.
    Unchanged,
    /// The object is gone: end the task.
    Gone,
}

/// Delays of the schedule.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// First delay after a failure.
    pub retry_minimum: Duration,
    /// Longest delay after failures.
    pub retry_maximum: Duration,
    /// Jitter of all delays, in percent.
    pub jitter_percentage: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry_minimum: Duration::from_millis(750),
            retry_maximum: Duration::from_secs(15 * 60),
            jitter_percentage: 5,
        }
    }
}

/// Turns for work that must not come all at once: 20 a second.
pub struct Turns {
    begin: Instant,
    /// The turns that are taken, by number.
    taken: Mutex<BTreeSet<u32>>,
}

/// From one turn to the next.
const TURN: Duration = Duration::from_millis(50);

impl Default for Turns {
    fn default() -> Self {
        let begin = Instant::now();
        let taken = Mutex::default();
        Self { begin, taken }
    }
}

impl Turns {
    /// The next turn that is free, not before this time.
    pub fn next(&self, earliest: Instant) -> Instant {
        let mut taken = lock(&self.taken);
        *taken = taken.split_off(&self.number(Instant::now()));
        let mut turn = self.number(earliest);
        while !taken.insert(turn) {
            turn += 1;
        }
        self.begin + TURN * turn
    }

    /// The first turn that does not begin before this time.
    fn number(&self, time: Instant) -> u32 {
        let since = time.saturating_duration_since(self.begin);
        u32::try_from(since.as_nanos().div_ceil(TURN.as_nanos())).unwrap_or(u32::MAX - 1)
    }
}

/// Twice as long with every failure.
pub(super) fn backoff(pace: Pace, failures: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    pace.retry_minimum
        .saturating_mul(factor)
        .min(pace.retry_maximum)
}

/// A number that nobody can foresee: every RandomState has keys of its own.
pub fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The delay, longer or shorter by up to so many percent.
pub fn jittered(delay: Duration, percentage: u8) -> Duration {
    let chance = chance() as f64 / u64::MAX as f64;
    let share = f64::from(percentage.min(100)) / 100.0;
    delay.mul_f64(1.0 + share * (2.0 * chance - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_apart() {
        let turns = Turns::default();
        let now = Instant::now();
        let minute = now + Duration::from_secs(60);
        let times = [now, now, minute, now, minute].map(|at| (turns.next(at) - now).as_millis());
        assert_eq!(times, [0, 50, 60_000, 100, 60_050]);
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_are_over_are_forgotten() {
        let turns = Turns::default();
        for _ in 0..10 {
            turns.next(Instant::now());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        turns.next(Instant::now());
        assert_eq!(lock(&turns.taken).len(), 1);
    }
}
