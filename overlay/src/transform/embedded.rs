//! Fields within text: a configuration file in a ConfigMap, into which a replacement reaches.

use ecow::EcoString;

use crate::budget::Steps;
use crate::error::Error;
use crate::field_path::{self, Fresh, Leaf};
use crate::scalar;
use crate::yaml::{
    Dialect, Mark, Node, Secrets, Source, Style, Tag, Value, read, resolve, to_json,
};

/// Writes a value into the text of a scalar on the path. False when there is none, or when its text has no
/// such field or cannot hold the value: then nothing is changed.
pub(super) fn write(
    node: &mut Node,
    path: &[EcoString],
    create: Option<Leaf>,
    value: &Node,
    steps: &mut Steps,
) -> Result<bool, Error> {
    let Some(length) = (1..path.len()).find(|length| is_scalar_at(node, &path[..*length])) else {
        return Ok(false);
    };
    let (outer, inner) = path.split_at(length);
    let Ok(Some(before)) = field_path::find(node, outer) else {
        return Ok(false);
    };
    steps.copy(before)?;
    let text = before.exposed().unwrap_or_default();
    let Some(text) = rewrite(text, inner, create, value) else {
        return Ok(false);
    };
    let after = scalar::with_text(before, &text, value.holds_secret());
    let mut after = Some(after);
    Ok(field_path::each_exactly(node, outer, &mut |field| {
        if let Some(after) = after.take() {
            *field = after;
        }
    }))
}

fn is_scalar_at(node: &Node, path: &[EcoString]) -> bool {
    matches!(field_path::find(node, path), Ok(Some(found)) if found.tag().is_some())
}

/// The text with the value in it.
fn rewrite(text: &str, path: &[EcoString], create: Option<Leaf>, value: &Node) -> Option<String> {
    let mut document = read(text.as_bytes(), &Source::default())
        .ok()?
        .into_iter()
        .next()?;
    if text.trim_start().starts_with(['{', '[']) {
        let mut put = |field: &mut Node, fresh| put(field, fresh, value);
        let count = field_path::each(&mut document, path, create, &mut put).ok()?;
        return (count > 0).then(|| json(&document, text));
    }
    let mut edits = Vec::new();
    let mut in_place = true;
    let count = field_path::each(&mut document, path, create, &mut |field, fresh| {
        let before = field.clone();
        let after = match put(field, fresh, value) {
            Ok(()) => notation(field),
            Err(_) => Some(mistyped(&before, value)),
        };
        match (notation(&before), after) {
            (Some(was), Some(after)) => edits.push(Edit {
                mark: before.mark,
                before: was,
                after,
            }),
            _ => in_place = false,
        }
        Ok(())
    });
    if count.ok()? == 0 {
        return None;
    }
    let edited = in_place.then(|| edit(text, edits)).flatten();
    let whole = edited.unwrap_or_else(|| crate::yaml::write_documents(&[&document]));
    Some(whole.trim().to_owned())
}

fn put(field: &mut Node, fresh: Fresh, value: &Node) -> Result<(), Error> {
    let text = value.exposed().unwrap_or_default();
    *field = match (field.tag(), fresh) {
        (None, _) => value.clone(),
        (Some(_), Fresh::New) => Node::scalar(text, resolve(text, Dialect::Kustomize)),
        (Some(_), _) => scalar::typed_text(field, text, false)?,
    };
    Ok(())
}

/// JSON as Go prints it: keys sorted, on one line unless it was on several.
fn json(document: &Node, before: &str) -> String {
    let json = sorted(to_json(document, Secrets::Revealed));
    let pretty = before.contains('\n') && before.contains("  ");
    let text = if pretty {
        serde_json::to_string_pretty(&json)
    } else {
        serde_json::to_string(&json)
    };
    text.unwrap_or_default()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn sorted(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match json {
        Json::Object(entries) => {
            let mut entries: Vec<(String, Json)> = entries.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let sorted = entries.into_iter().map(|(key, value)| (key, sorted(value)));
            Json::Object(sorted.collect())
        }
        Json::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// A scalar of a YAML text that is written anew where it stands, so that comments and layout stay.
struct Edit {
    mark: Mark,
    before: String,
    after: String,
}

/// kustomize keeps the type of what was there, and says so where the text does not look like it.
fn mistyped(before: &Node, value: &Node) -> String {
    let tag = match before.tag() {
        Some(Tag::Null) => "null",
        Some(Tag::Bool) => "bool",
        Some(Tag::Int) => "int",
        Some(Tag::Float) => "float",
        _ => "timestamp",
    };
    format!("!!{tag} {}", value.exposed().unwrap_or_default())
}

/// A scalar of one line as it is written in YAML.
fn notation(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let text = scalar.text.as_str();
    if text.contains(['\n', '\r', '\t', '\\']) {
        return None;
    }
    match scalar.style {
        Style::Plain if scalar.tag != Tag::Str => Some(text.to_owned()),
        Style::Plain if is_plain(text) => Some(text.to_owned()),
        Style::Plain if resolve(text, Dialect::Kustomize) == Tag::Str => Some(single_quoted(text)),
        Style::Plain | Style::Double => Some(format!("\"{}\"", text.replace('"', "\\\""))),
        Style::Single => Some(single_quoted(text)),
        Style::Literal | Style::Folded => None,
    }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// True when the text can stand without quotes, in a list of one line too.
fn is_plain(text: &str) -> bool {
    resolve(text, Dialect::Kustomize) == Tag::Str
        && text.trim() == text
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.contains(['[', ']', '{', '}', ','])
        && !text.starts_with([
            '-', '?', ':', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '#',
        ])
}

/// The text with all edits made; none when one does not fit.
fn edit(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.mark.line, edit.mark.column));
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for edit in edits.iter().rev() {
        let line = lines.get_mut(usize::try_from(edit.mark.line).ok()?.checked_sub(1)?)?;
        let column = usize::from(edit.mark.column).checked_sub(1)?;
        let (start, _) = line.char_indices().nth(column)?;
        if !line[start..].starts_with(&edit.before) {
            return None;
        }
        line.replace_range(start..start + edit.before.len(), &edit.after);
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, value: &str) -> Option<String> {
        rewrite(text, &field_path::split(path), None, &Node::string(value))
    }

    #[test]
    fn values_go_into_text() {
        let cases = [
            (
                "{\"b\": 1, \"a\": \"x\"}",
                "a",
                "y",
                Some("{\"a\":\"y\",\"b\":1}"),
            ),
            (
                "{\n  \"a\": {\"c\": \"<\"}\n}",
                "a.c",
                ">",
                Some("{\n  \"a\": {\n    \"c\": \"\\u003e\"\n  }\n}"),
            ),
            (
                "a: x # why\nb:\n- c: \"1\"\n",
                "b.0.c",
                "2",
                Some("a: x # why\nb:\n- c: \"2\""),
            ),
            ("a: x # why\nb: 1\n", "a", "y", Some("a: y # why\nb: 1")),
            ("a: x\n", "a", "5", Some("a: \"5\"")),
            ("a: 1\n", "a", "y", Some("a: !!int y")),
            ("{\"a\": 1}", "a", "y", None),
            ("a: 1\n", "b", "y", None),
            ("just text", "b", "y", None),
        ];
        for (text, path, value, want) in cases {
            assert_eq!(
                check(text, path, value).as_deref(),
                want,
                "{path} in {text}"
            );
        }
    }
}
