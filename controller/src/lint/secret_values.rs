//! The values of Secrets that can be read: in documents, in lists of objects, in patches that a kustomization holds, and
//! beside encrypted ones.

use overlay::yaml::{Dialect, Mark, Node, read_documents};
use regex::Regex;

use super::files::File;

/// How a value begins that SOPS encrypted.
const SEALED: &str = "ENC[";

/// The fields of a Secret that hold values.
const FIELDS: [&str; 2] = ["data", "stringData"];

/// A Secret with values that can be read.
pub(super) struct Readable {
    /// What it is called.
    pub(super) name: String,
    /// Field and key of each value.
    pub(super) keys: Vec<String>,
    /// Where the first one stands.
    pub(super) mark: Mark,
    /// Where the Secret is written.
    pub(super) lies: Lies,
}

/// Where a Secret is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// In a document of its own.
    Document,
    /// In a list of objects, which SOPS would encrypt as one.
    List,
    /// In a patch inside a kustomization.
    Patch,
}

/// The Secrets of a document with values that can be read.
pub(super) fn readable(file: &File, document: &Node) -> Vec<Readable> {
    let mut found = Vec::new();
    collect(document, Lies::Document, false, file, &mut found);
    if file.is_kustomization() {
        found.extend(patched(file, document));
    }
    found
}

fn collect(node: &Node, lies: Lies, is_listed: bool, file: &File, found: &mut Vec<Readable>) {
    let kind = node.find_str(&["kind"]).unwrap_or_default();
    let is_core = node.find_str(&["apiVersion"]) == Some("v1");
    if is_listed || (kind == "Secret" && is_core) {
        found.extend(of_secret(node, lies, file));
    }
    if kind.ends_with("List") {
        let items = node.get("items").and_then(Node::as_sequence);
        for item in items.unwrap_or_default() {
            // The objects of a list of one kind need not say what they are.
            collect(item, Lies::List, kind == "SecretList", file, found);
        }
    }
}

fn of_secret(secret: &Node, lies: Lies, file: &File) -> Option<Readable> {
    let fields = FIELDS.iter().flat_map(|field| {
        let plain = plain(secret, field, file).into_iter();
        plain.map(move |(key, mark)| (format!("{field}.{key}"), mark))
    });
    let plain: Vec<(String, Mark)> = fields.collect();
    let (_, mark) = plain.first()?;
    let name = secret.find_str(&["metadata", "name"]).unwrap_or_default();
    Some(Readable {
        name: name.to_owned(),
        mark: *mark,
        keys: plain.into_iter().map(|(key, _)| key).collect(),
        lies,
    })
}

/// The values of a field that nobody encrypted, and that its rule should not have left as they are.
fn plain<'a>(secret: &'a Node, field: &str, file: &File) -> Vec<(&'a str, Mark)> {
    let is_sealed = |value: &Node| {
        let text = value.as_str();
        file.is_encrypted && text.is_some_and(|text| text.starts_with(SEALED))
    };
    let entries = secret.get(field).and_then(Node::as_mapping);
    let entries: Vec<_> = entries
        .into_iter()
        .flat_map(|mapping| mapping.iter())
        .collect();
    let is_mixed = entries.iter().any(|(_, value)| is_sealed(value));
    let metadata = secret.get("sops").filter(|_| file.is_encrypted);
    let is_left = |key: &str| metadata.is_some_and(|sops| is_left_open(sops, field, key, is_mixed));
    let told = entries
        .into_iter()
        .filter(|(key, value)| is_plain(value) && !is_sealed(value) && !is_left(&key.text));
    told.map(|(key, value)| (key.text.as_str(), value.mark))
        .collect()
}

/// Whether the rule by which a file was encrypted chooses by the names of keys, and did not choose this one. A rule for
/// other fields has not looked at this one.
fn is_left_open(sops: &Node, field: &str, key: &str, is_mixed: bool) -> bool {
    let ends = |rule: &str, text: &str| Some(text.ends_with(sops.find_str(&[rule])?));
    let fits =
        |rule: &str, text: &str| Some(Regex::new(sops.find_str(&[rule])?).ok()?.is_match(text));
    let is_named = ends("unencrypted_suffix", key).or(fits("unencrypted_regex", key));
    let has_field = ends("encrypted_suffix", field).or(fits("encrypted_regex", field));
    let by_comment = ["encrypted_comment_regex", "unencrypted_comment_regex"];
    let by_comment = by_comment.iter().any(|rule| sops.get(rule).is_some());
    is_named == Some(true) || (is_mixed && (has_field == Some(false) || by_comment))
}

/// Text that is neither empty nor made of variables.
fn is_plain(value: &Node) -> bool {
    let text = value.as_str();
    text.is_some_and(|text| !text.is_empty() && !text.contains("${")) && !value.is_null()
}

/// What patches inside a kustomization put into Secrets. They stand where the patch begins.
fn patched(file: &File, kustomization: &Node) -> Vec<Readable> {
    let list = |field: &str| {
        let items = kustomization.get(field).and_then(Node::as_sequence);
        items.unwrap_or_default().iter()
    };
    let inline = ["patches", "patchesJson6902"].into_iter().flat_map(list);
    let inline =
        inline.filter_map(|item| Some((item.get("patch")?, item.find_str(&["target", "kind"]))));
    let merged = list("patchesStrategicMerge").map(|text| (text, None));
    let mut found = Vec::new();
    for (patch, kind) in inline.chain(merged) {
        let text = patch.as_str().unwrap_or_default();
        let documents = read_documents(text.as_bytes(), 0, Dialect::Kustomize);
        for document in documents.unwrap_or_default() {
            let before = found.len();
            match document.as_sequence() {
                Some(operations) if kind == Some("Secret") => {
                    found.extend(of_operations(operations))
                }
                _ => collect(&document, Lies::Patch, false, file, &mut found),
            }
            let new = found[before..].iter_mut();
            new.for_each(|readable| (readable.mark, readable.lies) = (patch.mark, Lies::Patch));
        }
    }
    found
}

/// What the operations of a JSON patch put into a Secret.
fn of_operations(operations: &[Node]) -> Option<Readable> {
    let keys = operations.iter().filter_map(|operation| {
        let path = operation.find_str(&["path"])?.strip_prefix('/')?;
        let field = path.split('/').next().filter(|it| FIELDS.contains(it))?;
        let value = operation.get("value")?;
        let mut values = value.as_mapping().into_iter().flat_map(|it| it.iter());
        let is_told = is_plain(value) || values.any(|(_, value)| is_plain(value));
        is_told.then(|| path.replacen(&format!("{field}/"), &format!("{field}."), 1))
    });
    let keys: Vec<String> = keys.collect();
    (!keys.is_empty()).then(|| Readable {
        name: String::new(),
        keys,
        mark: Mark::default(),
        lies: Lies::Patch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_chooses_by_keys_is_believed_and_one_for_other_fields_is_not() {
        let sops = |rule: &str| read_documents(rule.as_bytes(), 0, Dialect::Kustomize).unwrap();
        let open = |rule: &str, key: &str, is_mixed: bool| {
            is_left_open(&sops(rule)[0], "stringData", key, is_mixed)
        };
        assert!(!open("encrypted_regex: ^(data)$", "password", false));
        assert!(!open(
            "encrypted_regex: ^(data|stringData)$",
            "password",
            true
        ));
        assert!(open("encrypted_regex: ^password$", "user", true));
        assert!(open(
            "unencrypted_suffix: _unencrypted",
            "user_unencrypted",
            true
        ));
        assert!(!open("unencrypted_suffix: _unencrypted", "user", true));
        assert!(!open("lastmodified: x", "user", true));
    }
}
