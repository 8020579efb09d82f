//! The new environment's secrets: the keys of the model's, and values that somebody fills in, or the model's own where
//! the caller can read these.

use sops::{Answers, Document, Format, Keyring, MacPolicy, Recipe};

use super::copy::Sealed;
use super::to_fill_in::Open;
use super::{DraftError, Request};

/// What the new secrets hold.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// Markers that are never applied.
    Blank,
    /// What the model's hold, opened with these keys.
    Copied(&'a Keyring),
}

/// A new encrypted file, and what of it is to be filled in.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) open: Vec<Open>,
}

/// Makes the like of an encrypted file, by the rules of the new environment.
pub(super) fn made(
    tree: &dyn overlay::Tree,
    request: &Request<'_>,
    file: &Sealed,
    rules: &str,
) -> Result<Made, DraftError> {
    let failed = |error: sops::Error| DraftError::Secret(file.from.clone(), Box::new(error));
    let bytes = tree.read(&file.from)?;
    let format = Format::of(&file.from, &bytes);
    let document = Document::read(&bytes, format).map_err(failed)?;
    let recipe = recipe(rules, &file.to).map_err(failed)?;
    let now = request.now;
    let bytes = match request.values {
        Values::Blank => sops::blank(document, &recipe, request.keyring, now).map_err(failed)?,
        Values::Copied(keys) => {
            let recipe = Recipe {
                rule: document.metadata.rule.clone(),
                ..recipe
            };
            let opened =
                sops::decrypt(document, keys, &Answers::new(), MacPolicy::Error).map_err(failed)?;
            let plain = opened.write_to_edit().map_err(failed)?;
            sops::encrypt(&plain, format, &recipe, request.keyring, now).map_err(failed)?
        }
    };
    let open = match request.values {
        Values::Blank => vec![Open {
            file: file.to.clone(),
            line: 0,
            what: format!(
                "every value is {}: `weir secrets edit {}`",
                sops::FILL_IN,
                file.to
            ),
        }],
        Values::Copied(_) => Vec::new(),
    };
    Ok(Made { bytes, open })
}

/// The recipe for a path: the rule that was made for it is the first one.
fn recipe(rules: &str, path: &str) -> Result<Recipe, sops::Error> {
    Ok(sops::recipe(rules.as_bytes(), path)?.unwrap_or_default())
}
