//! What `weir.yaml` says of linting: rules that are switched off, for the whole repository or for paths.

use serde::Deserialize;

use super::RULES;
use crate::promotion::policy::matches_file;

/// The part `lint` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What is not told.
    pub ignore: Vec<Ignore>,
}

/// Rules that are switched off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ignore {
    /// These rules; all of them when none is named.
    pub rules: Vec<String>,
    /// In the files that these globs name; in all of them when there is none.
    pub paths: Vec<String>,
    /// Why, for whoever reads the file next.
    pub reason: String,
}

impl Policy {
    /// Whether findings of a rule in a file are not told.
    pub fn is_off(&self, rule: &str, file: &str) -> bool {
        self.ignore.iter().any(|ignore| {
            let rules = ignore.rules.is_empty() || ignore.rules.iter().any(|name| name == rule);
            let globs = || ignore.paths.iter().any(|glob| matches_file(glob, file));
            rules && (ignore.paths.is_empty() || globs())
        })
    }

    /// The first thing in it that cannot be meant.
    pub fn mistake(&self) -> Option<String> {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        let mut named = self.ignore.iter().flat_map(|ignore| &ignore.rules);
        let unknown = named.find(|name| !names.contains(&name.as_str()))?;
        Some(match overlay::suggest::nearest(unknown, &names) {
            Some(near) => format!("lint: there is no rule {unknown:?}; did you mean {near}?"),
            None => format!(
                "lint: there is no rule {unknown:?}; there are {}",
                names.join(", ")
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(rules: &[&str], paths: &[&str]) -> Policy {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Policy {
            ignore: vec![Ignore {
                rules: texts(rules),
                paths: texts(paths),
                reason: String::new(),
            }],
        }
    }

    #[test]
    fn a_rule_is_off_for_the_files_that_are_named() {
        let policy = ignore(&["schema"], &["platform/**"]);
        assert!(policy.is_off("schema", "platform/a/b.yaml"));
        assert!(!policy.is_off("schema", "apps/b.yaml"));
        assert!(!policy.is_off("unpinned-image", "platform/a/b.yaml"));
        assert!(ignore(&[], &["*.agekey"]).is_off("plaintext-secret", "a/b.agekey"));
        assert!(ignore(&["schema"], &[]).is_off("schema", "x.yaml"));
    }

    #[test]
    fn a_rule_that_is_none_is_a_mistake() {
        assert_eq!(ignore(&["schema"], &[]).mistake(), None);
        let mistake = ignore(&["unpined-image"], &[])
            .mistake()
            .expect("a mistake");
        assert!(
            mistake.contains("did you mean unpinned-image?"),
            "{mistake}"
        );
    }
}
