//! The custom resources, field for field as Flux defines them, and nothing but types.

#[cfg(test)]
pub mod kustomization;
