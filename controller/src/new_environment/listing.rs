//! Entries of a kustomization file's lists, put in and taken out as text.

use overlay::path::{base, join};
use overlay::yaml::{Dialect, Mark, Node, read_documents};

use crate::promotion::overlaid::Changes;

/// The names that a kustomization file may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kustomization files that a folder may have.
pub(super) fn files_of(folder: &str) -> impl Iterator<Item = String> {
    NAMES.into_iter().map(move |name| join(folder, name))
}

/// Takes a file that is not there out of the list of its folder.
pub(super) fn remove(changes: &mut Changes, file: &str) {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    for list in files_of(folder) {
        let text = changes.get(&list).and_then(|bytes| bytes.as_deref());
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        if let Some(text) = text.and_then(|text| without(text, base(file))) {
            changes.insert(list, Some(text.into_bytes()));
        }
    }
}

/// The text with another entry behind one of a list; nothing when no list has that.
pub(super) fn with(text: &str, beside: &str, new: &str) -> Option<String> {
    let (start, end) = place(text, beside)?;
    let dash = dash(text, start);
    let (at, entry) = match &dash {
        Some(dash) => (line_end(text, end), format!("{dash}{new}\n")),
        None => (end, format!(", {new}")),
    };
    let gap = if dash.is_some() && !text[..at].ends_with('\n') {
        "\n"
    } else {
        ""
    };
    Some(format!("{}{gap}{entry}{}", &text[..at], &text[at..]))
}

/// The text without an entry; nothing when no list has it.
fn without(text: &str, entry: &str) -> Option<String> {
    let (start, end) = place(text, entry)?;
    let (from, to) = match dash(text, start) {
        Some(dash) => (start - dash.len(), line_end(text, end)),
        None => in_flow(text, start, end),
    };
    Some(format!("{}{}", &text[..from], &text[to..]))
}

/// An entry between brackets, with the comma behind or else before it.
fn in_flow(text: &str, start: usize, end: usize) -> (usize, usize) {
    let behind = &text[end..];
    let rest = behind.trim_start();
    if let Some(rest) = rest.strip_prefix(',') {
        return (start, text.len() - rest.trim_start_matches(' ').len());
    }
    match text[..start].trim_end().strip_suffix(',') {
        Some(before) => (before.len(), end),
        None => (start, end),
    }
}

/// What stands before an entry that has its line to itself.
fn dash(text: &str, start: usize) -> Option<String> {
    let before = &text[..start];
    let before = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    let indent = before.trim_end().strip_suffix('-')?;
    indent.trim().is_empty().then(|| before.to_owned())
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// Where an entry stands, quotes included.
fn place(text: &str, entry: &str) -> Option<(usize, usize)> {
    let documents = read_documents(text.as_bytes(), 0, Dialect::Kustomize).ok()?;
    let lists = documents.first()?.as_mapping()?.iter();
    let mut items = lists.flat_map(|(_, list)| list.as_sequence().unwrap_or_default());
    let is_it = |item: &&Node| {
        item.as_str()
            .is_some_and(|text| text.trim_start_matches("./") == entry)
    };
    let item = items.find(is_it)?;
    let start = offset(text, item.mark)?;
    let written = item.as_str()?;
    let quoted = [
        written.to_owned(),
        format!("'{written}'"),
        format!("\"{written}\""),
    ];
    let found = quoted
        .iter()
        .find(|quoted| text[start..].starts_with(*quoted))?;
    Some((start, start + found.len()))
}

/// How many bytes lie before a mark.
pub(super) fn offset(text: &str, mark: Mark) -> Option<usize> {
    let line = usize::try_from(mark.line).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::from(mark.column).checked_sub(1)?;
    let (offset, _) = text[start..].char_indices().nth(column)?;
    Some(start + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_and_go_in_the_form_of_their_list() {
        let block = "resources:\n  - a.yaml # first\n  - ./b.yaml\nnamespace: x\n";
        assert_eq!(
            with(block, "a.yaml", "c.yaml").as_deref(),
            Some("resources:\n  - a.yaml # first\n  - c.yaml\n  - ./b.yaml\nnamespace: x\n")
        );
        assert_eq!(
            without(block, "b.yaml").as_deref(),
            Some("resources:\n  - a.yaml # first\nnamespace: x\n")
        );
        let flow = "resources: [a.yaml, 'b.yaml']\n";
        assert_eq!(
            with(flow, "b.yaml", "c.yaml").as_deref(),
            Some("resources: [a.yaml, 'b.yaml', c.yaml]\n")
        );
        assert_eq!(
            without(flow, "a.yaml").as_deref(),
            Some("resources: ['b.yaml']\n")
        );
        assert_eq!(
            without(flow, "b.yaml").as_deref(),
            Some("resources: [a.yaml]\n")
        );
        assert_eq!(
            without("resources: [a.yaml]", "a.yaml").as_deref(),
            Some("resources: []")
        );
        assert_eq!(
            with("resources:\n- a", "a", "b").as_deref(),
            Some("resources:\n- a\n- b\n")
        );
        assert_eq!((with(flow, "d", "e"), without("[", "a")), (None, None));
    }
}
