//! What each Kustomization wants of its cluster, and at which snapshot of its source that was last asked: who else
//! wants an object, and who is still to be rendered.
//!
//! Snapshots are numbered as they are published, so that "rendered at it or later" is a comparison of numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::schedule::{Key, Kind};
use crate::api::kustomization::GROUP;
use crate::cluster::ObjectKey;

/// The cluster that a Kustomization's objects are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The reference that leads there, with its namespace; empty for Weir's own.
    pub reference: String,
    /// What tells it from all others, once it was reached.
    pub id: Option<String>,
}

impl Whereabouts {
    /// Whether both are the same cluster, as far as that is known.
    pub fn is(&self, other: &Self) -> bool {
        self.reference == other.reference || (self.id.is_some() && self.id == other.id)
    }
}

/// What one Kustomization wants.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Where it wants it.
    pub place: Whereabouts,
    /// Generation of the spec that asks for it.
    pub generation: i64,
    /// The objects; cluster-scoped ones without a namespace.
    pub objects: Vec<ObjectKey>,
}

/// The desired sets of all Kustomizations of this process.
pub struct Desired {
    books: Mutex<Books>,
    moved: watch::Sender<u64>,
}

#[derive(Default)]
struct Books {
    entries: HashMap<Key, Entry>,
    holders: HashMap<Arc<ObjectKey>, Vec<Arc<Key>>>,
    /// Who does not get which objects because others keep them.
    disputes: HashMap<Key, BTreeSet<Kept>>,
    /// Whose runs make what several want and nobody has yet, in the order in which they came to that.
    making: Vec<Key>,
}

/// Who keeps an object that others want too, and the object.
pub type Kept = (Key, ObjectKey);

#[derive(Default)]
struct Entry {
    place: Whereabouts,
    generation: i64,
    objects: Vec<Arc<ObjectKey>>,
    /// Digest of what it has last applied.
    digest: Option<String>,
    /// Number of the snapshot that it was last rendered at, or verified unchanged at; nothing while what is known
    /// comes from an inventory.
    rendered: u64,
    /// Number of the snapshot of its last run that ended.
    ended: u64,
    /// The Kustomizations among its objects, with their generation once they are applied at `rendered`.
    brings: BTreeMap<Key, Option<i64>>,
}

/// A Kustomization that another one brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It may still be applied.
    Pending,
    /// It was applied, and has at least this generation.
    Applied(i64),
    /// The run ended without applying it.
    Left,
}

impl Default for Desired {
    fn default() -> Self {
        Self {
            books: Mutex::default(),
            moved: watch::Sender::new(0),
        }
    }
}

impl Desired {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets those who wait look again: the books have changed, or the Kustomizations that the watch shows.
    pub fn stir(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// Tells of every change.
    pub fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Takes a Kustomization's inventory for its wish until it is rendered for the first time.
    pub fn seed(&self, key: &Key, wish: Wish) {
        let mut books = self.lock();
        if !books.entries.contains_key(key) {
            books.replace(key, wish);
        }
    }

    /// Notes that a Kustomization's cluster was reached.
    pub fn locate(&self, key: &Key, place: Whereabouts) {
        if let Some(entry) = self.lock().entries.get_mut(key) {
            entry.place = place;
        }
    }

    /// Notes what a Kustomization wants at a snapshot; gives back those who may get an object now, as it wants that no
    /// more. Two that each keep something of the other would wake each other for ever if every wish were news.
    pub fn want(&self, key: &Key, number: u64, wish: Wish) -> Vec<Key> {
        let mut books = self.lock();
        let entry = books.replace(key, wish);
        entry.rendered = entry.rendered.max(number);
        let waiting = books.waiting_for(key, |books, object| !books.wants(key, object));
        drop(books);
        self.stir();
        waiting
    }

    /// Notes what a Kustomization has applied; gives back those who may find an object in their own form now, or no more.
    pub fn applied(&self, key: &Key, digest: &str) -> Vec<Key> {
        let mut books = self.lock();
        let entry = books.entries.entry(key.clone()).or_default();
        let before = entry.digest.replace(digest.to_owned());
        match before.as_deref() == Some(digest) {
            true => Vec::new(),
            false => books.waiting_for(key, |_, _| true),
        }
    }

    /// A run is about to make what these want too and nobody has; gives back who came to that before it, and has not
    /// ended.
    pub fn claim(&self, key: &Key, rivals: &[Key]) -> Option<Key> {
        let mut books = self.lock();
        if !books.making.contains(key) {
            books.making.push(key.clone());
        }
        let mut earlier = books.making.iter().take_while(|other| *other != key);
        earlier.find(|other| rivals.contains(other)).cloned()
    }

    /// A render that failed, or that need not be done, counts with what was wanted before.
    pub fn pass(&self, key: &Key, number: u64, generation: i64) {
        let mut books = self.lock();
        let entry = books.entries.entry(key.clone()).or_default();
        entry.rendered = entry.rendered.max(number);
        entry.generation = entry.generation.max(generation);
        drop(books);
        self.stir();
    }

    /// Notes the generations of Kustomizations that one has applied.
    pub fn brought(&self, key: &Key, applied: &[(Key, i64)]) {
        if applied.is_empty() {
            return;
        }
        let mut books = self.lock();
        if let Some(entry) = books.entries.get_mut(key) {
            for (child, generation) in applied {
                entry.brings.insert(child.clone(), Some(*generation));
            }
        }
        drop(books);
        self.stir();
    }

    /// A run at a snapshot has ended, well or not.
    pub fn end(&self, key: &Key, number: u64) {
        let mut books = self.lock();
        let entry = books.entries.entry(key.clone()).or_default();
        entry.ended = entry.ended.max(number);
        books.release(key);
        drop(books);
        self.stir();
    }

    /// The Kustomization wants nothing any more; gives back those who may get an object now.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        let mut books = self.lock();
        books.withdraw(key);
        books.entries.remove(key);
        books.disputes.remove(key);
        books.release(key);
        let waiting = books.waiting_for(key, |_, _| true);
        drop(books);
        self.stir();
        waiting
    }

    /// Whether anything is known of a Kustomization.
    pub fn knows(&self, key: &Key) -> bool {
        self.lock().entries.contains_key(key)
    }

    /// The other Kustomizations that want an object of the same cluster.
    pub fn others(&self, key: &Key, place: &Whereabouts, object: &ObjectKey) -> Vec<Key> {
        let books = self.lock();
        let holders = books.holders.get(object).into_iter().flatten();
        let same_cluster = |other: &&Key| {
            let entry = books.entries.get(*other);
            entry.is_some_and(|entry| entry.place.is(place))
        };
        holders
            .map(Arc::as_ref)
            .filter(|other| *other != key)
            .filter(same_cluster)
            .cloned()
            .collect()
    }

    /// Whether a Kustomization was rendered at this snapshot or a later one, for this generation or a later one.
    pub fn is_rendered(&self, key: &Key, number: u64, generation: i64) -> bool {
        let books = self.lock();
        let entry = books.entries.get(key);
        entry.is_some_and(|entry| entry.rendered >= number && entry.generation >= generation)
    }

    /// Whether a Kustomization wants an object.
    pub fn wants(&self, key: &Key, object: &ObjectKey) -> bool {
        self.lock().wants(key, object)
    }

    /// Those who bring Kustomizations, with these.
    pub fn brings(&self) -> Vec<(Key, Key)> {
        let books = self.lock();
        let pairs = books.entries.iter().flat_map(|(key, entry)| {
            let children = entry.brings.keys();
            children.map(|child| (key.clone(), child.clone()))
        });
        pairs.collect()
    }

    /// How far a Kustomization has come with one that it brings, at this snapshot or a later one.
    pub fn bringing(&self, key: &Key, child: &Key, number: u64) -> Brought {
        let books = self.lock();
        let Some(entry) = books.entries.get(key) else {
            return Brought::Left;
        };
        match entry.brings.get(child) {
            Some(Some(generation)) => Brought::Applied(*generation),
            Some(None) if entry.ended < number => Brought::Pending,
            Some(None) | None => Brought::Left,
        }
    }

    /// Notes who keeps what a Kustomization wants too; it is woken when that may have changed. Gives back what was not
    /// known before.
    pub fn dispute(&self, key: &Key, kept: BTreeSet<Kept>) -> BTreeSet<Kept> {
        let mut books = self.lock();
        let before = books.disputes.remove(key).unwrap_or_default();
        let news = kept.difference(&before).cloned().collect();
        if !kept.is_empty() {
            books.disputes.insert(key.clone(), kept);
        }
        news
    }

    /// Whether others keep what a Kustomization wants too.
    pub fn is_in_dispute(&self, key: &Key) -> bool {
        self.lock().disputes.contains_key(key)
    }
}

impl Books {
    fn replace(&mut self, key: &Key, wish: Wish) -> &mut Entry {
        self.withdraw(key);
        let objects: Vec<Arc<ObjectKey>> = wish.objects.into_iter().map(Arc::new).collect();
        let holder = Arc::new(key.clone());
        for object in &objects {
            let holders = self.holders.entry(object.clone()).or_default();
            holders.push(holder.clone());
        }
        let brings = objects.iter().filter_map(|object| child(object));
        let entry = self.entries.entry(key.clone()).or_default();
        entry.brings = brings.map(|child| (child, None)).collect();
        (entry.place, entry.generation) = (wish.place, wish.generation);
        entry.objects = objects;
        entry
    }

    fn withdraw(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        for object in std::mem::take(&mut entry.objects) {
            if let Some(holders) = self.holders.get_mut(&object) {
                holders.retain(|holder| **holder != *key);
                if holders.is_empty() {
                    self.holders.remove(&object);
                }
            }
        }
    }

    fn wants(&self, key: &Key, object: &ObjectKey) -> bool {
        let mut holders = self.holders.get(object).into_iter().flatten();
        holders.any(|holder| **holder == *key)
    }

    /// Those who do not get an object because of this one, of whose objects one is meant.
    fn waiting_for(&self, key: &Key, is_meant: impl Fn(&Self, &ObjectKey) -> bool) -> Vec<Key> {
        let is_it = |(keeper, object): &Kept| keeper == key && is_meant(self, object);
        let disputes = self.disputes.iter();
        let waiting = disputes.filter(|(_, kept)| kept.iter().any(is_it));
        waiting.map(|(loser, _)| loser.clone()).collect()
    }

    fn release(&mut self, key: &Key) {
        self.making.retain(|other| other != key);
    }
}

/// The Kustomization that an object is.
fn child(object: &ObjectKey) -> Option<Key> {
    (object.group == GROUP && object.kind == Kind::Kustomization.name())
        .then(|| Key::kustomization(&object.namespace, &object.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::kustomization("ns", name)
    }

    fn object(name: &str) -> ObjectKey {
        ObjectKey {
            group: "".into(),
            kind: "ConfigMap".into(),
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    const HERE: Whereabouts = Whereabouts {
        reference: String::new(),
        id: None,
    };

    fn place(reference: &str, id: Option<&str>) -> Whereabouts {
        Whereabouts {
            reference: reference.to_owned(),
            id: id.map(str::to_owned),
        }
    }

    fn far(names: &[&str]) -> Wish {
        Wish {
            place: place("apps/far", None),
            ..wish(names)
        }
    }

    fn wish(names: &[&str]) -> Wish {
        Wish {
            place: Whereabouts::default(),
            generation: 1,
            objects: names.iter().map(|name| object(name)).collect(),
        }
    }

    #[test]
    fn an_object_has_all_who_want_it_in_one_cluster() {
        let desired = Desired::default();
        desired.want(&key("a"), 1, wish(&["x", "y"]));
        desired.want(&key("b"), 1, wish(&["x"]));
        desired.want(&key("far"), 1, far(&["x"]));
        assert_eq!(desired.others(&key("a"), &HERE, &object("x")), [key("b")]);
        assert_eq!(desired.others(&key("b"), &HERE, &object("y")), [key("a")]);
        desired.want(&key("a"), 2, wish(&["y"]));
        assert!(desired.others(&key("b"), &HERE, &object("x")).is_empty());
    }

    #[test]
    fn a_cluster_is_known_by_more_than_the_way_to_it() {
        let desired = Desired::default();
        desired.want(&key("far"), 1, far(&["x"]));
        let others = |place: &Whereabouts| desired.others(&key("a"), place, &object("x"));
        let another_way = place("apps/also-far", Some("1"));
        assert_eq!(others(&place("apps/far", None)), [key("far")]);
        assert!(others(&another_way).is_empty(), "not reached yet");
        desired.locate(&key("far"), place("apps/far", Some("1")));
        assert_eq!(others(&another_way), [key("far")]);
        assert!(others(&place("apps/also-far", None)).is_empty());
        assert!(others(&place("apps/also-far", Some("2"))).is_empty());
    }

    #[test]
    fn an_inventory_stands_in_until_the_first_render() {
        let desired = Desired::default();
        desired.seed(&key("a"), wish(&["x"]));
        assert!(!desired.is_rendered(&key("a"), 1, 0));
        desired.want(&key("a"), 3, wish(&["y"]));
        desired.seed(&key("a"), wish(&["x"]));
        assert!(desired.others(&key("b"), &HERE, &object("x")).is_empty());
        assert!(desired.is_rendered(&key("a"), 2, 1) && !desired.is_rendered(&key("a"), 4, 1));
        desired.pass(&key("a"), 4, 2);
        assert!(desired.is_rendered(&key("a"), 4, 2));
        assert_eq!(desired.others(&key("b"), &HERE, &object("y")), [key("a")]);
    }

    #[test]
    fn those_in_dispute_hear_of_changes() {
        let desired = Desired::default();
        let kept = |names: &[&str]| -> BTreeSet<Kept> {
            let names = names.iter();
            names.map(|name| (key("first"), object(name))).collect()
        };
        let (first, second) = (key("first"), key("second"));
        let woken = std::slice::from_ref(&second);
        desired.want(&first, 1, wish(&["x", "y"]));
        assert_eq!(desired.dispute(&second, kept(&["x"])), kept(&["x"]));
        assert_eq!(desired.dispute(&second, kept(&["x", "y"])), kept(&["y"]));
        let same = desired.want(&first, 2, wish(&["x", "y", "z"]));
        assert!(same.is_empty(), "it still wants what it keeps");
        assert_eq!(desired.want(&first, 3, wish(&["y"])), woken);
        assert_eq!(desired.applied(&first, "a"), woken);
        assert!(desired.applied(&first, "a").is_empty());
        assert_eq!(desired.applied(&first, "b"), woken);
        assert_eq!(desired.forget(&first), woken);
        desired.dispute(&second, BTreeSet::new());
        assert!(desired.want(&first, 3, wish(&[])).is_empty());
    }

    #[test]
    fn who_is_first_makes_what_nobody_has() {
        let desired = Desired::default();
        let (a, b) = (key("a"), key("b"));
        let claim = |one: &Key, other: &Key| desired.claim(one, std::slice::from_ref(other));
        assert_eq!(claim(&a, &b), None);
        assert_eq!(claim(&b, &a), Some(a.clone()));
        assert_eq!(claim(&a, &b), None);
        desired.end(&a, 1);
        assert_eq!(claim(&b, &a), None);
    }

    #[test]
    fn a_kustomization_is_brought_by_the_one_that_applies_it() {
        let desired = Desired::default();
        let mut of_root = wish(&[]);
        of_root.objects.push(ObjectKey {
            group: GROUP.into(),
            kind: "Kustomization".into(),
            namespace: "ns".into(),
            name: "child".into(),
        });
        desired.want(&key("root"), 2, of_root);
        assert_eq!(desired.brings(), [(key("root"), key("child"))]);
        let state = |number| desired.bringing(&key("root"), &key("child"), number);
        assert_eq!(state(2), Brought::Pending);
        desired.brought(&key("root"), &[(key("child"), 7)]);
        assert_eq!(state(2), Brought::Applied(7));
        desired.want(&key("root"), 3, wish(&[]));
        desired.end(&key("root"), 3);
        assert_eq!(state(3), Brought::Left);
    }
}
