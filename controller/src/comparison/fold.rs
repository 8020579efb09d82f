//! Environments to which a change does the same are told of once.

use std::borrow::Cow;

use super::{EnvironmentChange, text};
use crate::environments::LeafName;

/// What stands for the folders that environments are, each its own.
const OWN_FOLDER: &str = "its own folder";

/// Environments with the same changes.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The environments, by name; one at least.
    pub environments: Vec<&'a EnvironmentChange>,
    /// What is told of all of them.
    told: Cow<'a, EnvironmentChange>,
}

impl<'a> Group<'a> {
    /// Takes one more in. How many objects stay as they are is left out where that is not the same in each.
    fn add(&mut self, environment: &'a EnvironmentChange) {
        self.environments.push(environment);
        let number = |it: &EnvironmentChange| it.unchanged.values().sum::<usize>();
        if number(environment) != number(&self.told) && !self.told.unchanged.is_empty() {
            self.told.to_mut().unchanged.clear();
        }
    }

    /// What is told of all of them, in the words of the first.
    pub fn first(&self) -> &EnvironmentChange {
        match self.environments.as_slice() {
            [only] => only,
            _ => &self.told,
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.environments
            .iter()
            .map(|it| it.name.as_str())
            .collect()
    }

    /// The stages of all of them.
    pub fn stages(&self) -> Vec<&str> {
        let mut stages: Vec<&str> = self
            .environments
            .iter()
            .flat_map(|it| it.stages.iter().map(String::as_str))
            .collect();
        stages.sort_unstable();
        stages.dedup();
        stages
    }
}

/// The environments in groups, in the order of their first ones.
pub fn groups(environments: &[EnvironmentChange]) -> Vec<Group<'_>> {
    let mut groups: Vec<(String, Group<'_>)> = Vec::new();
    for environment in environments {
        let told = without_own_folder(environment);
        let key = format!(
            "{:?}{:?}{}",
            environment.presence,
            environment.kind,
            text::body(&told)
        );
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.add(environment),
            None => {
                let group = Group {
                    environments: vec![environment],
                    told,
                };
                groups.push((key, group));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// A folder that is built as it lies is called by its path, which would tell apart what is the same.
fn without_own_folder(environment: &EnvironmentChange) -> Cow<'_, EnvironmentChange> {
    let is_own = |name: &LeafName| name.namespace.is_empty() && name.name == environment.path;
    if !environment.leaves.iter().any(|leaf| is_own(&leaf.name)) {
        return Cow::Borrowed(environment);
    }
    let mut told = environment.clone();
    for leaf in &mut told.leaves {
        if is_own(&leaf.name) {
            OWN_FOLDER.clone_into(&mut leaf.name.name);
        }
    }
    Cow::Owned(told)
}
