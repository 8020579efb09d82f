//! The custom resources, field for field as Flux defines them, and nothing but types.

pub mod bucket;
pub mod definitions;
pub mod duration;
pub mod git_repository;
pub mod inventory;
pub mod kustomization;
pub mod meta;
pub mod oci_repository;
pub mod receiver;
