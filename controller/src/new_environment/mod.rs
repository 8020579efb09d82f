//! A new environment made after the likeness of another one: its files, its rule for secrets, and what is still to be
//! filled in. Computed here, written by `cli`.
//!
//! ```text
//! model's folders ──copy──▶ files with the new name ──┐
//! its cluster's files ──joined──▶ one environment more ┼──▶ Draft ──▶ built, compared with the model, then written
//! model's secrets ──secrets──▶ the same keys, empty ───┤
//! .sops.yaml ──rules──▶ a rule for the new folders ────┘
//! ```

mod copy;
mod documents;
mod joined;
mod likeness;
mod listing;
mod places;
mod platform;
mod renamed;
mod rules;
mod secrets;
mod to_fill_in;

use overlay::{Tree, TreeError};
use sops::{Keyring, Time};

use crate::environments::{Environment, Graph};
use crate::promotion::overlaid::Changes;

pub use likeness::sides;
pub use places::{Places, places};
pub use platform::{Platform, clash};
pub use secrets::Values;
pub use to_fill_in::Open;

/// What is made after what.
pub struct Request<'a> {
    /// The new environment's name.
    pub name: &'a str,
    /// The model.
    pub model: &'a Environment,
    /// Where both lie.
    pub places: &'a Places,
    /// Whose key opens the new environment's secrets.
    pub recipient: Option<&'a str>,
    /// What the new secrets hold.
    pub values: Values<'a>,
    /// OpenPGP keys that the rules name.
    pub keyring: &'a Keyring,
    /// When.
    pub now: Time,
}

/// A new environment that is not written yet.
pub struct Draft {
    /// The files.
    pub changes: Changes,
    /// What somebody has to fill in or look at.
    pub open: Vec<Open>,
}

/// Why no draft can be made.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The tree does not give it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The repository is of another form than this can be done in.
    #[error("{0}")]
    Form(String),
    /// A secret cannot be read or written.
    #[error("{0}: {1}")]
    Secret(String, Box<sops::Error>),
    /// The model has secrets, and nobody said whose key opens the new ones.
    #[error("{0} is encrypted: the new environment needs a key of its own")]
    NoRecipient(String),
}

/// Makes a draft; nothing is written.
pub fn draft(tree: &dyn Tree, graph: &Graph, request: &Request<'_>) -> Result<Draft, DraftError> {
    let copied = copy::copied(tree, request)?;
    let mut draft = Draft {
        open: to_fill_in::values(tree, request, &copied.changes)?,
        changes: copied.changes,
    };
    if let Some(platform) = request.places.shared_cluster() {
        draft
            .changes
            .extend(joined::joined(tree, request, platform)?);
    }
    if !copied.sealed.is_empty() {
        // The key of a cluster that is there already opens the new files, too.
        if request.recipient.is_none() && request.places.shared_cluster().is_none() {
            return Err(DraftError::NoRecipient(copied.sealed[0].from.clone()));
        }
        let rules = rules::with_rule(tree, request, &copied.sealed)?;
        for file in &copied.sealed {
            let made = secrets::made(tree, request, file, &rules.text)?;
            draft.open.extend(made.open);
            draft.changes.insert(file.to.clone(), Some(made.bytes));
        }
        if rules.is_new {
            let text = rules.text.into_bytes();
            draft.changes.insert(rules.path, Some(text));
        }
    }
    draft.open.extend(to_fill_in::lists(graph, request));
    Ok(draft)
}
