//! Names that give a secret away: a generator ends the name of what it makes in a hash of the content, and what a short
//! secret is can be tried out against that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use overlay::unknown::Marker;
use overlay::{Object, ObjectId};

use super::generated::{UNKNOWN_SUFFIX, is_of_stem, stem, stem_of};
use super::values::holds_token;

/// What stands in place of a hash that is not shown.
const HIDDEN_SUFFIX: &str = "***";

/// Names that end in a hash of secret content, and how each is shown: `key-***`.
#[derive(Clone, Debug, Default)]
pub struct SecretNames {
    names: BTreeMap<String, String>,
}

impl SecretNames {
    /// Those among objects, as they were built.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>, marker: &Marker) -> Self {
        let mut names = Self::default();
        for object in objects {
            if secret_stem(object, marker).is_some() {
                names.hide(&object.id.name);
            }
        }
        names
    }

    /// Those of what is in a cluster: of a Secret whose name ends so nobody says that a generator did not make it.
    pub fn add_live(&mut self, id: &ObjectId) {
        if is_secret(id) {
            self.hide(&id.name);
        }
    }

    /// One more, if it ends in a hash.
    pub fn hide(&mut self, name: &str) {
        if let Some(stem) = stem_of(name) {
            self.add(name, &format!("{stem}-{HIDDEN_SUFFIX}"));
        }
    }

    /// One that is shown otherwise.
    pub fn add(&mut self, name: &str, shown: &str) {
        self.names.insert(name.to_owned(), shown.to_owned());
    }

    /// All of another one besides.
    pub fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// A text with each of these names as it is shown.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for (name, instead) in &self.names {
            if shown.contains(name.as_str()) {
                shown = Cow::Owned(shown.replace(name, instead));
            }
        }
        shown
    }
}

/// The name without a hash, of a generated object that holds secrets.
pub fn secret_stem<'o>(object: &'o Object, marker: &Marker) -> Option<&'o str> {
    let stem = stem(object)?;
    let is_secret =
        is_secret(&object.id) || object.node.holds_secret() || holds_token(&object.node, marker);
    is_secret.then_some(stem)
}

/// Whether two names are those of one object as far as they are shown: where the ends of both are not known, or not
/// shown, the rest counts.
pub fn may_be_same(name: &str, other: &str) -> bool {
    let told = |name: &str| {
        let (stem, end) = name.rsplit_once('-')?;
        [HIDDEN_SUFFIX, UNKNOWN_SUFFIX]
            .contains(&end)
            .then(|| stem.to_owned())
    };
    let fits = |stem: &str, name: &str| {
        told(name).is_some_and(|other| other == stem) || is_of_stem(stem, name)
    };
    match (told(name), told(other)) {
        _ if name == other => true,
        (Some(stem), _) => fits(&stem, other),
        (_, Some(stem)) => fits(&stem, name),
        (None, None) => false,
    }
}

fn is_secret(id: &ObjectId) -> bool {
    id.group.is_empty() && id.kind == "Secret"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_its_hash_wherever_it_stands() {
        let mut names = SecretNames::default();
        names.hide("key-8h2kg4f6bt");
        names.hide("plain-name");
        for (text, shown) in [
            ("key-8h2kg4f6bt", "key-***"),
            (
                "volumes[key-8h2kg4f6bt].secret and key-8h2kg4f6bt",
                "volumes[key-***].secret and key-***",
            ),
            ("plain-name", "plain-name"),
            ("key-9999999999", "key-9999999999"),
        ] {
            assert_eq!(names.shown(text), shown, "{text}");
        }
    }

    #[test]
    fn names_whose_ends_are_not_told_are_compared_without_them() {
        for (name, other, expected) in [
            ("key", "key", true),
            ("key-***", "key-(unknown)", true),
            ("key-***", "key-8h2kg4f6bt", true),
            ("key-8h2kg4f6bt", "key-(unknown)", true),
            ("key-8h2kg4f6bt", "key-8h2kg4f6bf", false),
            ("key-***", "other-***", false),
            ("key-***", "key-plain", false),
            ("key", "key-***", false),
        ] {
            assert_eq!(may_be_same(name, other), expected, "{name} {other}");
            assert_eq!(may_be_same(other, name), expected, "{other} {name}");
        }
    }
}
