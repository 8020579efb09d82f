//! Why a Kustomization is built anew: the files that were touched, and the way from them to it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use overlay::build::Reads;

use crate::environments::{Changed, Environment, Leaf, LeafName};

/// How a change comes from one Kustomization to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The spec of this one changes in the output of what brings it.
    Spec(LeafName),
    /// These variables of this one change, in what its ancestors render.
    Variables(LeafName, Vec<String>),
}

/// Files, and the way from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The files that were touched.
    pub files: Vec<String>,
    /// The steps from what they are read for to the Kustomization.
    pub steps: Vec<Step>,
}

impl fmt::Display for Cause {
    /// `a.yaml, b.yaml → spec of flux-system/dns`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.files.join(", "))?;
        for step in &self.steps {
            match step {
                Step::Spec(name) => write!(f, " → spec of {name}")?,
                Step::Variables(name, names) => {
                    write!(f, " → variables of {name}: {}", names.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

/// Why the Kustomization of a name is other than before; nothing when it is the same value.
pub fn causes(
    before: Option<&Environment>,
    after: Option<&Environment>,
    name: &LeafName,
    changed: &Changed,
) -> Vec<Cause> {
    let find = |side: Option<&Environment>, name: &LeafName| {
        let mut leaves = side.into_iter().flat_map(|it| &it.leaves);
        leaves.find(|leaf| leaf.name == *name).cloned()
    };
    let sides = [find(before, name), find(after, name)];
    if let [Some(one), Some(other)] = &sides
        && Arc::ptr_eq(one, other)
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    let files = files(&sides, changed);
    if !files.is_empty() {
        found.push(Cause {
            files,
            steps: Vec::new(),
        });
    }
    if let Some(step) = step(&sides, name)
        && let Some(parent) = sides.iter().flatten().find_map(|leaf| leaf.parent.clone())
    {
        for mut cause in causes(before, after, &parent, changed) {
            cause.steps.push(step.clone());
            found.push(cause);
        }
    }
    found
}

/// The touched files that either build looked at; where it only listed a folder, the folder.
fn files(sides: &[Option<Arc<Leaf>>; 2], changed: &Changed) -> Vec<String> {
    let built = sides.iter().flatten().filter_map(|leaf| leaf.built());
    let reads: Vec<&Reads> = built.map(|built| &built.composed.reads).collect();
    let touched: BTreeSet<&str> = reads
        .iter()
        .flat_map(|reads| changed.among(reads))
        .collect();
    let files: Vec<String> = touched
        .iter()
        .filter(|path| changed.files.contains(**path))
        .map(|path| (*path).to_owned())
        .collect();
    match files.is_empty() {
        true => touched
            .last()
            .map(|path| (*path).to_owned())
            .into_iter()
            .collect(),
        false => files,
    }
}

/// What comes to a Kustomization from above.
fn step(sides: &[Option<Arc<Leaf>>; 2], name: &LeafName) -> Option<Step> {
    let [Some(one), Some(other)] = sides else {
        return Some(Step::Spec(name.clone()));
    };
    if one.spec != other.spec {
        return Some(Step::Spec(name.clone()));
    }
    let names = |leaf: &Leaf| -> BTreeSet<String> {
        let variables = leaf.variables.iter().flat_map(|variables| variables.iter());
        variables.map(|(name, _)| name.to_owned()).collect()
    };
    let value = |leaf: &Leaf, name: &str| {
        let variable = leaf.variables.as_ref()?.get(name)?;
        Some(variable.value().to_owned())
    };
    let all: BTreeSet<String> = names(one).union(&names(other)).cloned().collect();
    let differ: Vec<String> = all
        .into_iter()
        .filter(|name| value(one, name) != value(other, name))
        .collect();
    (!differ.is_empty()).then(|| Step::Variables(name.clone(), differ))
}
