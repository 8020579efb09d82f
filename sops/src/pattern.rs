//! Go's regular expressions in the notation of the `regex` crate: classes of ASCII letters, and quoting.

/// Classes that are ASCII in Go and Unicode here: outside and inside of brackets.
const CLASSES: [(char, &str, &str); 6] = [
    ('d', "[0-9]", "0-9"),
    ('w', "[0-9A-Za-z_]", "0-9A-Za-z_"),
    ('s', "[\\t\\n\\x0C\\r ]", "\\t\\n\\x0C\\r "),
    ('D', "[^0-9]", "[^0-9]"),
    ('W', "[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
    ('S', "[^\\t\\n\\x0C\\r ]", "[^\\t\\n\\x0C\\r ]"),
];

/// Translates a pattern. What Go would refuse is left as it is, to be refused here.
pub(crate) fn from_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => rest = escape(rest, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                rest = open_class(rest, &mut out);
            }
            '[' if rest.starts_with(':') => rest = named_class(rest, &mut out),
            // Brackets, and the set operations that only the crate knows.
            '[' | '&' | '~' if in_class => out.extend(['\\', letter]),
            ']' => {
                in_class = false;
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out
}

/// The bracket, its negation, and a closing bracket that stands first and is therefore a letter.
fn open_class<'a>(rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut after = rest;
    if let Some(negated) = after.strip_prefix('^') {
        out.push('^');
        after = negated;
    }
    match after.strip_prefix(']') {
        Some(closed) => {
            out.push_str("\\]");
            closed
        }
        None => after,
    }
}

/// `[:alpha:]` is copied whole, so that its brackets are not taken for a class's.
fn named_class<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let end = rest.find(":]").map_or(0, |at| at + 2);
    out.push('[');
    out.push_str(&rest[..end]);
    &rest[end..]
}

fn escape<'a>(rest: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(letter) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[letter.len_utf8()..];
    if letter == 'Q' && !in_class {
        let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
        out.push_str(&regex::escape(quoted));
        return after;
    }
    if let Some((_, outside, inside)) = CLASSES.iter().find(|class| class.0 == letter) {
        out.push_str(if in_class { inside } else { outside });
        return after;
    }
    match letter {
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'B' if !in_class => out.push_str("(?-u:\\B)"),
        _ => out.extend(['\\', letter]),
    }
    after
}

#[cfg(test)]
mod tests {
    use super::from_go;
    use regex::bytes::Regex;

    #[test]
    fn classes_are_ascii_and_quotes_are_literal() {
        for (pattern, text, found) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "\u{661}", false),
            (r"^[\w-]+$", "a-b_1", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"^[[:alpha:]_]+$", "a_b", true),
            (r"^[]a]+$", "]a", true),
            (r"^[[a]+$", "[a", true),
            (r"\bx\b", "a x b", true),
            (r"^(data|stringData)$", "stringData", true),
        ] {
            let regex = Regex::new(&from_go(pattern)).expect(pattern);
            assert_eq!(
                regex.is_match(text.as_bytes()),
                found,
                "{pattern} on {text}"
            );
        }
    }
}
