//! What people said before a merge: which fields never travel, which side wins where, what is pinned.

use overlay::path::{clean, is_within};
use overlay::yaml::Tag;
use serde::{Deserialize, Serialize};

use super::place::{Place, covers};
use super::plain::Plain;

/// One of the two files that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The file that is promoted.
    Source,
    /// The file that it is promoted into.
    Target,
}

/// A side chosen for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The place, or one around it; empty for the whole file.
    pub path: String,
    /// The side.
    pub side: Side,
}

/// What holds for one file.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Places that never travel.
    pub never: Vec<String>,
    /// Sides chosen where both sides changed, or where nothing is known of the past.
    pub choices: Vec<Choice>,
    /// Places where the target keeps its own.
    pub pins: Vec<String>,
    /// The folder of the file on the target's side, by which the entries of `resources` are read.
    pub folder: String,
    /// Folders of the source: entries of `resources`, `components` and `bases` that lead there never travel.
    pub home: Vec<String>,
}

/// The field of a kustomization file that makes Secrets, and what it is given in place: no stage's secrets are another's.
const SECRETS: [&str; 2] = ["secretGenerator", "literals"];

fn is_secret(place: &Place) -> bool {
    place.fields == SECRETS
}

/// A value as people read it, without what Secrets are made of.
pub(super) fn shown(place: &Place, value: &Plain) -> String {
    let is_inside = place
        .fields
        .first()
        .is_some_and(|field| field == SECRETS[0]);
    masked(value, is_inside).shown()
}

fn masked(value: &Plain, is_inside: bool) -> Plain {
    match value {
        Plain::Sequence(items) => {
            Plain::Sequence(items.iter().map(|item| masked(item, is_inside)).collect())
        }
        Plain::Mapping(entries) => {
            let entry = |(key, value): (&String, &Plain)| {
                let value = match is_inside && key == SECRETS[1] {
                    true => Plain::Scalar {
                        text: "***".to_owned(),
                        tag: Tag::Str,
                    },
                    false => masked(value, is_inside || key == SECRETS[0]),
                };
                (key.clone(), value)
            };
            Plain::Mapping(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

/// Lists of a kustomization file that name folders.
const FOLDERS: [&str; 3] = ["resources", "components", "bases"];

impl Rules {
    pub(super) fn is_never(&self, place: &Place) -> bool {
        if is_secret(place) {
            return true;
        }
        self.never
            .iter()
            .any(|pattern| covers(pattern, &place.shown))
    }

    pub(super) fn is_pinned(&self, place: &Place) -> bool {
        self.pins
            .iter()
            .any(|pattern| covers(pattern, &place.shown))
    }

    /// The last choice that names the place.
    pub(super) fn choice(&self, place: &Place) -> Option<Side> {
        let named = |choice: &&Choice| covers(&choice.path, &place.shown);
        self.choices.iter().rfind(named).map(|choice| choice.side)
    }

    /// True for an entry of a kustomization file that leads into a folder of the source.
    pub(super) fn leads_home(&self, place: &Place, entry: &str) -> bool {
        let is_list = place.fields.len() == 1 && FOLDERS.contains(&place.field());
        let Some(path) = clean(&self.folder, entry).filter(|_| is_list) else {
            return false;
        };
        self.home.iter().any(|home| is_within(&path, home))
    }
}
