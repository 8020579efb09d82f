//! Shell patterns as `${name#pattern}` and its like know them: `*` (also over `/`), `?`, `[…]`, `\`.

use super::steps::{Spent, Steps};

/// The pattern cannot be read, or takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// The pattern cannot be read; the text then stays as it is.
    BadPattern,
    /// The pattern takes more steps than are left.
    TooLong,
}

impl From<Spent> for Unmatched {
    fn from(Spent: Spent) -> Self {
        Self::TooLong
    }
}

/// True when the pattern matches the whole text. Texts are bytes, as prefixes may end within a character.
pub(super) fn matches(
    mut pattern: &[u8],
    mut text: &[u8],
    steps: &Steps,
) -> Result<bool, Unmatched> {
    while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        steps.take(pattern.len() - rest.len())?;
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(true);
        }
        let last = rest.is_empty();
        match find_chunk(chunk, text, star, last, steps)? {
            Some(behind) => text = behind,
            None => return Ok(false),
        }
    }
    Ok(text.is_empty())
}

/// The text behind the first place where a chunk fits: right here, or after a star anywhere.
fn find_chunk<'t>(
    chunk: &[u8],
    text: &'t [u8],
    star: bool,
    last: bool,
    steps: &Steps,
) -> Result<Option<&'t [u8]>, Unmatched> {
    let starts = if star { text.len() } else { 0 };
    for skipped in 0..=starts {
        let found = match_chunk(chunk, &text[skipped..], steps)?;
        if let Some(behind) = found.filter(|behind| !last || behind.is_empty()) {
            return Ok(Some(behind));
        }
    }
    Ok(None)
}

/// A star or none, what stands behind it up to the next star, and the rest.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|c| **c == b'*').count();
    let pattern = &pattern[stars..];
    let mut in_class = false;
    let mut end = 0;
    while end < pattern.len() {
        match pattern[end] {
            b'\\' if end + 1 < pattern.len() => end += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        end += 1;
    }
    (stars > 0, &pattern[..end], &pattern[end..])
}

/// What is left of the text behind a chunk that fits at its beginning.
fn match_chunk<'t>(
    mut chunk: &[u8],
    mut text: &'t [u8],
    steps: &Steps,
) -> Result<Option<&'t [u8]>, Unmatched> {
    while let Some((first, rest)) = chunk.split_first() {
        steps.take(1)?;
        let Some((have, behind)) = text.split_first() else {
            return Ok(None);
        };
        match first {
            b'[' => {
                let (wanted, width) = first_char(text);
                let (inside, after) = match_class(rest, wanted)?;
                steps.take(rest.len() - after.len())?;
                if !inside {
                    return Ok(None);
                }
                (chunk, text) = (after, &text[width..]);
            }
            b'?' => (chunk, text) = (rest, &text[first_char(text).1..]),
            b'\\' => match rest.split_first() {
                None => return Err(Unmatched::BadPattern),
                Some((literal, _)) if literal != have => return Ok(None),
                Some((_, after)) => (chunk, text) = (after, behind),
            },
            literal if literal != have => return Ok(None),
            _ => (chunk, text) = (rest, behind),
        }
    }
    Ok(Some(text))
}

/// Whether a class, read from behind its `[`, has the character; and what follows its `]`.
fn match_class(class: &[u8], wanted: char) -> Result<(bool, &[u8]), Unmatched> {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    let mut ranges = 0;
    loop {
        if let [b']', rest @ ..] = class
            && ranges > 0
        {
            return Ok((found != negated, rest));
        }
        let (low, after) = class_char(class)?;
        let (high, after) = match after {
            [b'-', rest @ ..] => class_char(rest)?,
            _ => (low, after),
        };
        found |= (low..=high).contains(&wanted);
        ranges += 1;
        class = after;
    }
}

/// One character of a class, perhaps escaped. A class that ends here is not closed.
fn class_char(class: &[u8]) -> Result<(char, &[u8]), Unmatched> {
    let class = match class {
        [] | [b'-' | b']', ..] => return Err(Unmatched::BadPattern),
        [b'\\', rest @ ..] => rest,
        _ => class,
    };
    let (found, width) = first_char(class);
    match class.get(width..) {
        Some(rest) if !rest.is_empty() && width > 0 => Ok((found, rest)),
        _ => Err(Unmatched::BadPattern),
    }
}

/// The first character and its width; bytes that are no UTF-8 count singly.
fn first_char(text: &[u8]) -> (char, usize) {
    let most = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(most) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&most[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(found) => (found, found.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, text.len().min(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str) -> Result<bool, Unmatched> {
        matches(pattern.as_bytes(), text.as_bytes(), &Steps::new(10_000))
    }

    #[test]
    fn patterns_match_whole_texts() {
        let cases = [
            ("abc", "abc", true),
            ("*", "a/b", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "aéb", true),
            ("a[^b]", "aé", true),
            ("[a-ζ]*", "α", true),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(check(pattern, text), Ok(want), "{pattern} on {text}");
        }
    }

    #[test]
    fn patterns_that_are_not_closed_are_refused() {
        for pattern in ["[", "[]a]", "[-]", "[x-]", "[a", "a\\"] {
            assert_eq!(
                check(pattern, "aa"),
                Err(Unmatched::BadPattern),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_is_given_up() {
        let pattern = "*a".repeat(40);
        let text = "a".repeat(40);
        let found = matches(pattern.as_bytes(), text.as_bytes(), &Steps::new(30));
        assert_eq!(found, Err(Unmatched::TooLong));
    }
}
