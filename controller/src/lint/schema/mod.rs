//! Rule: a field that its kind does not have, one that is missing, one of a wrong type, or with a value that is not allowed.
//!
//! The fields of the built-in kinds stand in a table, those of others in the definitions that lie in the repository, and
//! Weir brings its own. Kinds that none of these speak of are not checked. Checked is what comes out of the builds: a
//! patch by itself need not be whole. What the API server fills in is not missed.

mod bounds;
mod built_in;
mod check;
mod definitions;
mod fields;

use std::collections::HashSet;

use overlay::TreeError;

use super::fix::Fix;
use super::{Finding, Site};
use crate::environments::unread_patches;
use check::{Problem, check};
use fields::Schemas;

/// Checks every object of every environment.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let schemas = schemas(site);
    let mut found = Vec::new();
    for (environment, object) in site.objects() {
        // SOPS's own part stands beside the fields of what stays encrypted on purpose, and so do patches that cannot be
        // read.
        if object.node.get("sops").is_some()
            || !unread_patches(&object.node, &site.marker).is_empty()
        {
            continue;
        }
        let Some(kind) = schemas.of(&object.id) else {
            continue;
        };
        let mut problems = Vec::new();
        check(site, &schemas, &object.node, kind, &mut problems);
        let mut told = HashSet::new();
        for problem in problems {
            if told.insert((problem.path.clone(), problem.message.clone())) {
                let finding = finding(site, object, problem);
                found.push(finding.seen_in(&environment.name));
            }
        }
    }
    Ok(found)
}

fn schemas(site: &Site<'_>) -> Schemas {
    let mut schemas = built_in::schemas();
    definitions::own(&mut schemas);
    let documents = site.files.iter().flat_map(|file| &file.documents);
    documents.for_each(|document| definitions::add(&mut schemas, document));
    site.objects()
        .for_each(|(_, object)| definitions::add(&mut schemas, &object.node));
    schemas
}

fn finding(site: &Site<'_>, object: &overlay::Object, problem: Problem) -> Finding {
    let place = site.place(problem.mark, object);
    let fix = problem.repair.map(|(old, new)| Fix::Replace {
        place: place.clone(),
        old,
        new,
    });
    let message = format!("{}: {}: {}", object.id, problem.path, problem.message);
    Finding {
        fix,
        hint: problem.hint,
        ..Finding::new(place, message)
    }
}
