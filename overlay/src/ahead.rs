//! Bases that are built ahead of their turn, on all processors.
//!
//! A list of bases is built in its order. When the first of them turn out to be much work, threads build the others
//! meanwhile, each as if it were alone; in its turn a base is taken over if it came out well, and else built again: so
//! output and errors are those of one thread.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::accumulate::{Place, build_base};
use crate::decode::Text;
use crate::load::Session;
use crate::shared::{Key, watch};
use crate::tree::EntryKind;

/// Below this many bytes of files, threads cost more than they bring. Measured: a thread takes as long to start as a
/// few kilobytes take to be read, and what it builds is copied from one processor's cache to another's.
const WORTH: usize = 128 << 10;

/// Builds the bases among the entries that come next, if what was read for those before says that it is worth it.
/// True when they are built, or never will be.
pub(crate) fn build(place: &Place<'_>, next: &[Text], read: usize, session: &Session<'_>) -> bool {
    if next.len() < 2 || !session.may_build_ahead() {
        return true;
    }
    if read < WORTH {
        return false;
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    if threads < 2 {
        return true;
    }
    let turn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(next.len()) {
            let alone = session.alone();
            let turn = &turn;
            scope.spawn(move || work(place, next, turn, alone));
        }
    });
    true
}

fn work(place: &Place<'_>, entries: &[Text], turn: &AtomicUsize, mut session: Session<'_>) {
    while let Some(entry) = entries.get(turn.fetch_add(1, Ordering::Relaxed)) {
        build_one(place, entry, &mut session);
    }
}

/// Builds a base. What goes wrong is told in its turn.
fn build_one(place: &Place<'_>, entry: &Text, session: &mut Session<'_>) {
    if !matches!(
        session.find(place.folder, entry),
        Ok(Some((_, EntryKind::Folder)))
    ) {
        return;
    }
    let Ok(folder) = session.enter(place.folder, entry) else {
        return;
    };
    let key = Key::new(&folder.path, session.options);
    let (built, base) = watch(&folder, session, |session| {
        build_base(&folder, None, session)
    });
    if let (Ok(accumulated), Some(mut base)) = (built, base) {
        base.accumulated = accumulated;
        session.ahead.put(key, base);
    }
}
