//! Rule: a Kustomization of an environment does not build.

use overlay::{Place, TreeError};

use super::{Finding, Site};
use crate::environments::{Leaf, Outcome};

/// Tells of each with the place that its message begins with.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let mut found = Vec::new();
    for (environment, leaf) in site.leaves() {
        if let Outcome::Failed(message) = &leaf.outcome {
            let (place, message) =
                split(message).unwrap_or_else(|| (own_place(site, leaf), message.clone()));
            let message = format!("does not build: {message}");
            found.push(Finding::new(place, message).seen_in(&environment.name));
        }
    }
    Ok(found)
}

/// Where it was written, else where its folder's kustomization file is.
fn own_place(site: &Site<'_>, leaf: &Leaf) -> Place {
    let written = leaf.place.clone();
    written.unwrap_or_else(|| Place::file(site.kustomization_file(&leaf.path)))
}

/// `file:line:column: message` in its parts.
fn split(message: &str) -> Option<(Place, String)> {
    let mut parts = message.splitn(4, ':');
    let file = parts
        .next()
        .filter(|file| !file.contains(char::is_whitespace))?;
    let line = parts.next()?.parse().ok()?;
    let rest = parts.next()?;
    let (column, text) = match rest.parse() {
        Ok(column) => (column, parts.next()?.to_owned()),
        Err(_) => (
            0,
            [Some(rest), parts.next()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(":"),
        ),
    };
    let place = Place {
        file: file.into(),
        line,
        column,
    };
    Some((place, text.trim_start().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_place_is_taken_off_the_message() {
        for (message, want) in [
            (
                "a/b.yaml:3:7: not so: x",
                Some(("a/b.yaml:3:7", "not so: x")),
            ),
            ("a/b.yaml:3: not so: x", Some(("a/b.yaml:3", "not so: x"))),
            ("its spec cannot be read: x", None),
            ("kustomization path not found: a", None),
        ] {
            let found = split(message);
            let found = found
                .as_ref()
                .map(|(place, text)| (place.to_string(), text.as_str()));
            let want = want.map(|(place, text)| (place.to_owned(), text));
            assert_eq!(found, want, "{message}");
        }
    }
}
