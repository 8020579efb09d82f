//! The sleeping half of a task: the mailbox that others post to, and the clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::pace::{backoff, jittered};
use super::{Next, Pace, Wake, lock};

/// Reasons that wait for a task to take them.
#[derive(Default)]
pub(super) struct Mailbox {
    pending: Mutex<Option<Wake>>,
    bell: Notify,
}

impl Mailbox {
    pub(super) fn post(&self, mut wake: Wake) {
        wake.told.get_or_insert_with(Instant::now);
        lock(&self.pending).get_or_insert_default().merge(wake);
        self.bell.notify_one();
    }

    fn take(&self) -> Option<Wake> {
        lock(&self.pending).take()
    }
}

/// The sleeping half of a task: what it waits on between two runs.
pub struct Sleeper {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) pace: Pace,
    pub(super) failures: u32,
    pub(super) deadline: Option<Instant>,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Sleeper {
    /// Sleeps as the last run asked. Gives back why the task wakes; `None` when its life is over.
    pub async fn sleep(&mut self, next: Next) -> Option<Wake> {
        if next == Next::Gone {
            return None;
        }
        self.reckon(next);
        let deadline = self.deadline;
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            if let Some(wake) = self.mailbox.take() {
                return Some(wake);
            }
            let time = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.mailbox.bell.notified() => {}
                () = time => return Some(Wake::due()),
                changed = self.stopping.changed() => if changed.is_err() { return None },
            }
        }
    }

    /// Reckons when to wake without any event.
    fn reckon(&mut self, next: Next) {
        self.failures = match next {
            Next::Unchanged => return,
            Next::Backoff(_) => self.failures.saturating_add(1),
            Next::After(_) | Next::At(_) | Next::OnEvent | Next::Gone => 0,
        };
        let delay = match next {
            Next::After(delay) => delay,
            Next::Backoff(longest) => backoff(self.pace, self.failures).min(longest),
            Next::At(_) | Next::OnEvent | Next::Unchanged | Next::Gone => Duration::MAX,
        };
        self.deadline = match next {
            Next::At(time) => Some(time),
            _ if delay == Duration::MAX => None,
            _ => Instant::now().checked_add(jittered(delay, self.pace.jitter_percentage)),
        };
    }
}
