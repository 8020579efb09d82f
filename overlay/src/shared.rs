//! What builds of one tree share: parsed files, and bases that are finished but for what is above them.
//!
//! Nothing is kept that an opener had a hand in, so that no caller gets what another one's keys opened; and what was
//! built without an opener, which may hold encrypted files as they are stored, is not given to one that has an opener.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::accumulate::Accumulated;
use crate::budget::{Budget, Spent};
use crate::build::{LoadRestrictor, Options, Read};
use crate::error::{Errors, Warning};
use crate::files::Files;
use crate::load::{Folder, Session};
use crate::path;
use crate::yaml::Node;

/// How many bytes of files may be kept when nothing else is said. Parsed they take about eight times that.
const BYTES: usize = 4 << 20;

/// Work that is done once for all builds of one tree: whoever has the tree keeps it beside it, and hands it in with
/// [`Options::shared`]. With another tree it gives wrong answers.
pub struct Shared {
    limit: usize,
    files: Files,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Bytes of the files that what is held was made of.
    bytes: usize,
    /// Nothing is kept any more.
    closed: bool,
    documents: HashMap<String, (Budget, Arc<Vec<Node>>)>,
    /// Files that were read once. Most are read for one build only, and their documents are not worth keeping.
    met: HashSet<String>,
    bases: HashMap<Key, Arc<Base>>,
}

/// A base, and the options that its result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    folder: String,
    flux: bool,
    root_only: bool,
    record_reads: bool,
    has_opener: bool,
}

impl Key {
    /// The base in a folder.
    pub(crate) fn new(folder: &str, options: &Options<'_>) -> Self {
        Self {
            folder: folder.to_owned(),
            flux: options.flux,
            root_only: options.load_restrictor == LoadRestrictor::RootOnly,
            record_reads: options.record_reads,
            has_opener: options.opener.is_some(),
        }
    }
}

/// Bases that threads of one build have finished, until their turn comes.
#[derive(Default)]
pub(crate) struct Ahead {
    bases: Mutex<HashMap<Key, Base>>,
}

impl Ahead {
    fn held(&self) -> MutexGuard<'_, HashMap<Key, Base>> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a base where its turn finds it.
    pub(crate) fn put(&self, key: Key, base: Base) {
        self.held().insert(key, base);
    }

    fn take(&self, key: &Key) -> Option<Base> {
        self.held().remove(key)
    }
}

/// What a base brings to a build, and what it does to it besides.
pub(crate) struct Base {
    /// Its manifests and rules.
    pub accumulated: Accumulated,
    /// The budget that it kept within.
    pub budget: Budget,
    /// What was read for it.
    pub reads: BTreeMap<String, Read>,
    /// What was noticed.
    pub warnings: Vec<Warning>,
    /// What it asked for.
    pub spent: Spent,
    /// The steps that it took.
    pub steps: usize,
    /// The folders that were entered from it.
    pub entered: Vec<String>,
    /// How many kustomizations are inside one another in it.
    pub levels: usize,
    /// It has objects of kinds that kustomize does not know.
    pub met_custom_kinds: bool,
}

impl Base {
    /// True when none of its folders leads back to those that led to it, and it is not too deep here.
    fn fits(&self, folder: &Folder, budget: &Budget) -> bool {
        let parents = &folder.parents;
        let leads_back = |entered: &String| {
            let mut parents = parents.iter();
            parents.any(|parent| path::is_within(parent, entered))
        };
        self.budget == *budget
            && parents.len() + self.levels <= budget.depth
            && !self.entered.iter().any(leads_back)
    }

    /// Does to a build what building the base does to it; false when the build's budget does not allow it.
    fn replay(&self, session: &mut Session<'_>) -> bool {
        let (mut spent, mut steps) = (session.spent, session.steps);
        if spent.add(self.spent, &session.options.budget).is_err()
            || steps.take(self.steps).is_err()
        {
            return false;
        }
        (session.spent, session.steps) = (spent, steps);
        let reads = self.reads.iter();
        session
            .reads
            .extend(reads.map(|(path, read)| (path.clone(), *read)));
        session.warnings.extend_from_slice(&self.warnings);
        session.entered.extend_from_slice(&self.entered);
        session.openapi.note(self.met_custom_kinds);
        true
    }
}

/// Builds a base, or takes it from an earlier build of the same tree.
pub(crate) fn base(
    folder: &Folder,
    session: &mut Session<'_>,
    build: impl FnOnce(&mut Session<'_>) -> Result<Accumulated, Errors>,
) -> Result<Accumulated, Errors> {
    if session.options.record_history || session.openapi.is_made() {
        return build(session);
    }
    let key = Key::new(&folder.path, session.options);
    if let Some(base) = session.ahead.take(&key)
        && base.fits(folder, &session.options.budget)
        && base.replay(session)
    {
        return Ok(base.accumulated);
    }
    let Some(shared) = session.options.shared else {
        return build(session);
    };
    if let Some(base) = shared.base(&key)
        && base.fits(folder, &session.options.budget)
        && base.replay(session)
    {
        return Ok(base.accumulated.clone());
    }
    let (built, base) = watch(folder, session, build);
    let accumulated = built?;
    if let Some(base) = base {
        let accumulated = accumulated.clone();
        shared.keep_base(
            key,
            Base {
                accumulated,
                ..base
            },
        );
    }
    Ok(accumulated)
}

/// Builds, and says what that did to the build; nothing when it may not be shared.
pub(crate) fn watch(
    folder: &Folder,
    session: &mut Session<'_>,
    build: impl FnOnce(&mut Session<'_>) -> Result<Accumulated, Errors>,
) -> (Result<Accumulated, Errors>, Option<Base>) {
    let (spent, steps) = (session.spent, session.steps.taken());
    let (entered, warnings) = (session.entered.len(), session.warnings.len());
    let reads = std::mem::take(&mut session.reads);
    let opened = std::mem::take(&mut session.opened);
    let met = std::mem::take(&mut session.openapi.met_lately);
    let deepest = std::mem::replace(&mut session.deepest, folder.parents.len());
    let built = build(session);
    let may_share = !session.opened && !session.openapi.is_made();
    let base = may_share.then(|| Base {
        accumulated: Accumulated::default(),
        budget: session.options.budget,
        reads: session.reads.clone(),
        warnings: session.warnings[warnings..].to_vec(),
        spent: session.spent.since(spent),
        steps: session.steps.taken() - steps,
        entered: session.entered[entered..].to_vec(),
        levels: session.deepest - folder.parents.len(),
        met_custom_kinds: session.openapi.met_lately,
    });
    session.reads.extend(reads);
    session.opened |= opened;
    session.openapi.met_lately |= met;
    session.deepest = session.deepest.max(deepest);
    (built, base)
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(BYTES)
    }
}

impl Shared {
    /// Keeps what is made of so many bytes of files; what comes later is made each time.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            files: Files::default(),
            held: Mutex::default(),
        }
    }

    /// What of it holds for a later tree, in which what is the same lies at the paths that the test accepts. Of what was
    /// built without a record of its reads nobody knows.
    pub fn of_later_tree(&self, is_same: &dyn Fn(&str) -> bool) -> Self {
        let held = self.held();
        let documents = held.documents.iter().filter(|(path, _)| is_same(path));
        let stays = |key: &Key, base: &Base| {
            key.record_reads && base.reads.keys().all(|path| is_same(path))
        };
        let bases = held.bases.iter().filter(|(key, base)| stays(key, base));
        let later = Held {
            bytes: held.bytes,
            closed: held.closed,
            documents: documents
                .map(|(path, kept)| (path.clone(), kept.clone()))
                .collect(),
            met: held.met.clone(),
            bases: bases
                .map(|(key, base)| (key.clone(), base.clone()))
                .collect(),
        };
        Self {
            limit: self.limit,
            files: self.files.clone(),
            held: Mutex::new(later),
        }
    }

    /// Drops what is held, and keeps nothing from now on: most builds of a tree are done soon after it appears.
    pub fn close(&self) {
        *self.held() = Held {
            closed: true,
            ..Held::default()
        };
    }

    /// Bytes of the files that what is held was made of.
    pub fn held_bytes(&self) -> usize {
        self.held().bytes
    }

    /// The files that the marks of what was built mean, by number, from 1.
    pub fn file_names(&self) -> Vec<Arc<str>> {
        self.files.paths()
    }

    /// The numbers of files in the marks of what is shared.
    pub(crate) fn files(&self) -> Files {
        self.files.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The documents of a file that is not encrypted.
    pub(crate) fn documents(&self, path: &str, budget: &Budget) -> Option<Arc<Vec<Node>>> {
        let held = self.held();
        let (kept, documents) = held.documents.get(path)?;
        (kept == budget).then(|| documents.clone())
    }

    /// Keeps the documents of a file of so many bytes, once it is read for the second time.
    pub(crate) fn keep_documents(
        &self,
        path: &str,
        bytes: usize,
        budget: &Budget,
        documents: &Arc<Vec<Node>>,
    ) {
        let mut held = self.held();
        if held.closed || held.met.insert(path.to_owned()) {
            return;
        }
        if held.bytes + bytes <= self.limit {
            held.bytes += bytes;
            let kept = (*budget, documents.clone());
            held.documents.insert(path.to_owned(), kept);
        }
    }

    /// A base that was built before.
    pub(crate) fn base(&self, key: &Key) -> Option<Arc<Base>> {
        self.held().bases.get(key).cloned()
    }

    /// Keeps a base.
    pub(crate) fn keep_base(&self, key: Key, base: Base) {
        let mut held = self.held();
        if !held.closed && held.bytes + base.spent.bytes <= self.limit {
            held.bytes += base.spent.bytes;
            held.bases.insert(key, Arc::new(base));
        }
    }
}
