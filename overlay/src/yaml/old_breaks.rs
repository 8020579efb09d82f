//! U+2028 and U+2029, which are line breaks to go-yaml and text to the parser.

use std::borrow::Cow;

use super::Style;

const OLD_BREAKS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// The text as go-yaml reads it: blanks around a break are not part of a flow scalar, nor is the
/// indentation behind one part of a literal block.
pub(super) fn fold_old_breaks(text: Cow<'_, str>, style: Style, indent: usize) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(OLD_BREAKS) {
        return text;
    }
    match style {
        Style::Plain | Style::Single => Cow::Owned(fold(&text)),
        Style::Literal => Cow::Owned(outdent(&text, indent)),
        // Whether one was escaped cannot be told any more.
        Style::Double | Style::Folded => text,
    }
}

fn fold(text: &str) -> String {
    let blanks = [' ', '\t'];
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive(OLD_BREAKS) {
        let mut body = line.trim_end_matches(OLD_BREAKS);
        let end = &line[body.len()..];
        if !end.is_empty() {
            body = body.trim_end_matches(blanks);
        }
        if !out.is_empty() {
            body = body.trim_start_matches(blanks);
        }
        out.push_str(body);
        out.push_str(end);
    }
    out
}

fn outdent(text: &str, indent: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive(OLD_BREAKS) {
        let blanks = line
            .bytes()
            .take(indent)
            .take_while(|byte| *byte == b' ')
            .count();
        let follows_break = out.ends_with(OLD_BREAKS);
        out.push_str(if follows_break { &line[blanks..] } else { line });
    }
    out
}
