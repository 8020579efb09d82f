//! Leaks: names and values of the source's environments that a promotion would carry into the target's.

use std::collections::BTreeSet;

use overlay::yaml::{Node, Value, read_documents};
use overlay::{Object, Tree, TreeError};

use super::scope::files_below;
use crate::environments::{Environment, Graph};

/// Shorter strings say nothing.
const SHORTEST: usize = 4;

/// A string of the source's environments in the target's render.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The string.
    pub text: String,
    /// The environment that would get it.
    pub environment: String,
    /// The object.
    pub object: String,
}

/// Finds what the render of the target's environments would newly hold of the source's.
pub fn leaks(
    tree: &dyn Tree,
    [before, after]: [&Graph; 2],
    sources: &BTreeSet<String>,
    targets: &BTreeSet<String>,
) -> Result<Vec<Leak>, TreeError> {
    let mut strings = own_strings(tree, before, sources)?;
    for known in own_strings(tree, before, targets)? {
        strings.remove(&known);
    }
    let mut leaks = BTreeSet::new();
    for environment in after
        .environments
        .iter()
        .filter(|it| targets.contains(&it.name))
    {
        let old = before
            .environments
            .iter()
            .find(|it| it.name == environment.name && it.path == environment.path);
        let had: BTreeSet<&str> = old.map(texts).unwrap_or_default();
        for (object, text) in objects(environment).flat_map(|object| {
            let mut found = Vec::new();
            collect(&object.node, &mut found);
            found.into_iter().map(move |text| (object, text))
        }) {
            if had.contains(text) {
                continue;
            }
            let is_new = |string: &&String| !had.iter().any(|old| holds_word(old, string));
            let found = strings.iter().filter(|string| holds_word(text, string));
            let found = found.filter(is_new);
            leaks.extend(found.map(|string| Leak {
                text: string.clone(),
                environment: environment.name.clone(),
                object: object.id.to_string(),
            }));
        }
    }
    Ok(leaks.into_iter().collect())
}

fn objects(environment: &Environment) -> impl Iterator<Item = &Object> {
    environment.leaves.iter().flat_map(|leaf| leaf.objects())
}

fn texts(environment: &Environment) -> BTreeSet<&str> {
    let mut found = Vec::new();
    objects(environment).for_each(|object| collect(&object.node, &mut found));
    found.into_iter().collect()
}

/// What only these environments say: their names, their clusters' variables, and the texts in their own folders.
fn own_strings(
    tree: &dyn Tree,
    graph: &Graph,
    names: &BTreeSet<String>,
) -> Result<BTreeSet<String>, TreeError> {
    let mut strings = BTreeSet::new();
    for environment in graph
        .environments
        .iter()
        .filter(|it| names.contains(&it.name))
    {
        strings.insert(environment.name.clone());
        for leaf in &environment.leaves {
            let folder = [&environment.path, &leaf.path]
                .into_iter()
                .find(|path| is_environment(path));
            for path in folder
                .map(|folder| files_below(tree, folder))
                .transpose()?
                .unwrap_or_default()
            {
                strings_of(tree, &path, &mut strings)?;
            }
            let variables = leaf.variables.iter().flat_map(|variables| variables.iter());
            let known =
                variables.filter(|(_, variable)| !variable.secret && !variable.is_unknown());
            strings.extend(known.map(|(_, variable)| variable.value().to_owned()));
        }
    }
    strings.retain(|text| text.chars().count() >= SHORTEST && !text.contains('\n'));
    Ok(strings)
}

/// Folders under `envs/` belong to environments.
fn is_environment(path: &str) -> bool {
    path.starts_with("envs/")
}

fn strings_of(
    tree: &dyn Tree,
    path: &str,
    strings: &mut BTreeSet<String>,
) -> Result<(), TreeError> {
    if tree.kind(path)? != Some(overlay::EntryKind::File) {
        return Ok(());
    }
    let bytes = tree.read(path)?;
    let documents = read_documents(&bytes, 0, Default::default()).unwrap_or_default();
    for document in &documents {
        let mut found = Vec::new();
        collect(document, &mut found);
        strings.extend(
            found
                .into_iter()
                .filter(|text| !text.starts_with("ENC["))
                .map(str::to_owned),
        );
    }
    Ok(())
}

/// The scalars of a node. What kind an object is of is no fact of an environment.
fn collect<'a>(node: &'a Node, found: &mut Vec<&'a str>) {
    match &node.value {
        Value::Scalar(scalar) => found.push(&scalar.text),
        Value::Secret(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Mapping(mapping) => {
            let told = mapping.iter().filter(|(key, _)| !is_kind(&key.text));
            told.for_each(|(_, value)| collect(value, found));
        }
    }
}

fn is_kind(key: &str) -> bool {
    matches!(key, "kind" | "apiVersion")
}

/// Whether a text holds a string with nothing of a word on either side.
fn holds_word(text: &str, string: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(string).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + string.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::holds_word;

    #[test]
    fn only_whole_words_count() {
        for (text, string, want) in [
            ("https://shop.staging.example.com", "staging", true),
            ("prestaging", "staging", false),
            ("staging_1", "staging", false),
            ("eu-west-1", "eu-west-1", true),
            ("eu-west-12", "eu-west-1", false),
            ("", "staging", false),
        ] {
            assert_eq!(holds_word(text, string), want, "{text} {string}");
        }
    }
}
