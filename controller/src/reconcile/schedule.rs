//! When an object is reconciled: one task an object, asleep until something that concerns it has happened.
//!
//! ```text
//! watch of own resources ──▶ observe ─┐
//! snapshot, readiness, input ▶ publish ┼──▶ mailbox (reasons merge) ──▶ live: run, sleep, run, …
//! drift, health ────────────▶ wake ────┘                                 one run at a time, no shared workers
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cluster::ObjectKey;
use crate::cluster::order::GroupKind;

/// The kinds that Weir reconciles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `source.toolkit.fluxcd.io GitRepository`.
    GitRepository,
    /// `kustomize.toolkit.fluxcd.io Kustomization`.
    Kustomization,
}

impl Kind {
    /// The kind's name in manifests, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
        }
    }
}

/// One object that has a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A Kustomization's key.
    pub fn kustomization(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        let kind = Kind::Kustomization;
        Self {
            kind,
            namespace,
            name,
        }
    }

    /// A GitRepository's key.
    pub fn git_repository(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        let kind = Kind::GitRepository;
        Self {
            kind,
            namespace,
            name,
        }
    }
}

impl fmt::Display for Key {
    /// `Kind/namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// Why a task wakes. Reasons that come while a run is under way merge into one wake after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// The object itself: spec, annotations, deletion, or its first sight.
    pub changed: bool,
    /// Its source has a new snapshot.
    pub source: bool,
    /// An object that it depends on became ready, or an object that depends on it went.
    pub dependency: bool,
    /// A ConfigMap or Secret that it reads has changed.
    pub input: bool,
    /// The time that its last run asked for has come.
    pub due: bool,
    /// Objects whose health may have changed.
    pub health: BTreeSet<ObjectKey>,
    /// Managed objects that someone has changed or deleted, we ourselves perhaps.
    pub altered: BTreeSet<ObjectKey>,
    /// Kinds whose watch now shows all objects.
    pub shown: BTreeSet<GroupKind>,
}

impl Wake {
    /// The object itself changed.
    pub fn changed() -> Self {
        Self {
            changed: true,
            ..Self::default()
        }
    }

    /// A new snapshot.
    pub fn source() -> Self {
        Self {
            source: true,
            ..Self::default()
        }
    }

    /// A dependency moved.
    pub fn dependency() -> Self {
        Self {
            dependency: true,
            ..Self::default()
        }
    }

    /// An input changed.
    pub fn input() -> Self {
        Self {
            input: true,
            ..Self::default()
        }
    }

    /// The time has come.
    pub fn due() -> Self {
        Self {
            due: true,
            ..Self::default()
        }
    }

    /// Nothing but objects whose health may have changed.
    pub fn is_health_only(&self) -> bool {
        let Self {
            changed,
            source,
            dependency,
            input,
            due,
            health: _,
            altered,
            shown,
        } = self;
        !(*changed || *source || *dependency || *input || *due)
            && altered.is_empty()
            && shown.is_empty()
    }

    /// Takes in another reason.
    pub fn merge(&mut self, other: Self) {
        self.changed |= other.changed;
        self.source |= other.source;
        self.dependency |= other.dependency;
        self.input |= other.input;
        self.due |= other.due;
        self.health.extend(other.health);
        self.altered.extend(other.altered);
        self.shown.extend(other.shown);
    }
}

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

/// What others may tell, and tasks may want to hear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A source's new snapshot.
    Source(Key),
    /// An object's readiness, or the revision that it is ready at.
    Ready(Key),
    /// A ConfigMap or Secret, by kind, namespace and name.
    Input(&'static str, String, String),
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

/// Reasons that wait for a task to take them.
#[derive(Default)]
struct Mailbox {
    pending: Mutex<Option<Wake>>,
    bell: Notify,
}

/// An object's task, and what was last seen of the object.
struct Task {
    mailbox: Arc<Mailbox>,
    fingerprint: u64,
    handle: JoinHandle<()>,
}

/// Who wants to hear what, both ways round.
#[derive(Default)]
struct Subscriptions {
    listeners: HashMap<Topic, BTreeSet<Key>>,
    topics: HashMap<Key, BTreeSet<Topic>>,
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

    /// Sets what a task listens to, in place of what it listened to before.
    pub fn subscribe(&self, key: &Key, topics: BTreeSet<Topic>) {
        lock(&self.subscriptions).replace(key, topics);
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

impl Subscriptions {
    fn replace(&mut self, key: &Key, topics: BTreeSet<Topic>) {
        let old = self.topics.remove(key).unwrap_or_default();
        for topic in old.difference(&topics) {
            if let Some(keys) = self.listeners.get_mut(topic) {
                keys.remove(key);
                if keys.is_empty() {
                    self.listeners.remove(topic);
                }
            }
        }
        for topic in topics.difference(&old) {
            self.listeners
                .entry(topic.clone())
                .or_default()
                .insert(key.clone());
        }
        if !topics.is_empty() {
            self.topics.insert(key.clone(), topics);
        }
    }
}

impl Mailbox {
    fn post(&self, wake: Wake) {
        lock(&self.pending).get_or_insert_default().merge(wake);
        self.bell.notify_one();
    }

    fn take(&self) -> Option<Wake> {
        lock(&self.pending).take()
    }
}

/// The sleeping half of a task: what it waits on between two runs.
pub struct Sleeper {
    mailbox: Arc<Mailbox>,
    pace: Pace,
    failures: u32,
    deadline: Option<Instant>,
    stopping: watch::Receiver<bool>,
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

/// Turns for work that must not come all at once: 20 a second.
#[derive(Default)]
pub struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// The next turn that is free, not before this time.
    pub fn next(&self, earliest: Instant) -> Instant {
        let mut free = lock(&self.0);
        let turn = free.map_or(earliest, |free| free.max(earliest));
        *free = Some(turn + Duration::from_millis(50));
        turn
    }
}

/// Twice as long with every failure.
fn backoff(pace: Pace, failures: u32) -> Duration {
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
                let _ = sender.send(wake);
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
    async fn turns_are_apart() {
        let turns = Turns::default();
        let now = Instant::now();
        let times: Vec<_> = (0..3)
            .map(|_| (turns.next(now) - now).as_millis())
            .collect();
        assert_eq!(times, [0, 50, 100]);
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
