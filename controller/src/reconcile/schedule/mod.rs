//! When an object is reconciled: one task an object, asleep until something that concerns it has happened.
//!
//! ```text
//! watch of own resources ──▶ observe ─┐
//! snapshot, readiness, input ▶ publish ┼──▶ mailbox (reasons merge) ──▶ live: run, sleep, run, …
//! drift, health ────────────▶ wake ────┘                                 one run at a time, no shared workers
//! ```

mod key;
mod pace;
mod sleeper;
mod subscriptions;
mod wake;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use key::{Key, Kind};
pub use pace::{Next, Pace, Turns, chance, jittered};
use sleeper::Mailbox;
pub use sleeper::Sleeper;
use subscriptions::Subscriptions;
pub use wake::{Topic, Wake};

/// An object's task, and what was last seen of the object.
struct Task {
    mailbox: Arc<Mailbox>,
    fingerprint: u64,
    handle: JoinHandle<()>,
}

/// All tasks, and who listens to what.
pub struct Schedule {
    pace: Pace,
    tasks: Mutex<HashMap<Key, Task>>,
    subscriptions: Mutex<Subscriptions>,
    stopping: watch::Sender<bool>,
}

/// A poisoned lock only means that another task died between two consistent states.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Schedule {
    /// An empty schedule.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            tasks: Mutex::default(),
            subscriptions: Mutex::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// An object was seen. Its task starts with it, and wakes when the fingerprint is another than before.
    pub fn observe<F, Fut>(&self, key: &Key, fingerprint: u64, start: F)
    where
        F: FnOnce(Sleeper) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = lock(&self.tasks);
        if let Some(task) = tasks.get_mut(key)
            && !task.handle.is_finished()
        {
            if std::mem::replace(&mut task.fingerprint, fingerprint) != fingerprint {
                task.mailbox.post(Wake::changed());
            }
            return;
        }
        if *self.stopping.borrow() {
            return;
        }
        let mailbox = Arc::new(Mailbox::default());
        mailbox.post(Wake::changed());
        let sleeper = Sleeper {
            mailbox: mailbox.clone(),
            pace: self.pace,
            failures: 0,
            deadline: None,
            stopping: self.stopping.subscribe(),
        };
        let handle = tokio::spawn(start(sleeper));
        tasks.insert(
            key.clone(),
            Task {
                mailbox,
                fingerprint,
                handle,
            },
        );
    }

    /// Wakes one task; nothing happens when there is none.
    pub fn wake(&self, key: &Key, wake: Wake) {
        if let Some(task) = lock(&self.tasks).get(key) {
            task.mailbox.post(wake);
        }
    }

    /// Wakes all that listen to the topic.
    pub fn publish(&self, topic: &Topic, wake: &Wake) {
        let listeners = lock(&self.subscriptions).listeners.get(topic).cloned();
        for key in listeners.iter().flatten() {
            self.wake(key, wake.clone());
        }
    }

    /// Sets what a task listens to, in place of what it listened to before; true when it no longer listens to
    /// something.
    pub fn subscribe(&self, key: &Key, topics: BTreeSet<Topic>) -> bool {
        lock(&self.subscriptions).replace(key, topics)
    }

    /// How many tasks listen to the topic.
    pub fn count_listeners(&self, topic: &Topic) -> usize {
        let subscriptions = lock(&self.subscriptions);
        subscriptions.listeners.get(topic).map_or(0, BTreeSet::len)
    }

    /// All tasks that listen to the topic.
    pub fn listeners(&self, topic: &Topic) -> BTreeSet<Key> {
        let subscriptions = lock(&self.subscriptions);
        subscriptions
            .listeners
            .get(topic)
            .cloned()
            .unwrap_or_default()
    }

    /// All topics that anyone listens to.
    pub fn topics(&self) -> BTreeSet<Topic> {
        lock(&self.subscriptions)
            .listeners
            .keys()
            .cloned()
            .collect()
    }

    /// All objects that have a task.
    pub fn keys(&self) -> Vec<Key> {
        lock(&self.tasks).keys().cloned().collect()
    }

    /// Drops an object's task from the books; the task ends by itself.
    pub fn forget(&self, key: &Key) {
        lock(&self.tasks).remove(key);
        lock(&self.subscriptions).replace(key, BTreeSet::new());
    }

    /// Whether no run is to begin any more.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until no run is to begin any more.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error would mean that this schedule is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Lets every run in hand finish, starts no other, and waits for the end of all tasks.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks: Vec<Task> = lock(&self.tasks).drain().map(|(_, task)| task).collect();
        for task in tasks {
            // A task that panicked has ended too.
            let _ = task.handle.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(Pace {
            jitter_percentage: 0,
            ..Pace::default()
        })
    }

    /// Starts a task that tells its wakes and is told what is next.
    fn start(
        schedule: &Schedule,
        name: &str,
        next: Next,
    ) -> tokio::sync::mpsc::UnboundedReceiver<Wake> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let key = Key::kustomization("ns", name);
        schedule.observe(&key, 1, |mut sleeper| async move {
            let mut asked = Next::OnEvent;
            while let Some(wake) = sleeper.sleep(asked).await {
                let _ = sender.send(Wake { told: None, ..wake });
                asked = next;
            }
        });
        receiver
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_sight_of_an_object_starts_a_run() {
        let schedule = schedule();
        let mut wakes = start(&schedule, "a", Next::OnEvent);
        assert_eq!(wakes.recv().await, Some(Wake::changed()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unchanged_fingerprint_wakes_nobody() {
        let schedule = schedule();
        let mut wakes = start(&schedule, "a", Next::OnEvent);
        wakes.recv().await;
        let key = Key::kustomization("ns", "a");
        schedule.observe(&key, 1, |_| async {});
        schedule.observe(&key, 2, |_| async {});
        assert_eq!(wakes.recv().await, Some(Wake::changed()));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(wakes.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_merge_into_one_wake() {
        let schedule = schedule();
        let mut wakes = start(&schedule, "a", Next::OnEvent);
        wakes.recv().await;
        let key = Key::kustomization("ns", "a");
        schedule.wake(&key, Wake::source());
        schedule.wake(&key, Wake::input());
        let expected = Wake {
            source: true,
            input: true,
            ..Wake::default()
        };
        assert_eq!(wakes.recv().await, Some(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_is_as_old_as_its_first_reason() {
        let schedule = schedule();
        let key = Key::kustomization("ns", "a");
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let pause = Duration::from_secs(5);
        schedule.observe(&key, 1, |mut sleeper| async move {
            while let Some(wake) = sleeper.sleep(Next::OnEvent).await {
                let _ = sender.send(wake.told);
                tokio::time::sleep(pause * 2).await;
            }
        });
        let begin = Instant::now();
        assert_eq!(told.recv().await, Some(Some(begin)));
        for _ in 0..2 {
            schedule.wake(&key, Wake::due());
            tokio::time::sleep(pause).await;
        }
        assert_eq!(told.recv().await, Some(Some(begin)));
    }

    #[tokio::test(start_paused = true)]
    async fn topics_reach_their_listeners_only() {
        let schedule = schedule();
        let mut a = start(&schedule, "a", Next::OnEvent);
        let mut b = start(&schedule, "b", Next::OnEvent);
        a.recv().await;
        b.recv().await;
        let topic = Topic::Source(Key::git_repository("ns", "repository"));
        schedule.subscribe(&Key::kustomization("ns", "a"), [topic.clone()].into());
        schedule.publish(&topic, &Wake::source());
        assert_eq!(a.recv().await, Some(Wake::source()));
        schedule.subscribe(&Key::kustomization("ns", "a"), BTreeSet::new());
        schedule.publish(&topic, &Wake::source());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(a.try_recv().is_err() && b.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off() {
        let schedule = schedule();
        let begin = Instant::now();
        let mut wakes = start(&schedule, "a", Next::Backoff(Duration::from_secs(2)));
        let mut times = Vec::new();
        for _ in 0..4 {
            wakes.recv().await;
            times.push(begin.elapsed().as_millis());
        }
        assert_eq!(times, [0, 750, 2250, 4250]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_changes_nothing_leaves_the_next_try_where_it_was() {
        let schedule = schedule();
        let key = Key::kustomization("ns", "a");
        let (sender, mut wakes) = tokio::sync::mpsc::unbounded_channel();
        let begin = Instant::now();
        schedule.observe(&key, 1, |mut sleeper| async move {
            let mut next = Next::OnEvent;
            while let Some(wake) = sleeper.sleep(next).await {
                let tried = wake.changed || wake.due;
                let _ = sender.send((tried, begin.elapsed().as_millis()));
                next = if tried {
                    Next::Backoff(Duration::from_secs(60))
                } else {
                    Next::Unchanged
                };
            }
        });
        assert_eq!(wakes.recv().await, Some((true, 0)));
        schedule.wake(&key, Wake::dependency());
        assert_eq!(wakes.recv().await, Some((false, 0)));
        assert_eq!(wakes.recv().await, Some((true, 750)));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_ends_all_tasks() {
        let schedule = schedule();
        let mut wakes = start(&schedule, "a", Next::After(Duration::from_secs(60)));
        wakes.recv().await;
        schedule.stop().await;
        assert_eq!(wakes.recv().await, None);
    }
}
