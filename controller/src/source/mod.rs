//! How a revision of a Git repository becomes a snapshot: look up refs, fetch, read, verify, archive.
//!
//! ```text
//! Remote + Reference ──look up──▶ Head ──fetch, when the commit is new──▶ cache ──▶ GitTree ──▶ Filtered ──▶ Snapshot
//! ```
//! Nothing is ever checked out: a snapshot is a commit and a tree that is read from the object database.

pub mod access;
mod advertisement;
mod archive;
pub mod artifact;
pub mod bucket;
mod cache;
pub mod client;
pub mod error;
mod failure;
mod fetch;
pub mod filtered;
pub mod git_tree;
pub mod github_app;
pub mod graft;
pub mod history;
mod http;
mod ignore;
mod known_hosts;
pub mod linkless;
mod listing;
mod lookup;
pub mod mirror;
pub mod oci;
pub mod push;
pub mod reference;
pub mod refresh;
pub mod remote;
pub mod revision;
pub mod saved;
mod server;
pub mod signing;
pub mod snapshot;
mod ssh;
pub mod storage;
pub mod submodules;
pub mod subtree;
mod tunnel;
pub mod unpacked;
pub mod verification;
mod version;
pub mod work_tree;

pub use access::{Access, Credentials, Proxy, SshIdentity};
pub use error::SourceError;
pub use filtered::{Filtered, Selection};
pub use git_tree::GitTree;
pub use history::History;
pub use known_hosts::known_lines;
pub use reference::Reference;
pub use refresh::{Fetched, Repositories, recall, refresh};
pub use remote::{Remote, RemoteUrl};
pub use snapshot::{Commit, Snapshot};
pub use storage::{Storage, StorageError};
pub use verification::{TrustedKeys, VerificationError};
