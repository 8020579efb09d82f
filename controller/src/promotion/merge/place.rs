//! Where in a file a leaf stands, and the patterns by which people name such places.

use regex::Regex;

/// A place in a file: as it is shown, and what is known of the object around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// `spec.template.spec.containers[api].image`; in a file of several documents with the object's name in front.
    pub(super) shown: String,
    /// The keys from the root of the object, without the steps into list items.
    pub(super) fields: Vec<String>,
    pub(super) api_version: String,
    pub(super) kind: String,
}

impl Place {
    /// The value of a key.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut next = self.clone();
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_/".contains(char);
        if !next.shown.is_empty() && !next.shown.ends_with(':') {
            next.shown.push('.');
        }
        match !key.is_empty() && key.chars().all(is_plain) {
            true => next.shown.push_str(key),
            false => next.shown.push_str(&format!("{key:?}")),
        }
        next.fields.push(key.to_owned());
        next
    }

    /// An item of a list, by what it is called.
    pub(super) fn item(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.shown.push_str(&format!("[{name}]"));
        next
    }

    /// The same place, as the root of a text that it holds.
    pub(super) fn inside(&self) -> Self {
        Self {
            shown: self.shown.clone(),
            ..Self::default()
        }
    }

    /// The name of the field at hand.
    pub(super) fn field(&self) -> &str {
        self.fields.last().map_or("", String::as_str)
    }
}

/// True when a pattern names a place or something around it: `spec.values` names `spec.values.image.tag`. `*` stands for
/// anything within a name, and an empty pattern for all.
pub fn covers(pattern: &str, path: &str) -> bool {
    if pattern.is_empty() || pattern == path {
        return true;
    }
    let is_around = |rest: &str| rest.starts_with(['.', '[', ':']);
    if !pattern.contains('*') {
        return path.strip_prefix(pattern).is_some_and(is_around);
    }
    let expression = regex::escape(pattern).replace(r"\*", r"[^.\[\]]*");
    Regex::new(&format!(r"^(?:.*:)?{expression}(?:$|[.\[:])"))
        .is_ok_and(|found| found.is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_as_plans_show_them() {
        let place = Place::default()
            .key("data")
            .key("app.yaml")
            .key("list")
            .item("x");
        assert_eq!(place.shown, "data.\"app.yaml\".list[x]");
        assert_eq!(place.field(), "list");
    }

    #[test]
    fn a_pattern_names_a_place_and_all_below() {
        for (pattern, path, want) in [
            ("", "spec", true),
            ("spec.replicas", "spec.replicas", true),
            ("spec", "spec.replicas", true),
            ("spec.rep", "spec.replicas", false),
            ("spec.containers", "spec.containers[api].image", true),
            (
                "spec.containers[*].image",
                "spec.containers[api].image",
                true,
            ),
            ("spec.*.image", "spec.values.image.tag", true),
            ("*.image", "spec.values.image", false),
            ("spec.replicas*", "spec.other", false),
            ("spec.*", "Deployment/shop:spec.replicas", true),
        ] {
            assert_eq!(covers(pattern, path), want, "{pattern} {path}");
        }
    }
}
