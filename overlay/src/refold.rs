//! Folded text (`>`) as kustomize leaves it: it prints every object once and reads it again, and its printer breaks
//! folded text wrongly beside indented lines (go-yaml/yaml#789), so that lines come and go.

use crate::yaml::{Node, Style, Value};

/// Changes the folded scalars of documents as that round trip does. `text` is what they were read from.
pub(crate) fn refold_documents(documents: &mut [Node], text: &[u8]) {
    if has_folded(text) {
        documents.iter_mut().for_each(refold_node);
    }
}

/// True when a line may begin folded text: it ends in `>` and perhaps hints.
fn has_folded(text: &[u8]) -> bool {
    let begins_folded = |at: usize| {
        let rest = &text[at + 1..];
        let hints = rest
            .iter()
            .take_while(|byte| b"+-0123456789 \r".contains(byte))
            .count();
        matches!(rest.get(hints), Some(b'\n' | b'#'))
    };
    memchr::memchr_iter(b'>', text).any(begins_folded)
}

fn refold_node(node: &mut Node) {
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(refold_node);
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping.iter_mut().for_each(|(_, value)| refold_node(value));
    } else if let Value::Scalar(scalar) = &mut node.value
        && scalar.style == Style::Folded
        && is_printed_folded(&scalar.text)
    {
        scalar.text = refold(&scalar.text).into();
    }
}

/// What the printer puts in quotes instead is not changed.
fn is_printed_folded(text: &str) -> bool {
    let is_plain =
        |c: char| c == '\n' || c == '\t' || (!c.is_control() && c != '\u{feff}' && c < '\u{10000}');
    !text.is_empty() && !text.contains(" \n") && !text.ends_with(' ') && text.chars().all(is_plain)
}

/// The printer doubles the first break between two lines, unless the upper one is indented, or the first line of the
/// text is; the reader then takes one of two breaks between lines that are not indented, and all others as they are.
fn refold(text: &str) -> String {
    let body = text.trim_start_matches('\n');
    let doubles = !body.starts_with([' ', '\t']);
    let mut out = text[..text.len() - body.len()].to_owned();
    let mut rest = body;
    while let Some(end) = rest.find('\n') {
        let (line, after) = rest.split_at(end);
        let next = after.trim_start_matches('\n');
        let breaks = after.len() - next.len();
        let is_indented = line.starts_with([' ', '\t']);
        let printed = breaks + usize::from(doubles && !is_indented);
        out.push_str(line);
        let kept = if next.is_empty() {
            if breaks == 1 { 1 } else { printed }
        } else if is_indented || next.starts_with([' ', '\t']) {
            printed
        } else {
            printed - 1
        };
        match kept {
            0 => out.push(' '),
            kept => out.extend(std::iter::repeat_n('\n', kept)),
        }
        rest = next;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::refold;

    /// Printed by kustomize 5.8.1.
    #[test]
    fn lines_come_and_go_as_in_kustomize() {
        for (read, printed) in [
            ("one\n  two\nthree", "one\n\n  two\nthree"),
            ("one two\nthree\n", "one two\nthree\n"),
            ("one\n\n\n", "one\n\n\n\n"),
            (
                "one\n  two\n\n  three\nfour\n",
                "one\n\n  two\n\n  three\nfour\n",
            ),
            (" lead\ntwo three\nfour\n", " lead\ntwo three four\n"),
            ("\none two\n", "\none two\n"),
            ("one\n  two\n\n", "one\n\n  two\n\n"),
            ("a\n\n  b\n\n\nc", "a\n\n\n  b\n\n\nc"),
            (
                " lead\n\n  two\n\n\nthree four",
                " lead\n\n  two\n\n\nthree four",
            ),
        ] {
            assert_eq!(refold(read), printed, "{read:?}");
        }
    }
}
