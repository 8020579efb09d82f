//! Who wants to hear what, both ways round.

use std::collections::{BTreeSet, HashMap};

use super::{Key, Topic};

/// Who wants to hear what, both ways round.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub(super) listeners: HashMap<Topic, BTreeSet<Key>>,
    topics: HashMap<Key, BTreeSet<Topic>>,
}

impl Subscriptions {
    /// Sets what one listens to, in place of what it listened to before; true when it no longer listens to something.
    pub(super) fn replace(&mut self, key: &Key, topics: BTreeSet<Topic>) -> bool {
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
        let left = old.difference(&topics).next().is_some();
        if !topics.is_empty() {
            self.topics.insert(key.clone(), topics);
        }
        left
    }
}
