//! What a path means in a tree: links followed, nothing outside it, no folder inside itself.

use super::{Folder, Session};
use crate::budget::{spend, within};
use crate::build::LoadRestrictor;
use crate::error::Error;
use crate::path;
use crate::tree::EntryKind;

/// How many links one path may pass, as Linux has it.
const LINKS: usize = 40;

impl Session<'_> {
    /// The folder of the build.
    pub(crate) fn root(&mut self, path: &str) -> Result<Folder, Error> {
        match self.resolve(path)? {
            Some((real, EntryKind::Folder)) => Ok(Folder {
                path: real,
                parents: Vec::new(),
            }),
            Some(_) => Err(Error::new(format!("{path} is no folder"))),
            None => Err(Error::new(format!("there is no folder {path}"))),
        }
    }

    /// What a real path holds.
    pub(crate) fn kind(&mut self, path: &str) -> Result<Option<EntryKind>, Error> {
        if let Some(kind) = self.kinds.get(path) {
            return Ok(*kind);
        }
        let kind = self
            .tree
            .kind(path)
            .map_err(|error| Error::new(error.to_string()))?;
        self.kinds.insert(path.to_owned(), kind);
        Ok(kind)
    }

    /// The real path and kind of what a path means, links followed inside the tree; none when nothing is there.
    pub(crate) fn resolve(&mut self, path: &str) -> Result<Option<(String, EntryKind)>, Error> {
        let mut links = 0;
        let mut real = String::new();
        let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut kind = EntryKind::Folder;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real = path::parent(&real).ok_or_else(|| leaves(path))?.to_owned();
                    kind = EntryKind::Folder;
                    continue;
                }
                _ => {}
            }
            if kind != EntryKind::Folder {
                return Ok(None);
            }
            let next = path::join(&real, &part);
            match self.kind(&next)? {
                None => {
                    self.record_absent(&next);
                    return Ok(None);
                }
                Some(EntryKind::Link) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Error::new(format!("{path} passes more than {LINKS} links")));
                    }
                    let target = self.link_target(&next)?;
                    rest.extend(target.rsplit('/').map(str::to_owned));
                }
                Some(found) => {
                    kind = found;
                    real = next;
                }
            }
        }
        Ok(Some((real, kind)))
    }

    fn link_target(&mut self, path: &str) -> Result<String, Error> {
        self.record_id(path, EntryKind::Link)?;
        let bytes = self
            .tree
            .read(path)
            .map_err(|error| Error::new(error.to_string()))?;
        let target = std::str::from_utf8(&bytes)
            .map_err(|_| Error::new(format!("the link {path} has a target that is not UTF-8")))?;
        if target.starts_with('/') {
            return Err(leaves(path));
        }
        Ok(target.to_owned())
    }

    /// The real path and kind of what a kustomization in `folder` names.
    pub(crate) fn find(
        &mut self,
        folder: &Folder,
        name: &str,
    ) -> Result<Option<(String, EntryKind)>, Error> {
        let wanted = path::clean(&folder.path, name).ok_or_else(|| leaves(name))?;
        self.resolve(&wanted)
    }

    /// A folder that a kustomization in `folder` names. It cannot be that folder, one above it, or one that led there.
    pub(crate) fn enter(&mut self, folder: &Folder, name: &str) -> Result<Folder, Error> {
        let Some((real, EntryKind::Folder)) = self.find(folder, name)? else {
            return Err(Error::new(format!("there is no folder {name}")));
        };
        let budget = &self.options.budget;
        let kustomizations = &mut self.spent.kustomizations;
        spend(kustomizations, 1, budget.kustomizations, "kustomizations")?;
        let mut parents = folder.parents.clone();
        parents.push(folder.path.clone());
        within(
            parents.len(),
            budget.depth,
            "kustomizations inside one another",
        )?;
        if parents.iter().any(|parent| path::is_within(parent, &real)) {
            let way: Vec<&str> = parents.iter().map(|parent| path::shown(parent)).collect();
            return Err(Error::new(format!(
                "a cycle: {} leads back to {}",
                way.join(" → "),
                path::shown(&real)
            )));
        }
        self.entered.push(real.clone());
        self.deepest = self.deepest.max(parents.len());
        Ok(Folder {
            path: real,
            parents,
        })
    }

    /// The real path of a file that a kustomization in `folder` names, if it may.
    pub(crate) fn file(&mut self, folder: &Folder, name: &str) -> Result<String, Error> {
        path::check(name)?;
        let wanted = path::clean(&folder.path, name).ok_or_else(|| leaves(name))?;
        match self.resolve(&wanted)? {
            Some((real, EntryKind::File)) => {
                if self.options.load_restrictor == LoadRestrictor::RootOnly
                    && !self.options.flux
                    && !path::is_within(&real, &folder.path)
                {
                    return Err(Error::new(format!("{name} is not at or below {}", path::shown(&folder.path)))
                        .hint("a kustomization names files of its own folder; `--load-restrictor=LoadRestrictionsNone` lifts this"));
                }
                Ok(real)
            }
            Some(_) => Err(Error::new(format!(
                "{name} is a folder, and a file is wanted"
            ))),
            None => Err(Error::new(format!("there is no file {name}"))),
        }
    }
}

fn leaves(path: &str) -> Error {
    Error::new(format!("{path} leads out of the tree"))
}
