//! Work on many items over all processors, in the order of the items.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the work makes of each item.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    if threads < 2 || items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let (turn, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let take_turns = || {
        let mut mine = Vec::new();
        loop {
            let index = turn.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            mine.push((index, work(item)));
        }
        let mut all = done.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(mine);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(take_turns);
        }
        take_turns();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, made)| made).collect()
}
