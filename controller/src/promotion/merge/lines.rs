//! Properties and env text: one `name=value` a line, laid out as YAML is, so that the same merge serves both.

use overlay::yaml::{Child, Collection, Laid, LaidDocument, LaidValue, LayoutError, Style, Tag};

/// Lays out a text of lines; what repeats a name or goes on in the next line is not changed in place.
pub(super) fn lay_out(text: &str) -> Result<Vec<LaidDocument>, LayoutError> {
    let mut children: Vec<Child> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let content = line.trim_end_matches(['\r', '\n']);
        if is_comment(content) {
            continue;
        }
        let Some((name, after)) = name(content).filter(|_| !content.ends_with('\\')) else {
            return Err(LayoutError::Form("a line without `=`"));
        };
        if children.iter().any(|child| child.key == name) {
            return Err(LayoutError::Form("a name that repeats"));
        }
        children.push(child(text, at, name, at + after, at + content.len()));
    }
    let range = 0..text.len();
    let value = LaidValue::Mapping(Collection {
        is_flow: false,
        children,
    });
    let root = Laid {
        range: range.clone(),
        is_decorated: false,
        value,
    };
    Ok(vec![LaidDocument {
        range,
        root: Some(root),
    }])
}

fn child(text: &str, start: usize, name: &str, after: usize, end: usize) -> Child {
    let value = LaidValue::Scalar {
        text: text[after..end].trim().to_owned(),
        tag: Tag::Str,
        style: Style::Plain,
    };
    Child {
        key: name.to_owned(),
        start,
        after,
        value: Laid {
            range: after..end,
            is_decorated: false,
            value,
        },
    }
}

/// The name of a line, and where its value begins.
fn name(line: &str) -> Option<(&str, usize)> {
    let at = line.find(['=', ':'])?;
    let name = line[..at].trim();
    let is_part = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    (!name.is_empty() && name.chars().all(is_part)).then_some((name, at + 1))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with(['#', '!', ';'])
}
