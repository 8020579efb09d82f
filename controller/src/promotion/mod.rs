//! Promotion: what one stage has becomes what the next one has, merged leaf by leaf, with its effect shown first.

pub mod merge;
