//! Transformers: what a kustomization does to the objects below it. One file each; they run in the order of the table.

use crate::configuration::Configuration;
use crate::error::Errors;
use crate::load::{Folder, Session};
use crate::resources::Resources;

/// A configured transformer.
pub(crate) trait Transformer {
    /// Changes the objects. Deleted ones are left as null nodes; the caller drops them.
    fn transform(&self, resources: &mut Resources, session: &mut Session<'_>)
    -> Result<(), Errors>;
}

/// Where a transformer is configured: it may read files of the folder, and warn.
pub(crate) struct Setting<'s, 'a> {
    /// The build.
    pub session: &'s mut Session<'a>,
    /// The kustomization's folder.
    pub folder: &'s Folder,
    /// The field specs in force.
    pub configuration: &'s Configuration,
}
