//! What is wrong in the files of a repository, or will be a surprise: one file a rule, one table of rules.
//!
//! ```text
//! tree, graph of environments ──Site──▶ rule, rule, rule ──▶ [Finding] ──policy──▶ text · json · sarif
//!                                                                 └──fix──▶ files as they should be
//! ```
//! Values of Secrets are looked at and never repeated.

mod differs_from_siblings;
mod does_not_build;
mod duplicate_object;
mod files;
pub mod fix;
mod plaintext_secret;
pub mod policy;
pub mod print;
mod schema;
mod secret_values;
mod site;
mod unpinned_image;
mod unreferenced_file;

use std::collections::{BTreeMap, BTreeSet};

use overlay::{Place, TreeError};

use fix::Fix;
use policy::Policy;
pub use site::Site;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It does not work, or gives a secret away.
    Error,
    /// It works, and is probably not meant.
    Warning,
}

/// Something that is looked for.
pub struct Rule {
    /// What it is called, in findings and in `weir.yaml`.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it finds.
    pub about: &'static str,
    find: fn(&Site<'_>) -> Result<Vec<Finding>, TreeError>,
}

/// Everything that is looked for.
pub const RULES: [Rule; 7] = [
    Rule {
        name: "does-not-build",
        level: Level::Error,
        about: "a Kustomization of an environment does not build",
        find: does_not_build::find,
    },
    Rule {
        name: "plaintext-secret",
        level: Level::Error,
        about: "a Secret, an input of a secretGenerator or a private key that is not encrypted",
        find: plaintext_secret::find,
    },
    Rule {
        name: "schema",
        level: Level::Error,
        about: "a field that its kind does not have, that is missing, or whose type or value is not allowed",
        find: schema::find,
    },
    Rule {
        name: "duplicate-object",
        level: Level::Error,
        about: "an object that two Kustomizations of a cluster bring",
        find: duplicate_object::find,
    },
    Rule {
        name: "unpinned-image",
        level: Level::Warning,
        about: "an image without a tag or digest, or with the tag latest",
        find: unpinned_image::find,
    },
    Rule {
        name: "unreferenced-file",
        level: Level::Warning,
        about: "a file or folder of manifests that nothing is made of",
        find: unreferenced_file::find,
    },
    Rule {
        name: "differs-from-siblings",
        level: Level::Warning,
        about: "an environment that extends something else than its siblings do",
        find: differs_from_siblings::find,
    },
];

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad it is: that of its rule.
    pub level: Level,
    /// The rule that found it.
    pub rule: &'static str,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The environments that it was seen in; none when it is about a file whoever reads it.
    pub environments: BTreeSet<String>,
    /// What mends it without anybody having to think.
    pub fix: Option<Fix>,
}

impl Finding {
    /// A finding of the rule that gives it back; name and level are that rule's.
    fn new(place: Place, message: String) -> Self {
        Self {
            place,
            level: Level::Warning,
            rule: "",
            message,
            hint: None,
            environments: BTreeSet::new(),
            fix: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn seen_in(mut self, environment: &str) -> Self {
        self.environments.insert(environment.to_owned());
        self
    }
}

/// Looks for everything but what is switched off, in the order of files and lines.
pub fn lint(site: &Site<'_>, policy: &Policy) -> Result<Vec<Finding>, TreeError> {
    let mut found = Vec::new();
    for rule in &RULES {
        for finding in (rule.find)(site)? {
            let off = policy.is_off(rule.name, &finding.place.file);
            if !off {
                found.push(Finding {
                    rule: rule.name,
                    level: rule.level,
                    ..finding
                });
            }
        }
    }
    Ok(merged(found))
}

/// The same finding in several environments is one.
fn merged(found: Vec<Finding>) -> Vec<Finding> {
    let mut merged: BTreeMap<(Place, &str, String), Finding> = BTreeMap::new();
    for finding in found {
        let key = (finding.place.clone(), finding.rule, finding.message.clone());
        match merged.get_mut(&key) {
            Some(known) => known.environments.extend(finding.environments),
            None => drop(merged.insert(key, finding)),
        }
    }
    merged.into_values().collect()
}
