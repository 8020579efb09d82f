//! Reasons not to promote: each has a name, and whoever knows better overrides it with a reason that is written down.

use std::collections::{BTreeMap, BTreeSet};

use super::auto::Heard;
use super::leak::Leak;
use super::prepare::AppChange;
use super::record::Override;
use crate::comparison::{Comparison, EnvironmentChange, LeafChange, Problem};

/// A reason not to promote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What overrides it: `--override NAME=REASON`.
    pub name: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where it cannot be overridden.
    pub hint: Option<String>,
}

/// Both sides changed a leaf.
pub const CONFLICT: &str = "conflict";
/// Nothing is known of the past of a leaf.
pub const FIRST_MEETING: &str = "first-meeting";
/// An environment no longer builds.
pub const BUILD: &str = "build";
/// Environments outside the target change.
pub const OUTSIDE: &str = "outside";
/// A value of the source's environments would reach the target's.
pub const LEAK: &str = "leak";
/// It is a time in which nothing is promoted.
pub const FREEZE: &str = "freeze";
/// The source does not run what is promoted, or is not well.
pub const HEALTH: &str = "health";
/// Objects of the target's environments are not as they were applied.
pub const DRIFT: &str = "drift";
/// The source has not run it for long enough.
pub const SOAK: &str = "soak";

/// Those that people may override.
pub const OVERRIDABLE: [&str; 6] = [OUTSIDE, LEAK, FREEZE, HEALTH, SOAK, DRIFT];

/// Leaves on which people must decide first.
pub fn open(apps: &[AppChange]) -> Vec<Refusal> {
    let mut counts = [0, 0];
    let files = apps.iter().flat_map(|app| &app.files);
    for finding in files.flat_map(|file| &file.outcome.findings) {
        match finding.what {
            super::merge::What::Conflict => counts[0] += 1,
            super::merge::What::Unmet => counts[1] += 1,
            _ => {}
        }
    }
    let mut refusals = Vec::new();
    if counts[0] > 0 {
        refusals.push(Refusal {
            name: CONFLICT,
            message: format!("{} changed on both sides", places(counts[0])),
            hint: Some(
                "settle each: `--take source FILE[:PATH]`, `--take target FILE[:PATH]`, `--pin FILE:PATH --reason WHY`, \
                 or all in the work tree with `--edit`"
                    .to_owned(),
            ),
        });
    }
    if counts[1] > 0 {
        refusals.push(Refusal {
            name: FIRST_MEETING,
            message: format!(
                "{} differ, and there is no earlier promotion to tell who changed what",
                places(counts[1])
            ),
            hint: Some("say whose counts: `--adopt source [FILE[:PATH]]` or `--adopt target [FILE[:PATH]]`".to_owned()),
        });
    }
    refusals
}

fn places(count: usize) -> String {
    match count {
        1 => "1 place".to_owned(),
        count => format!("{count} places"),
    }
}

/// Environments that no longer build.
pub fn broken(comparison: &Comparison) -> Option<Refusal> {
    let broken = comparison.environments.iter().find_map(|environment| {
        environment
            .leaves
            .iter()
            .find_map(|leaf| match &leaf.problem {
                Some(Problem::Breaks(why)) => Some((environment, leaf, why)),
                _ => None,
            })
    });
    broken.map(|(environment, leaf, why)| Refusal {
        name: BUILD,
        message: format!(
            "{} would no longer build: {}: {why}",
            environment.name, leaf.name
        ),
        hint: None,
    })
}

/// Environments that change although the target does not reach them.
pub fn outside(comparison: &Comparison, targets: &BTreeSet<String>) -> Option<Refusal> {
    // What did not build before and does not now has not changed.
    let is_changed = |environment: &&EnvironmentChange| {
        let stays_broken =
            |leaf: &LeafChange| matches!(leaf.problem, Some(Problem::StaysBroken(_)));
        environment.leaves.is_empty() || !environment.leaves.iter().all(stays_broken)
    };
    let others: Vec<&str> = comparison
        .environments
        .iter()
        .filter(is_changed)
        .map(|environment| environment.name.as_str())
        .filter(|name| !targets.contains(*name))
        .collect();
    (!others.is_empty()).then(|| Refusal {
        name: OUTSIDE,
        message: format!(
            "environments outside the target change: {}",
            others.join(", ")
        ),
        hint: None,
    })
}

/// Environments of the target that have drifted, by what they published.
pub fn drifted(heard: &BTreeMap<String, Heard>, targets: &BTreeSet<String>) -> Option<Refusal> {
    let of = |(name, heard): (&String, &Heard)| {
        let Heard::Said(said) = heard else {
            return None;
        };
        let mut folders = said.folders.values();
        let drifted = folders.find_map(|running| running.drifted.as_ref())?;
        Some(format!("{name} has drifted: {drifted}"))
    };
    let meant = heard.iter().filter(|(name, _)| targets.contains(*name));
    let drifted: Vec<String> = meant.filter_map(of).collect();
    (!drifted.is_empty()).then(|| Refusal {
        name: DRIFT,
        message: drifted.join("; "),
        hint: None,
    })
}

/// Values that would leak.
pub fn leak(leaks: &[Leak]) -> Option<Refusal> {
    let first = leaks.first()?;
    let more = match leaks.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    Some(Refusal {
        name: LEAK,
        message: format!(
            "{} of {} would hold `{}`, which belongs to the source{more}",
            first.object, first.environment, first.text
        ),
        hint: None,
    })
}

/// Those that are not overridden, and what overrode the others.
pub fn standing(refusals: Vec<Refusal>, overrides: &[Override]) -> (Vec<Refusal>, Vec<Override>) {
    let names = |overridden: &Override, refusal: &Refusal| {
        OVERRIDABLE.contains(&refusal.name) && overridden.refusal == refusal.name
    };
    let used = overrides
        .iter()
        .filter(|it| refusals.iter().any(|refusal| names(it, refusal)));
    let used: Vec<Override> = used.cloned().collect();
    let mut standing = refusals;
    standing.retain(|refusal| !used.iter().any(|it| names(it, refusal)));
    (standing, used)
}
