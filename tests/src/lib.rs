//! What the end-to-end tests stand on: a real control plane, real Git over real HTTP, Weir as a
//! process that can be killed, and a proxy that breaks the road between them.
//!
//! ```text
//! Repository ──push──▶ GitServer ◀──fetch── Weir ──▶ (FaultProxy) ──▶ ControlPlane
//! ```
//! Nothing here stands in for the real thing but the key services of clouds, and nothing is a singleton but the control
//! plane that the tests of one run share, each in a namespace of its own.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness that cannot go on has failed the test"
)]

mod audit;
pub mod browser;
mod control_plane;
mod event_receiver;
mod eventually;
mod fault_proxy;
mod file_server;
pub mod forge_server;
mod forward_proxy;
mod git_server;
pub mod github;
pub mod golden;
pub mod http_client;
mod http_server;
pub mod key_service;
mod listening;
mod object_storage;
pub mod objects;
mod program;
mod published;
mod referrers_front;
pub mod registry;
mod repository;
pub mod scene;
mod signer;
mod ssh_server;
mod terminal;
mod tls_door;
mod token_server;
mod weir;

pub use audit::{AuditLog, Call, count_by};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use event_receiver::EventReceiver;
pub use eventually::eventually;
pub use fault_proxy::{Fault, FaultProxy, Held, RequestLine};
pub use file_server::FileServer;
pub use forward_proxy::ForwardProxy;
pub use git_server::{Credentials, GitServer, GitServerOptions};
pub use key_service::KeyService;
pub use object_storage::{KEY as STORAGE_KEY, ObjectStorage};
pub use published::publish_state;
pub use referrers_front::ReferrersFront;
pub use registry::Registry;
pub use repository::Repository;
pub use scene::Scene;
pub use signer::Signer;
pub use ssh_server::{SshKey, SshServer, SshServerOptions};
pub use terminal::Terminal;
pub use tls_door::TlsDoor;
pub use weir::Weir;
