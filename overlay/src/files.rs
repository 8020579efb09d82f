//! The files of a build and their numbers, which the marks of nodes carry in place of paths.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Place;
use crate::yaml::Mark;

/// The files of a build by number: what [`Mark::file`] means. Clones share their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    paths: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u16>,
}

impl Files {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a file; 0, "none", for those beyond the 65,535th.
    pub(crate) fn number(&self, path: &str) -> u16 {
        let mut table = self.table();
        if let Some(number) = table.numbers.get(path) {
            return *number;
        }
        let Ok(number) = u16::try_from(table.paths.len() + 1) else {
            return 0;
        };
        let path: Arc<str> = path.into();
        table.paths.push(path.clone());
        table.numbers.insert(path, number);
        number
    }

    /// The place that a mark means.
    pub(crate) fn place(&self, mark: Mark) -> Place {
        Place {
            file: self.path(mark).unwrap_or_default(),
            line: mark.line,
            column: mark.column.into(),
        }
    }

    /// The number of a file that has one already, else 0.
    pub(crate) fn known(&self, path: &str) -> u16 {
        self.table().numbers.get(path).copied().unwrap_or(0)
    }

    /// The path of the file that a mark is in.
    pub(crate) fn path(&self, mark: Mark) -> Option<Arc<str>> {
        let index = usize::from(mark.file).checked_sub(1)?;
        self.table().paths.get(index).cloned()
    }

    /// The paths in the order of their numbers, from 1.
    pub(crate) fn paths(&self) -> Vec<Arc<str>> {
        self.table().paths.clone()
    }
}
