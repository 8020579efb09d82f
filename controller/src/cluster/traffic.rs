//! What is sent to an API server, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object, or whatever else is at a path.
    Get,
    /// Opens a watch or another stream.
    Watch,
    /// Server-side apply that writes nothing.
    DryRun,
    /// Server-side apply, or any other patch.
    Patch,
    /// Creates.
    Create,
    /// Replaces.
    Update,
    /// Deletes.
    Delete,
}

/// All verbs, with their names.
const VERBS: [(Verb, &str); 7] = [
    (Verb::Get, "get"),
    (Verb::Watch, "watch"),
    (Verb::DryRun, "dry-run"),
    (Verb::Patch, "patch"),
    (Verb::Create, "create"),
    (Verb::Update, "update"),
    (Verb::Delete, "delete"),
];

impl Verb {
    /// What a request that is no stream does.
    pub(super) fn of(method: &Method, target: &str) -> Self {
        match *method {
            Method::PATCH | Method::POST | Method::PUT if target.contains("dryRun=All") => {
                Self::DryRun
            }
            Method::PATCH => Self::Patch,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::DELETE => Self::Delete,
            _ => Self::Get,
        }
    }
}

/// Counts of requests by verb, and of those that failed. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_verb: [AtomicU64; VERBS.len()],
    refused: AtomicU64,
    unanswered: AtomicU64,
    waiting: AtomicU64,
}

impl Traffic {
    /// A request is sent.
    pub(super) fn send(&self, verb: Verb) {
        let own = VERBS.iter().zip(&self.0.by_verb);
        for (_, count) in own.filter(|((other, _), _)| *other == verb) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was answered with an error of the server's or with a conflict of writers, or not at all.
    pub(super) fn end(&self, status: Option<u16>) {
        match status {
            None => self.0.unanswered.fetch_add(1, Ordering::Relaxed),
            Some(429 | 500..) => self.0.refused.fetch_add(1, Ordering::Relaxed),
            Some(_) => return,
        };
    }

    /// A request waits for its place until what is given back is dropped.
    pub(super) fn wait(&self) -> Waiting {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// Requests sent, by verb.
    pub fn by_verb(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self
            .0
            .by_verb
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        VERBS.iter().map(|(_, name)| *name).zip(counts)
    }

    /// Requests that the server could not serve: too much to do, or broken inside.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Requests that were never answered.
    pub fn unanswered(&self) -> u64 {
        self.0.unanswered.load(Ordering::Relaxed)
    }

    /// Requests that wait for a place now.
    pub fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

/// A request that waits for its place.
pub(super) struct Waiting(Traffic);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_do() {
        let traffic = Traffic::default();
        for (method, target) in [
            (
                Method::PATCH,
                "/api/v1/x?fieldManager=m&force=true&dryRun=All",
            ),
            (Method::PATCH, "/api/v1/x?fieldManager=m&force=true"),
            (Method::GET, "/api/v1/x"),
            (Method::GET, "/api/v1/x?labelSelector=a"),
            (Method::DELETE, "/api/v1/x"),
        ] {
            traffic.send(Verb::of(&method, target));
        }
        let waits = traffic.wait();
        let counts: Vec<_> = traffic.by_verb().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            counts,
            [("get", 2), ("dry-run", 1), ("patch", 1), ("delete", 1)]
        );
        assert_eq!(traffic.waiting(), 1);
        drop(waits);
        assert_eq!(traffic.waiting(), 0);
        for status in [Some(200), Some(404), Some(429), Some(503), None] {
            traffic.end(status);
        }
        assert_eq!((traffic.refused(), traffic.unanswered()), (2, 1));
    }
}
