//! Which branch is the default one: its `weir.yaml` counts, whatever is checked out.

use anstream::eprintln;

use super::git::Git;
use crate::cli::Failure;
use crate::promotion::policy::{self, Policy};
use crate::promotion::trunk::{MissingTrunk, Trunk, name, trunk};
use crate::source::history::{History, Point};

/// A remote, and what its default branch was said to be.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Server<'a> {
    pub(in crate::cli) remote: &'a str,
    pub(in crate::cli) default_branch: Option<&'a str>,
}

impl Server<'_> {
    /// Where the default branch is for what is checked out.
    pub(in crate::cli) fn beside_head(self, history: &History) -> Result<Trunk, Failure> {
        let name = name(history, self.remote, self.default_branch);
        let branch = history.branch();
        trunk(history, self.remote, name.as_deref(), branch.as_deref()).map_err(missing)
    }

    /// Where it is for a branch of the server, which is asked where the clone does not know it; what is there now counts.
    pub(super) fn beside_branch(
        self,
        git: &Git,
        history: &History,
        branch: &str,
    ) -> Result<Trunk, Failure> {
        let name = match name(history, self.remote, self.default_branch) {
            Some(name) => name,
            None => git.default_branch(self.remote)?,
        };
        if name == branch {
            return Ok(Trunk::Here);
        }
        Ok(Trunk::At(git.fetch(self.remote, &name)?))
    }

    /// The `weir.yaml` that counts for what is at a commit that is checked out or lies near.
    pub(in crate::cli) fn policy(self, history: &History, head: &Point) -> Result<Policy, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
        let trunk = self.beside_head(history)?;
        let tip = trunk.revision().map(|revision| history.point(revision));
        let tip = tip.transpose().map_err(|error| failed(&error))?;
        let tree = &tip.as_ref().unwrap_or(head).tree;
        policy::read(tree).map_err(|error| failed(&error))
    }
}

fn missing(error: MissingTrunk) -> Failure {
    Failure::with_hint(error.to_string(), error.hint())
}

/// Says so where nothing tells which branch is the default.
pub(super) fn warn(trunk: &Trunk) {
    if *trunk == Trunk::Unknown {
        eprintln!(
            "warning: which branch is the default is not known here, so the weir.yaml of HEAD counts; \
             `--default-branch NAME` names it, `git remote set-head origin --auto` remembers it"
        );
    }
}
