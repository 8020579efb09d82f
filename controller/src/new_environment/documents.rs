//! The documents of a YAML file as text: what is copied keeps its comments and its form.

/// A document: its first line, from 1, and its text with the line that separates it from the one before.
struct Document<'a> {
    line: u32,
    text: &'a str,
}

/// The text without the documents that these lines belong to; nothing when there is no other one.
pub(super) fn without(text: &str, lines: &[u32]) -> Option<String> {
    if lines.is_empty() {
        return Some(text.to_owned());
    }
    let kept = parted(text, lines).1;
    let is_empty = kept.iter().all(|document| is_blank(document));
    (!is_empty).then(|| kept.concat())
}

/// The documents that these lines belong to, each without its separator.
pub(super) fn only(text: &str, lines: &[u32]) -> Vec<String> {
    let chosen = parted(text, lines).0.into_iter();
    let bare = |document: &str| match document.split_once('\n') {
        Some((first, rest)) if is_separator(first) => rest.to_owned(),
        _ => document.to_owned(),
    };
    chosen.map(bare).collect()
}

/// Those that lines belong to, and all others.
fn parted<'a>(text: &'a str, lines: &[u32]) -> (Vec<&'a str>, Vec<&'a str>) {
    let documents = split(text);
    let mut parted = (Vec::new(), Vec::new());
    for (index, document) in documents.iter().enumerate() {
        let next = documents.get(index + 1).map_or(u32::MAX, |next| next.line);
        match lines
            .iter()
            .any(|line| (document.line..next).contains(line))
        {
            true => parted.0.push(document.text),
            false => parted.1.push(document.text),
        }
    }
    parted
}

fn split(text: &str) -> Vec<Document<'_>> {
    let mut starts = vec![(1, 0)];
    let (mut line, mut offset) = (1, 0);
    for text in text.split_inclusive('\n') {
        if is_separator(text) && offset > 0 {
            starts.push((line, offset));
        }
        line += 1;
        offset += text.len();
    }
    let ends = starts.iter().skip(1).map(|(_, offset)| *offset);
    let ends = ends.chain([text.len()]);
    let document = |((line, start), end): (&(u32, usize), usize)| Document {
        line: *line,
        text: &text[*start..end],
    };
    starts.iter().zip(ends).map(document).collect()
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_blank(document: &str) -> bool {
    let mut lines = document.lines();
    lines.all(|line| line.trim().is_empty() || line.starts_with('#') || is_separator(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# first\na: 1\n---\nb: |\n  ---\n--- # c\nc: 1\n";

    #[test]
    fn documents_are_taken_out_with_their_separators() {
        assert_eq!(without(TEXT, &[]).as_deref(), Some(TEXT));
        assert_eq!(
            without(TEXT, &[4]).as_deref(),
            Some("# first\na: 1\n--- # c\nc: 1\n")
        );
        assert_eq!(
            without(TEXT, &[2, 7]).as_deref(),
            Some("---\nb: |\n  ---\n")
        );
        assert_eq!(without(TEXT, &[2, 4, 7]), None);
        assert_eq!(without("# only\n---\na: 1\n", &[3]), None);
    }

    #[test]
    fn documents_are_given_without_their_separators() {
        assert_eq!(only(TEXT, &[4, 7]), ["b: |\n  ---\n", "c: 1\n"]);
        assert_eq!(only(TEXT, &[1]), ["# first\na: 1\n"]);
        assert!(only(TEXT, &[]).is_empty());
    }
}
