//! A tree without its symbolic links, as the artifacts of sources are.

use std::sync::Arc;

use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};

/// All of a tree but its links.
pub struct Linkless(pub Box<dyn Tree>);

impl Linkless {
    fn visible(&self, path: &str) -> Result<(), TreeError> {
        match self.leaves_out_link(path) {
            true => Err(TreeError::NotFound {
                path: path.to_owned(),
                wanted: "file",
            }),
            false => Ok(()),
        }
    }
}

impl Tree for Linkless {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(self.0.kind(path)?.filter(|kind| *kind != EntryKind::Link))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let mut entries = self.0.list(path)?;
        entries.retain(|entry| entry.kind != EntryKind::Link);
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.visible(path)?;
        self.0.read(path)
    }

    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        self.visible(path)?;
        self.0.read_within(path, limit)
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        match self.leaves_out_link(path) {
            true => Ok(None),
            false => self.0.id(path),
        }
    }

    fn leaves_out_link(&self, path: &str) -> bool {
        self.0.kind(path) == Ok(Some(EntryKind::Link))
    }

    fn is_program(&self, path: &str) -> Result<bool, TreeError> {
        self.0.is_program(path)
    }
}
