//! How a revision of a Git repository becomes a snapshot: look up refs, fetch, read, verify, archive.
//!
//! ```text
//! Remote + Reference ──look up──▶ Head ──fetch, when the commit is new──▶ cache ──▶ GitTree ──▶ Filtered ──▶ Snapshot
//! ```
//! Nothing is ever checked out: a snapshot is a commit and a tree that is read from the object database.

pub mod access;
pub mod error;
pub mod reference;
pub mod remote;
pub mod snapshot;
pub mod work_tree;

pub use access::{Access, Credentials};
pub use error::SourceError;
pub use reference::Reference;
pub use remote::{Remote, RemoteUrl};
pub use snapshot::{Commit, Snapshot};
