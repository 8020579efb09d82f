//! What the operators of `${name<operator>…}` make of a value.

use super::glob::{Unmatched, matches};
use super::steps::{Spent, Steps};

/// What an operator cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The reference crashes on it.
    #[error("the length of the substring is negative")]
    NegativeLength,
    /// Offsets count bytes; this one cuts a character in two.
    #[error("the substring begins or ends within a character")]
    WithinCharacter,
    /// More steps than all expressions of a substitution may take together.
    #[error("the substitution asks for more than its budget of steps")]
    TooLong,
}

impl From<Spent> for Failure {
    fn from(Spent: Spent) -> Self {
        Self::TooLong
    }
}

/// Applies an operator. `${name}` and everything unknown is the default operator, as in the reference.
pub(super) fn apply(
    operator: &str,
    value: &str,
    arguments: &[String],
    steps: &Steps,
) -> Result<String, Failure> {
    let arguments_length: usize = arguments.iter().map(String::len).sum();
    steps.take(1 + value.len() + arguments_length)?;
    let changed = change(operator, value, arguments, steps)?;
    steps.take(changed.len())?;
    Ok(changed)
}

fn change(
    operator: &str,
    value: &str,
    arguments: &[String],
    steps: &Steps,
) -> Result<String, Failure> {
    let first = arguments.first().map_or("", String::as_str);
    let has_argument = !arguments.is_empty();
    match operator {
        "," => Ok(change_first(value, lower)),
        ",," => Ok(value.chars().map(lower).collect()),
        "^" => Ok(change_first(value, upper)),
        "^^" => Ok(value.chars().map(upper).collect()),
        "#" if !has_argument => Ok(value.len().to_string()),
        "#" => trim(value, first, Extent::Shortest, steps),
        "##" => trim(value, first, Extent::Longest, steps),
        "%" => trim_suffix(value, first, Extent::Shortest, steps),
        "%%" => trim_suffix(value, first, Extent::Longest, steps),
        ":" => substring(value, arguments),
        "/" | "//" | "/#" | "/%" => Ok(replace(operator, value, arguments)),
        _ if value.is_empty() => Ok(arguments.concat()),
        _ => Ok(value.to_owned()),
    }
}

fn change_first(value: &str, change: fn(char) -> char) -> String {
    let mut chars = value.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}

/// One character for one character, as Go does it.
fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => only(c.to_lowercase()).unwrap_or(c),
    }
}

fn upper(c: char) -> char {
    only(c.to_uppercase()).unwrap_or(c)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    match chars.next() {
        None => first,
        Some(_) => None,
    }
}

fn replace(operator: &str, value: &str, arguments: &[String]) -> String {
    match (operator, arguments) {
        ("/", [old]) => value.replacen(old.as_str(), "", 1),
        ("/", [old, new, ..]) => value.replacen(old.as_str(), new, 1),
        ("//", [old]) => value.replace(old.as_str(), ""),
        ("//", [old, new, ..]) => value.replace(old.as_str(), new),
        ("/#", [old, new]) if value.starts_with(old.as_str()) => {
            value.replacen(old.as_str(), new, 1)
        }
        ("/%", [old, new]) => match value.strip_suffix(old.as_str()) {
            Some(stem) => format!("{stem}{new}"),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// Offset and length count bytes; what is no number leaves the value as it is.
fn substring(value: &str, arguments: &[String]) -> Result<String, Failure> {
    let Some(offset) = arguments.first().and_then(|text| number(text)) else {
        return Ok(value.to_owned());
    };
    let size = value.len() as i64;
    let start = if offset < 0 {
        size.saturating_add(offset).max(0)
    } else {
        offset
    };
    let end = match arguments.get(1).map(|text| number(text)) {
        None => size,
        Some(None) => return Ok(value.to_owned()),
        Some(Some(length)) => start.saturating_add(length).min(size),
    };
    if start >= size && end >= size {
        return Ok(String::new());
    }
    if end < start {
        return Err(Failure::NegativeLength);
    }
    value
        .get(start as usize..end as usize)
        .map(str::to_owned)
        .ok_or(Failure::WithinCharacter)
}

/// A decimal integer as Go's `Atoi` reads it: no blanks, one sign at most.
fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Which of several matching ends is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Shortest,
    Longest,
}

/// Cuts a prefix that matches; a pattern that cannot be read cuts nothing.
fn trim(value: &str, pattern: &str, extent: Extent, steps: &Steps) -> Result<String, Failure> {
    match prefix_end(value, pattern, extent, steps) {
        Err(Unmatched::TooLong) => Err(Failure::TooLong),
        Err(Unmatched::BadPattern) => Ok(value.to_owned()),
        Ok(end) => value
            .get(end..)
            .map(str::to_owned)
            .ok_or(Failure::WithinCharacter),
    }
}

/// The reference turns value and pattern around, character by character, and cuts a prefix.
fn trim_suffix(
    value: &str,
    pattern: &str,
    extent: Extent,
    steps: &Steps,
) -> Result<String, Failure> {
    let left = trim(&reversed(value), &reversed(pattern), extent, steps)?;
    Ok(reversed(&left))
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// Where the matching prefix ends; 0 when none matches. Empty prefixes are not tried.
fn prefix_end(
    value: &str,
    pattern: &str,
    extent: Extent,
    steps: &Steps,
) -> Result<usize, Unmatched> {
    let mut found = 0;
    for end in (1..=value.len()).rev() {
        if matches(pattern.as_bytes(), &value.as_bytes()[..end], steps)? {
            found = end;
            if extent == Extent::Longest {
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_change_values() {
        let cases = [
            ("", "v", &[][..], "v"),
            (":-", "", &["a", "b"], "ab"),
            (":-", "v", &["a"], "v"),
            ("=", "", &[], ""),
            (":+", "v", &["a"], "v"),
            (":?", "", &["a"], "a"),
            (",^", "Ab", &[], "Ab"),
            (",", "ABC", &[], "aBC"),
            (",,", "ABÇ", &[], "abç"),
            ("^", "éa", &[], "Éa"),
            ("^^", "straße", &[], "STRAßE"),
            ("^", "", &[], ""),
            ("#", "aé", &[], "3"),
            ("#", "a.b.c", &["*."], "b.c"),
            ("##", "a.b.c", &["*."], "c"),
            ("%", "a.b.c", &[".*"], "a.b"),
            ("%%", "a.b.c", &[".*"], "a"),
            ("#", "abc", &["[a"], "abc"),
            ("#", "abc", &["x"], "abc"),
            ("#", "aaa", &["*"], "aa"),
            ("##", "aaa", &["*"], ""),
            (":", "hello", &["1"], "ello"),
            (":", "hello", &["1", "3"], "ell"),
            (":", "hello", &["-3"], "llo"),
            (":", "hello", &["-9", "2"], "he"),
            (":", "hello", &["9"], ""),
            (":", "hello", &["9", "1"], ""),
            (":", "hello", &["2", "99"], "llo"),
            (":", "hello", &[" -1"], "hello"),
            (":", "hello", &["1", "x"], "hello"),
            ("/", "a-b-c", &["-"], "ab-c"),
            ("//", "a-b-c", &["-"], "abc"),
            ("//", "a-b-c", &["-", "+"], "a+b+c"),
            ("/#", "aba", &["a", "x"], "xba"),
            ("/#", "bab", &["a", "x"], "bab"),
            ("/#", "aba", &["a"], "aba"),
            ("/%", "aba", &["a", "x"], "abx"),
        ];
        for (operator, value, arguments, want) in cases {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            let have = apply(operator, value, &arguments, &Steps::new(10_000));
            assert_eq!(have, Ok(want.to_owned()), "{value}{operator}{arguments:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        let cut = |value: &str, numbers: &[&str]| {
            let numbers: Vec<String> = numbers.iter().map(|text| (*text).to_owned()).collect();
            apply(":", value, &numbers, &Steps::new(100))
        };
        assert_eq!(cut("hello", &["1", "-1"]), Err(Failure::NegativeLength));
        assert_eq!(cut("é", &["1"]), Err(Failure::WithinCharacter));
        let long = "a".repeat(2_000_000);
        let steps = Steps::new(10_000_000);
        let trimmed = apply("#", &long, &["*ab".to_owned()], &steps);
        assert_eq!(trimmed, Err(Failure::TooLong));
    }
}
