//! The newest snapshot of every source, and who is told of it first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::context::Context;
use super::dependencies::dependency_keys;
use super::render;
use super::schedule::{Key, Topic, Wake};
use crate::source::Snapshot;

/// How long what builds of one snapshot share is held: the builds that it starts are done by then.
const SHARED_FOR: Duration = Duration::from_secs(20);

/// How long those whose own folder a commit leaves as it is let the others go first. Among 1,000 Kustomizations all
/// looks at whether anything has changed take about as long as it takes to apply what has.
const HEAD_START: Duration = Duration::from_millis(120);

/// The newest snapshot of every source, numbered in the order of their coming.
#[derive(Default)]
pub struct Snapshots(Mutex<Published>);

#[derive(Default)]
struct Published {
    last: u64,
    newest: HashMap<Key, (u64, Arc<Snapshot>)>,
    /// Sources that are suspended, and of which nothing is at hand: none of them will tell of itself.
    lacking: HashSet<Key>,
}

impl Snapshots {
    /// How many sources have one.
    pub fn count(&self) -> usize {
        self.lock().newest.len()
    }

    /// The newest snapshot of a source.
    pub fn get(&self, source: &Key) -> Option<Arc<Snapshot>> {
        let published = self.lock();
        published
            .newest
            .get(source)
            .map(|(_, newest)| newest.clone())
    }

    /// The number of the newest snapshot of a source; 0 when there is none.
    pub fn number(&self, source: &Key) -> u64 {
        let published = self.lock();
        published
            .newest
            .get(source)
            .map_or(0, |(number, _)| *number)
    }

    /// Whether a source will not have one until somebody resumes it.
    pub fn is_lacking(&self, source: &Key) -> bool {
        self.lock().lacking.contains(source)
    }

    /// Gives back the one before.
    fn publish(&self, source: &Key, snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        let mut published = self.lock();
        published.last += 1;
        published.lacking.remove(source);
        let newest = (published.last, snapshot);
        let before = published.newest.insert(source.clone(), newest);
        before.map(|(_, before)| before)
    }

    fn withdraw(&self, source: &Key) {
        let mut published = self.lock();
        published.newest.remove(source);
        published.lacking.remove(source);
    }

    /// False when that was known.
    fn lack(&self, source: &Key) -> bool {
        self.lock().lacking.insert(source.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Published> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// The source has a new snapshot: all that build from it start, those whose own folder is another now first, and
    /// with them those that they wait for.
    pub fn publish(&self, source: &Key, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        let shared = Arc::downgrade(&snapshot.shared);
        tokio::spawn(async move {
            tokio::time::sleep(SHARED_FOR).await;
            if let Some(shared) = shared.upgrade() {
                shared.close();
            }
        });
        let before = self.snapshots.publish(source, snapshot.clone());
        let all = self.schedule.listeners(&Topic::Source(source.clone()));
        let is_touched = |key: &&Key| {
            let before = before.as_ref();
            before.is_none_or(|before| self.is_touched(key, before, &snapshot))
        };
        let first = self.with_dependencies(all.iter().filter(is_touched).cloned().collect());
        let others: Vec<Key> = all.difference(&first).cloned().collect();
        let head_start = match first.is_empty() {
            true => Duration::ZERO,
            false => HEAD_START,
        };
        first
            .intersection(&all)
            .for_each(|key| self.schedule.wake(key, Wake::source()));
        let schedule = self.schedule.clone();
        tokio::spawn(async move {
            tokio::time::sleep(head_start).await;
            others
                .iter()
                .for_each(|key| schedule.wake(key, Wake::source()));
        });
    }

    /// Whether something is built from a folder that two snapshots have not in common.
    fn is_touched(&self, key: &Key, before: &Snapshot, now: &Snapshot) -> bool {
        let Some(object) = self.kustomization(key) else {
            return true;
        };
        let folder = render::folder(&object.spec);
        before.tree.mark(&folder) != now.tree.mark(&folder)
    }

    /// Some Kustomizations, all that they depend on, and all that those depend on.
    fn with_dependencies(&self, some: Vec<Key>) -> BTreeSet<Key> {
        let mut all = BTreeSet::new();
        let mut next = some;
        while let Some(key) = next.pop() {
            let object = self.kustomization(&key);
            if all.insert(key.clone())
                && let Some(object) = object
            {
                next.extend(dependency_keys(&object.spec, &key.namespace));
            }
        }
        all
    }

    /// The source is suspended and nothing of it is at hand: all that build from it say so.
    pub fn lack(&self, source: &Key) {
        if self.snapshots.lack(source) {
            self.schedule
                .publish(&Topic::Source(source.clone()), &Wake::source());
        }
    }

    /// The source is gone; what was built from it stays as it is.
    pub fn withdraw(&self, source: &Key) {
        self.snapshots.withdraw(source);
        self.schedule
            .publish(&Topic::Source(source.clone()), &Wake::source());
    }
}
