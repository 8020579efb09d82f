//! What mends a finding without anybody having to think, and the files as they are then.

use std::collections::BTreeMap;

use overlay::yaml::{Dialect, read_documents};
use overlay::{Place, Tree};
use sops::{Format, Keyring, Time};

use super::Finding;

/// A change that means what was meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fix {
    /// Puts a text in the place of another.
    Replace {
        /// Where the old one stands.
        place: Place,
        /// The text that stands there.
        old: String,
        /// The text that belongs there.
        new: String,
    },
    /// Encrypts a file.
    Encrypt {
        /// The file.
        file: String,
        /// The rules that say for whom.
        rules: String,
    },
}

/// Why a file could not be mended.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// The tree does not give it.
    #[error(transparent)]
    Tree(#[from] overlay::TreeError),
    /// It cannot be encrypted.
    #[error("{0}: {1}")]
    Encrypt(String, Box<sops::Error>),
}

/// Files by path, with what they hold from now on.
pub type Mended = BTreeMap<String, Vec<u8>>;

/// The files that the fixes of findings change, and how many fixes went in.
pub fn mended(
    tree: &dyn Tree,
    findings: &[Finding],
    now: Time,
) -> Result<(Mended, usize), FixError> {
    let fixes: Vec<&Fix> = findings
        .iter()
        .filter_map(|finding| finding.fix.as_ref())
        .collect();
    let (mut mended, mut count) = (Mended::new(), 0);
    // From the end of each file on, so that the places of the others stay right.
    for fix in fixes.iter().rev() {
        if let Fix::Replace { place, old, new } = fix {
            let text = current(tree, &mended, &place.file)?;
            if let Some(text) = replaced(&text, place, old, new) {
                mended.insert(place.file.to_string(), text.into_bytes());
                count += 1;
            }
        }
    }
    for fix in fixes {
        if let Fix::Encrypt { file, rules } = fix
            && !is_encrypted(&mended, file)
        {
            let plain = zeroize::Zeroizing::new(current(tree, &mended, file)?);
            if let Some(sealed) = encrypted(tree, file, rules, &plain, now)? {
                mended.insert(file.clone(), sealed);
                count += 1;
            }
        }
    }
    Ok((mended, count))
}

fn current(tree: &dyn Tree, mended: &Mended, file: &str) -> Result<String, FixError> {
    let bytes = match mended.get(file) {
        Some(bytes) => bytes.clone(),
        None => tree.read(file)?.to_vec(),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_encrypted(mended: &Mended, file: &str) -> bool {
    mended
        .get(file)
        .is_some_and(|bytes| Format::of_content(bytes).is_some())
}

/// The text with one piece put in the place of another, when it stands there and the whole can be read afterwards.
fn replaced(text: &str, place: &Place, old: &str, new: &str) -> Option<String> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let (offset, _) = text[start..].char_indices().nth(column)?;
    let at = start + offset;
    let behind = text[at..].strip_prefix(old)?;
    let mended = format!("{}{new}{behind}", &text[..at]);
    read_documents(mended.as_bytes(), 0, Dialect::Kustomize).ok()?;
    Some(mended)
}

fn encrypted(
    tree: &dyn Tree,
    file: &str,
    rules: &str,
    plain: &str,
    now: Time,
) -> Result<Option<Vec<u8>>, FixError> {
    let failed = |error| FixError::Encrypt(file.to_owned(), Box::new(error));
    let folder = rules.strip_suffix(sops::RULES_FILE).unwrap_or_default();
    let inner = file.strip_prefix(folder).unwrap_or(file);
    let Some(recipe) = sops::recipe(&tree.read(rules)?, inner).map_err(failed)? else {
        return Ok(None);
    };
    let format = Format::of(file, plain.as_bytes());
    let sealed = sops::encrypt(plain.as_bytes(), format, &recipe, &Keyring::default(), now);
    sealed.map(Some).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_where_it_stands_and_nowhere_else() {
        let text = "a: 1\nb: é 80\nc: 80\n";
        let place = |line, column| Place {
            file: "x.yaml".into(),
            line,
            column,
        };
        let replaced = |line, column| super::replaced(text, &place(line, column), "80", "\"80\"");
        assert_eq!(
            replaced(3, 4).as_deref(),
            Some("a: 1\nb: é 80\nc: \"80\"\n")
        );
        assert_eq!(replaced(1, 4), None);
        assert_eq!(replaced(9, 1), None);
        assert_eq!(replaced(0, 1), None);
        // What cannot be read afterwards is left as it was.
        assert_eq!(super::replaced(text, &place(1, 4), "1", "["), None);
    }
}
