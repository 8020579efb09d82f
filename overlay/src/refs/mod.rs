//! References between objects: names that follow renamed objects, and `$(VAR)`.

mod names;
mod variables;

pub(crate) use names::follow_names;
pub(crate) use variables::{Variables, field_path};
