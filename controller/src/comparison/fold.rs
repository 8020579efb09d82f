//! Environments to which a change does the same are told of once.

use super::{EnvironmentChange, text};

/// Environments with the same changes.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The environments, by name; one at least.
    pub environments: Vec<&'a EnvironmentChange>,
}

impl<'a> Group<'a> {
    /// The first of them.
    pub fn first(&self) -> &'a EnvironmentChange {
        self.environments[0]
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'a str> {
        self.environments
            .iter()
            .map(|it| it.name.as_str())
            .collect()
    }

    /// The stages of all of them.
    pub fn stages(&self) -> Vec<&'a str> {
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
        let told = format!(
            "{:?}{:?}{}",
            environment.presence,
            environment.kind,
            text::body(environment)
        );
        match groups.iter_mut().find(|(other, _)| *other == told) {
            Some((_, group)) => group.environments.push(environment),
            None => {
                let group = Group {
                    environments: vec![environment],
                };
                groups.push((told, group));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
