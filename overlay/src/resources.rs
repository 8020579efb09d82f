//! An ordered collection of manifests in progress, in which no two are the same object.

use std::collections::HashSet;

use crate::budget::Steps;
use crate::error::{Error, Errors, Mistakes};
use crate::history::Gone;
use crate::resource::{Behavior, Id, Resource};

/// Manifests in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    /// The manifests. Transformers may change them in place; what renames or deletes calls
    /// [`Resources::drop_gone`] or [`Resources::check_unique`] after it.
    pub list: Vec<Resource>,
    /// Those that were removed, when their history is recorded.
    pub gone: Vec<Gone>,
}

impl Resources {
    /// From manifests that must not repeat one another.
    pub(crate) fn from_list(list: Vec<Resource>) -> Result<Self, Errors> {
        let mut resources = Self::default();
        resources.append_all(list)?;
        Ok(resources)
    }

    /// Adds manifests; one that is already there is an error.
    pub(crate) fn append_all(&mut self, list: Vec<Resource>) -> Result<(), Errors> {
        let mut known = self.keys();
        self.append_unknown(list, &mut known)
    }

    /// The same with the keys of what is there, for whom adds again and again.
    pub(crate) fn append_unknown(
        &mut self,
        list: Vec<Resource>,
        known: &mut HashSet<Id>,
    ) -> Result<(), Errors> {
        let mut mistakes = Mistakes::default();
        for resource in list {
            match known.insert(resource.id().key()) {
                true => self.list.push(resource),
                false => mistakes.push(already_there(&resource)),
            }
        }
        mistakes.or(())
    }

    /// Every id is there once.
    pub(crate) fn check_unique(&self) -> Result<(), Errors> {
        let mut known = HashSet::with_capacity(self.list.len());
        let mut mistakes = Mistakes::default();
        for resource in &self.list {
            if !known.insert(resource.id().key()) {
                mistakes.push(already_there(resource));
            }
        }
        mistakes.or(())
    }

    /// Changes all manifests. A mistake in one does not hide those of others, and what it spoils is judged no more.
    pub(crate) fn each(
        &mut self,
        steps: &mut Steps,
        mut change: impl FnMut(&mut Resource, &mut Steps) -> Result<(), Error>,
    ) -> Result<(), Errors> {
        let mut mistakes = Mistakes::default();
        for resource in self.list.iter_mut().filter(|resource| !resource.broken) {
            let id = resource.id();
            let Err(error) = change(resource, steps) else {
                continue;
            };
            mistakes.push(resource.blame(error));
            resource.break_off(&id);
            if steps.are_spent() {
                break;
            }
        }
        mistakes.or(())
    }

    /// The keys of all manifests.
    pub(crate) fn keys(&self) -> HashSet<Id> {
        self.list
            .iter()
            .map(|resource| resource.id().key())
            .collect()
    }

    /// Forgets the manifests that patches deleted.
    pub(crate) fn drop_gone(&mut self) {
        self.drop_those(Resource::is_gone);
    }

    /// Forgets the manifests that the test accepts, but for their history.
    pub(crate) fn drop_those(&mut self, test: fn(&Resource) -> bool) {
        let dropped = self.list.extract_if(.., |resource| test(resource));
        let traced = dropped.filter_map(|resource| resource.trace);
        self.gone.extend(traced.map(Gone::new));
    }

    /// The positions of the manifests that have, or had, this name and an id that the test accepts.
    pub(crate) fn positions_of(&self, name: &str, accepts: impl Fn(&Id) -> bool) -> Vec<usize> {
        let has = |resource: &Resource| {
            resource.was_called(|have| have == name)
                && !resource.is_gone()
                && resource.all_ids().any(|id| id.name == name && accepts(&id))
        };
        self.list
            .iter()
            .enumerate()
            .filter_map(|(position, resource)| has(resource).then_some(position))
            .collect()
    }

    /// The one manifest that is, or was, this object.
    pub(crate) fn position_of(&self, id: &Id) -> Result<usize, Error> {
        match self.positions_of(&id.name, |candidate| candidate.is_same(id))[..] {
            [position] => Ok(position),
            [] => Err(Error::new(format!("no object {id} is there"))),
            _ => Err(Error::new(format!("more than one object is or was {id}"))),
        }
    }

    /// Adds a generated manifest as its behaviour says: a new one, or in place of the one of its name.
    pub(crate) fn absorb(&mut self, mut resource: Resource) -> Result<(), Error> {
        let id = resource.id();
        let matches = self.positions_of(&id.name, |candidate| candidate.is_same(&id));
        match (&matches[..], resource.behavior) {
            ([], Behavior::Merge | Behavior::Replace) => Err(Error::new(format!(
                "{id} is not there to be merged into or replaced"
            ))),
            ([], _) => {
                self.list.push(resource);
                Ok(())
            }
            (&[position], Behavior::Replace | Behavior::Merge) => {
                crate::generate::adopt(&mut resource, &self.list[position]);
                let was = self.list[position].id();
                if !resource.id().is_same(&was) {
                    let changed = format!("{id} is {was} by now, and cannot be changed as {id}");
                    return Err(Error::new(changed));
                }
                resource.trace = self.list[position].trace.take();
                self.list[position] = resource;
                Ok(())
            }
            ([_], _) => Err(Error::new(format!("{id} is already there"))
                .hint("say `behavior: merge` or `behavior: replace` to change it")),
            _ => Err(Error::new(format!("more than one object is or was {id}"))),
        }
    }
}

fn already_there(resource: &Resource) -> Error {
    Error::new(format!("{} is there twice", resource.id()))
        .at(resource.origin.place.clone())
        .hint("a resource is added once; change it with a patch")
}
