//! The default branch, as a clone knows it: there `weir.yaml` counts, and there copies by hand are looked for.

use crate::source::history::History;

/// What the default branch is called where a clone does not remember it.
const NAMES: [&str; 2] = ["main", "master"];

/// Where the default branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trunk {
    /// What is looked at stands on it.
    Here,
    /// At this revision.
    At(String),
    /// Nothing tells which branch it is: what is looked at counts.
    Unknown,
}

/// This clone has not got the default branch.
#[derive(Debug, thiserror::Error)]
#[error("this clone has no branch `{name}`, whose weir.yaml is to count")]
pub struct MissingTrunk {
    remote: String,
    name: String,
}

impl MissingTrunk {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let Self { remote, name } = self;
        format!("`git fetch {remote} {name}:refs/remotes/{remote}/{name}` brings it")
    }
}

/// The name of the default branch: as it was named, as the clone remembers it, or by the only branch that is usually
/// called so.
pub fn name(history: &History, remote: &str, named: Option<&str>) -> Option<String> {
    let told = named.map(str::to_owned);
    told.or_else(|| history.default_branch(remote))
        .or_else(|| usual(history, &format!("refs/remotes/{remote}")))
        .or_else(|| usual(history, "refs/heads"))
}

fn usual(history: &History, folder: &str) -> Option<String> {
    let has = |name: &&str| history.has_ref(&format!("{folder}/{name}"));
    let mut found = NAMES.into_iter().filter(has);
    let first = found.next()?;
    found.next().is_none().then(|| first.to_owned())
}

/// Where the default branch is for what is looked at, which may stand on a branch.
pub fn trunk(
    history: &History,
    remote: &str,
    name: Option<&str>,
    branch: Option<&str>,
) -> Result<Trunk, MissingTrunk> {
    let Some(name) = name else {
        return Ok(Trunk::Unknown);
    };
    if branch == Some(name) {
        return Ok(Trunk::Here);
    }
    let places = [
        format!("refs/remotes/{remote}/{name}"),
        format!("refs/heads/{name}"),
    ];
    let mut known = places.into_iter().filter(|place| history.has_ref(place));
    known.next().map(Trunk::At).ok_or_else(|| MissingTrunk {
        remote: remote.to_owned(),
        name: name.to_owned(),
    })
}

impl Trunk {
    /// The revision whose `weir.yaml` counts, where it is not the one that is looked at.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Self::At(revision) => Some(revision),
            Self::Here | Self::Unknown => None,
        }
    }
}
