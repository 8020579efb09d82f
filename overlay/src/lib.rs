//! The composer: the files of a tree become the manifests of one cluster, as `kustomize build` makes them.
//!
//! Pure functions of bytes: no network, no clock, no environment, no file system. The same tree gives the
//! same output, byte for byte; nothing panics; every error names file and line.
//!
//! ```text
//! Tree ──yaml──▶ Node ──kustomization──▶ Kustomization ──accumulate──▶ [Resource] ──transform, refs──▶ Build
//! ```

mod accumulate;
mod ahead;
mod alias;
mod budget;
pub mod build;
mod configuration;
mod crds;
mod decode;
pub mod error;
mod expression;
mod field_path;
mod fieldspec;
mod files;
mod flux;
mod generate;
pub mod history;
mod kustomization;
mod kustomization_file;
mod labels;
mod load;
mod manifest;
mod merge;
pub mod object;
mod openapi;
pub mod path;
mod plugins;
mod provenance;
mod refold;
mod refs;
mod resource;
mod resources;
mod scalar;
mod scope;
mod select;
pub mod shared;
pub mod suggest;
mod transform;
pub mod tree;
pub mod unknown;
pub mod vars;
pub mod yaml;

pub use build::{Build, Options, build};
pub use error::{Error, Errors, Place, Warning};
pub use merge::merge_keys;
pub use object::{Object, ObjectId, Origin};
pub use select::{Target, TargetMatcher};
pub use shared::Shared;
pub use tree::{Entry, EntryKind, MemTree, ObjectHash, Tree, TreeError};
