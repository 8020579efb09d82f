//! The composer: the files of a tree become the manifests of one cluster, as `kustomize build` makes them.
//!
//! Pure functions of bytes: no network, no clock, no environment, no file system. The same tree gives the
//! same output, byte for byte; nothing panics; every error names file and line.
//!
//! ```text
//! Tree ──yaml──▶ Node ──kustomization──▶ Kustomization ──accumulate──▶ [Object] ──transform, refs──▶ Build
//! ```

pub mod build;
pub mod error;
pub mod object;
pub mod tree;
pub mod yaml;

pub use build::{Build, Options, build};
pub use error::{Error, Errors, Place, Warning};
pub use object::{Object, ObjectId, Origin};
pub use tree::{Entry, EntryKind, MemTree, ObjectHash, Tree, TreeError};
