//! Patches: strategic merge and JSON 6902, as kustomize applies them, and the table of merge keys.

mod elements;
pub(crate) mod json6902;
mod kinds;
pub(crate) mod schema;
pub(crate) mod strategic;
pub(crate) mod through_json;

pub use kinds::merge_keys;

#[cfg(test)]
mod properties;
