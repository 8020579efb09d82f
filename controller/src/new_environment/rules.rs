//! The rule of `.sops.yaml` for the new environment's secrets: the model's, for its own folders and its own key.
//!
//! Who else reads the model's files reads the new ones: recipients that a rule for other files names as well, or all of
//! them where the rule is for others, too. Who reads the model's files alone, its cluster, does not.

use overlay::path::{is_within, join};
use overlay::yaml::{Dialect, Mapping, Node, read_documents, write_documents};
use overlay::{EntryKind, Tree};

use super::copy::Sealed;
use super::{DraftError, Request};

/// The file of rules with the new one in it.
pub(super) struct Rules {
    pub(super) path: String,
    pub(super) text: String,
    /// The text is another one than it was.
    pub(super) is_new: bool,
}

/// Adds the rule, as the first one, to the nearest file of rules above all of the model's secrets. Without a recipient of
/// its own the new environment's readers are the model's; where the model's rule is for the new files too, it stays alone.
pub(super) fn with_rule(
    tree: &dyn Tree,
    request: &Request<'_>,
    sealed: &[Sealed],
) -> Result<Rules, DraftError> {
    let path = nearest(tree, sealed)?;
    let folder = path.strip_suffix(sops::RULES_FILE).unwrap_or_default();
    let targets = request
        .places
        .pairs
        .iter()
        .map(|(_, to)| to.strip_prefix(folder).unwrap_or(to));
    let targets: Vec<String> = targets.map(literal).collect();
    let pattern = format!("^({})/", targets.join("|"));
    let Some(bytes) = read(tree, &path)? else {
        let Some(recipient) = request.recipient else {
            return Err(form(
                &path,
                "there is no such file, and no recipient was named",
            ));
        };
        let text = format!(
            "creation_rules:\n  - path_regex: {pattern}\n    encrypted_regex: ^(data|stringData)$\n    age: {recipient}\n"
        );
        return Ok(Rules {
            path,
            text,
            is_new: true,
        });
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let rules = read_documents(&bytes, 0, Dialect::Kustomize)
        .map_err(|error| form(&path, &error.message))?;
    let rules = rules.first().and_then(|rules| rules.get("creation_rules"));
    let rules = rules.and_then(Node::as_sequence).unwrap_or_default();
    let model = sealed[0]
        .from
        .strip_prefix(folder)
        .unwrap_or(&sealed[0].from);
    let Some(rule) = rules.iter().find(|rule| applies(rule, model)) else {
        return Err(form(&path, &format!("no rule is for {model}")));
    };
    let readers = match request.recipient {
        None if sealed
            .iter()
            .all(|file| is_first(rules, rule, &file.to, folder)) =>
        {
            return Ok(Rules {
                path,
                text,
                is_new: false,
            });
        }
        None => recipients(rule),
        Some(recipient) => readers(recipient, kept(tree, request, rules, rule, folder)?),
    };
    let rule = made(rule, &pattern, &readers).map_err(|problem| form(&path, problem))?;
    let first = rules.first().map(|rule| (rule.mark.line, rule.mark.column));
    match first.and_then(|(line, column)| inserted(&text, line, column, &rule)) {
        Some(text) => Ok(Rules {
            path,
            text,
            is_new: true,
        }),
        None => Err(form(&path, "its rules are no list with one rule a line")),
    }
}

/// A path as a regular expression.
fn literal(path: &str) -> String {
    let escape = |char: char| match r".+*?()|[]{}^$\".contains(char) {
        true => format!(r"\{char}"),
        false => char.to_string(),
    };
    path.chars().map(escape).collect()
}

fn form(path: &str, problem: &str) -> DraftError {
    DraftError::Form(format!("{path}: {problem}"))
}

fn read(tree: &dyn Tree, path: &str) -> Result<Option<std::sync::Arc<[u8]>>, DraftError> {
    match tree.kind(path)? {
        Some(EntryKind::File) => Ok(Some(tree.read(path)?)),
        _ => Ok(None),
    }
}

/// The rules nearest to the first secret that are above all of them; else those at the root, which may not be there yet.
fn nearest(tree: &dyn Tree, sealed: &[Sealed]) -> Result<String, DraftError> {
    let first = sealed[0].from.as_str();
    let folders = first.match_indices('/').map(|(end, _)| &first[..end]);
    for folder in folders.collect::<Vec<_>>().into_iter().rev() {
        let rules = join(folder, sops::RULES_FILE);
        let above_all = sealed
            .iter()
            .all(|file| is_within(&file.from, folder) && is_within(&file.to, folder));
        if above_all && tree.kind(&rules)? == Some(EntryKind::File) {
            return Ok(rules);
        }
    }
    Ok(sops::RULES_FILE.to_owned())
}

fn applies(rule: &Node, path: &str) -> bool {
    let Some(pattern) = rule.find_str(&["path_regex"]) else {
        return true;
    };
    regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(path))
}

/// Whether a rule is the one for a file.
fn is_first(rules: &[Node], rule: &Node, path: &str, folder: &str) -> bool {
    let inner = path.strip_prefix(folder).unwrap_or(path);
    let first = rules.iter().find(|rule| applies(rule, inner));
    first.is_some_and(|first| std::ptr::eq(first, rule))
}

/// The new environment's own key, and those that stay.
fn readers(recipient: &str, mut kept: Vec<String>) -> Vec<String> {
    kept.retain(|kept| kept != recipient);
    kept.insert(0, recipient.to_owned());
    kept
}

/// The age recipients of the model's rule that are not the model's alone.
fn kept(
    tree: &dyn Tree,
    request: &Request<'_>,
    rules: &[Node],
    rule: &Node,
    folder: &str,
) -> Result<Vec<String>, DraftError> {
    let own = recipients(rule);
    let is_models = |path: &str| {
        request
            .places
            .pairs
            .iter()
            .any(|(from, _)| is_within(path, from))
    };
    let mut others = super::copy::files_below(tree, folder.trim_end_matches('/'))?
        .into_iter()
        .filter(|path| !is_models(path));
    let is_for_others =
        others.any(|path| is_first(rules, rule, &path, folder) && is_encrypted(tree, &path));
    if is_for_others {
        return Ok(own);
    }
    let elsewhere = rules
        .iter()
        .filter(|other| !std::ptr::eq(*other, rule))
        .flat_map(recipients);
    let elsewhere: Vec<String> = elsewhere.collect();
    Ok(own
        .into_iter()
        .filter(|recipient| elsewhere.contains(recipient))
        .collect())
}

fn is_encrypted(tree: &dyn Tree, path: &str) -> bool {
    tree.read(path)
        .is_ok_and(|bytes| sops::Format::of_content(&bytes).is_some())
}

/// The age recipients of a rule, written as a list or as one text.
fn recipients(rule: &Node) -> Vec<String> {
    let texts = match rule.get("age") {
        Some(node) => match node.as_sequence() {
            Some(items) => items
                .iter()
                .filter_map(Node::as_str)
                .collect::<Vec<_>>()
                .join(","),
            None => node.as_str().unwrap_or_default().to_owned(),
        },
        None => String::new(),
    };
    let texts = texts.split([',', '\n']).map(str::trim);
    texts
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The model's rule for other files and other readers.
fn made(rule: &Node, pattern: &str, readers: &[String]) -> Result<String, &'static str> {
    if rule.get("key_groups").is_some() {
        return Err(
            "the model's rule has key groups: write the new one by hand, and name its files' recipient there",
        );
    }
    let mut made = Mapping::default();
    made.insert("path_regex", Node::string(pattern));
    let entries = rule.as_mapping().into_iter().flat_map(Mapping::iter);
    for (key, value) in
        entries.filter(|(key, _)| !["path_regex", "age"].contains(&key.text.as_str()))
    {
        made.insert(key.text.as_str(), value.clone());
    }
    made.insert("age", Node::string(readers.join(",")));
    Ok(write_documents(&[&made.into()]))
}

/// The text with an item before the first one of a list in block style.
fn inserted(text: &str, line: u32, column: u16, rule: &str) -> Option<String> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let before = text[start..]
        .chars()
        .take(usize::from(column).checked_sub(1)?)
        .collect::<String>();
    let dash = before.trim_end();
    let indent = dash.strip_suffix('-')?;
    if !indent.chars().all(|char| char == ' ') {
        return None;
    }
    let item: String = rule
        .lines()
        .enumerate()
        .map(|(index, line)| format!("{indent}{} {line}\n", if index == 0 { "-" } else { " " }))
        .collect();
    Some(format!("{}{item}{}", &text[..start], &text[start..]))
}
