//! Regular expressions that a file brings: none is made of a text that means itself, and the others cost steps by their
//! size, because small texts can ask for large ones.

use ecow::EcoString;
use regex::{Regex, RegexBuilder};

use crate::error::Error;

/// The sizes that compiled expressions may have, in bytes, and the steps to make one and to try one on a text.
const SIZES: [(usize, usize, usize); 3] = [
    (16 << 10, 3_000, 2),
    (128 << 10, 20_000, 20),
    (1 << 20, 200_000, 200),
];

/// An expression that is ready to be tried.
pub(crate) struct Expression {
    how: How,
    /// The steps that making it took.
    pub to_make: usize,
    /// The steps that trying it takes.
    pub to_try: usize,
}

enum How {
    /// The whole text.
    Is(EcoString),
    /// Some part of the text.
    Has(EcoString),
    /// Whatever else.
    Regex(Regex),
}

impl Expression {
    /// One for whole texts.
    pub(crate) fn anchored(pattern: &str) -> Result<Self, Error> {
        match means_itself(pattern) {
            true => Ok(Self::of_text(How::Is(pattern.into()))),
            false => Self::compiled(pattern, &format!("^(?:{pattern})$")),
        }
    }

    /// One for some part of a text.
    pub(crate) fn anywhere(pattern: &str) -> Result<Self, Error> {
        match means_itself(pattern) {
            true => Ok(Self::of_text(How::Has(pattern.into()))),
            false => Self::compiled(pattern, pattern),
        }
    }

    fn of_text(how: How) -> Self {
        Self {
            how,
            to_make: 1,
            to_try: 1,
        }
    }

    fn compiled(pattern: &str, whole: &str) -> Result<Self, Error> {
        let mut problem = None;
        for (size, to_make, to_try) in SIZES {
            match RegexBuilder::new(whole).size_limit(size).build() {
                Ok(regex) => {
                    return Ok(Self {
                        how: How::Regex(regex),
                        to_make,
                        to_try,
                    });
                }
                Err(error @ regex::Error::CompiledTooBig(_)) => problem = Some(error),
                Err(error) => return Err(none(pattern, &error)),
            }
        }
        let problem = problem.unwrap_or(regex::Error::CompiledTooBig(0));
        Err(none(pattern, &problem))
    }

    /// Whether a text is meant.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match &self.how {
            How::Is(wanted) => wanted == text,
            How::Has(wanted) => text.contains(wanted.as_str()),
            How::Regex(regex) => regex.is_match(text),
        }
    }
}

fn means_itself(pattern: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'/' | b':');
    pattern.bytes().all(plain)
}

/// The error of an expression that cannot be compiled, on one line.
fn none(pattern: &str, error: &regex::Error) -> Error {
    let whole = error.to_string();
    let reason = whole.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ");
    Error::new(format!("`{pattern}` is no regular expression: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_expressions_cost_more_and_huge_ones_are_none() {
        let cost = |pattern: &str| Expression::anchored(pattern).map(|made| made.to_make);
        let (plain, small) = (cost("web-1").expect("text"), cost("web-.*").expect("small"));
        let large = cost("(a{30}){40}").expect("large");
        assert!(plain < small && small < large, "{plain} {small} {large}");
        let huge = cost("(((a{100}){100}){100}){100}").expect_err("huge");
        assert!(huge.to_string().contains("exceeds size limit"), "{huge}");
        assert!(cost("a(").is_err());
    }

    #[test]
    fn texts_and_their_parts() {
        let is = |pattern: &str, text: &str| {
            let made = Expression::anchored(pattern).expect("an expression");
            made.is_match(text)
        };
        let has = |pattern: &str, text: &str| {
            let made = Expression::anywhere(pattern).expect("an expression");
            made.is_match(text)
        };
        assert!(is("a-b", "a-b") && !is("a-b", "a-bc") && is("a|b", "b") && !is("a|b", "ab"));
        assert!(has("a-b", "xa-bc") && !has("a-b", "ab") && has("a.c", "xabcx"));
    }
}
