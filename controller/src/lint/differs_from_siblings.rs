//! Rule: an environment that extends something else than its siblings do.
//!
//! Siblings are the environments of one stage, or where there are no stages those whose names differ in the last part
//! only (`prod-eu`, `prod-us`). What the most of them extend is the rule; of two that differ both may be right.

use std::collections::{BTreeMap, BTreeSet};

use overlay::build::Read;
use overlay::path::is_within;
use overlay::{Place, TreeError};

use super::{Finding, Site};
use crate::environments::{Environment, Kind, facts};

/// What siblings have in common.
type Family = (String, Vec<String>);

/// An environment and the folders of others that it is made of.
struct Member<'a> {
    environment: &'a Environment,
    extends: BTreeSet<&'a str>,
}

/// Compares each environment with its siblings.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let mut families: BTreeMap<Family, Vec<Member<'_>>> = BTreeMap::new();
    let reached = site
        .graph
        .environments
        .iter()
        .filter(|it| it.kind != Kind::Unreached);
    for environment in reached.filter(|environment| !environment.fails()) {
        families
            .entry(family(site, environment))
            .or_default()
            .push(Member {
                environment,
                extends: extended(site, environment),
            });
    }
    let families = families.values().filter(|members| members.len() > 1);
    Ok(families
        .flat_map(|members| differences(site, members))
        .collect())
}

fn family(site: &Site<'_>, environment: &Environment) -> Family {
    let name = &environment.name;
    let stem = || match name.rsplit_once(['-', '/']) {
        Some((stem, _)) => stem.to_owned(),
        None => name.clone(),
    };
    let stages = facts(environment, &site.graph.folders).stages;
    match stages.is_empty() {
        true => (stem(), stages),
        false => (String::new(), stages),
    }
}

/// The folders with a kustomization that an environment is made of and that are not its own.
fn extended<'a>(site: &'a Site<'_>, environment: &'a Environment) -> BTreeSet<&'a str> {
    let own_leaves = environment.leaves.iter().map(|leaf| leaf.path.as_str());
    let own: Vec<&str> = own_leaves
        .filter(|path| is_within(path, "envs") && *path != "envs")
        .chain([environment.path.as_str()])
        .filter(|path| !path.is_empty())
        .collect();
    let built = environment.leaves.iter().filter_map(|leaf| leaf.built());
    let files = built.flat_map(|built| &built.composed.reads.paths);
    files
        .filter(|(_, read)| matches!(read, Read::File(_)))
        .filter_map(|(path, _)| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let known = site.graph.folders.by_path.get(folder)?;
            (known.file == *path).then_some(folder)
        })
        .filter(|folder| !own.iter().any(|own| is_within(folder, own)))
        .collect()
}

/// For each folder that some extend and some do not, those that are fewer; of two, the one that has more.
fn differences(site: &Site<'_>, members: &[Member<'_>]) -> Vec<Finding> {
    let folders: BTreeSet<&str> = members
        .iter()
        .flat_map(|it| it.extends.iter().copied())
        .collect();
    let mut found = Vec::new();
    for folder in folders {
        let (with, without): (Vec<_>, Vec<_>) = members
            .iter()
            .partition(|member| member.extends.contains(folder));
        if without.is_empty() {
            continue;
        }
        let (odd, others, verb) = match with.len() <= without.len() {
            true => (with, without, ["extends", "does not", "do not"]),
            false => (without, with, ["does not extend", "does", "do"]),
        };
        for member in odd {
            found.push(finding(site, member, folder, &others, verb));
        }
    }
    found
}

fn finding(
    site: &Site<'_>,
    member: &Member<'_>,
    folder: &str,
    others: &[&Member<'_>],
    [verb, one, many]: [&str; 3],
) -> Finding {
    const NAMED: usize = 3;
    let names = others
        .iter()
        .take(NAMED)
        .map(|other| other.environment.name.as_str());
    let mut names = names.collect::<Vec<_>>().join(", ");
    if others.len() > NAMED {
        names.push_str(&format!(" and {} more", others.len() - NAMED));
    }
    let does = if others.len() == 1 { one } else { many };
    let environment = member.environment;
    let message = format!(
        "{} {verb} {folder}; its sibling{} {names} {does}",
        environment.name,
        plural(others.len())
    );
    Finding::new(home(site, environment), message)
        .hint("extend the same, or say in weir.yaml that it is meant")
        .seen_in(&environment.name)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The kustomization file of the environment's own folder: under `envs/`, else where its cluster begins.
fn home(site: &Site<'_>, environment: &Environment) -> Place {
    let mut leaves = environment.leaves.iter().map(|leaf| leaf.path.as_str());
    let own = leaves.find(|path| is_within(path, "envs") && *path != "envs");
    Place::file(site.kustomization_file(own.unwrap_or(&environment.path)))
}
