//! Texts of which pieces are not known, and whether two of them differ whatever these pieces are.

use overlay::unknown::{Marker, Part, Unknown};

use crate::environments::token_in;

/// A text in its known and its unknown pieces.
#[derive(Default)]
pub(super) struct Pattern {
    /// What stands before each unknown piece, and behind the last.
    known: Vec<String>,
    unknown: Vec<Unknown>,
    /// Whether the text is base64 of this.
    is_encoded: bool,
}

impl Pattern {
    pub(super) fn of(text: &str, marker: &Marker) -> Self {
        let inner = token_in(text, marker);
        let mut pattern = Self {
            is_encoded: matches!(inner, Some(std::borrow::Cow::Owned(_))),
            ..Self::default()
        };
        let mut known = String::new();
        for part in marker.parts(inner.as_deref().unwrap_or(text)) {
            match part {
                Part::Text(text) => known.push_str(text),
                Part::Unknown(unknown) => {
                    pattern.unknown.push(unknown);
                    pattern.known.push(std::mem::take(&mut known));
                }
            }
        }
        pattern.known.push(known);
        pattern
    }

    /// The pieces that are not known.
    pub(super) fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    /// Whether two texts differ whatever the unknown pieces are. What cannot be told may be equal.
    pub(super) fn differs(&self, other: &Self) -> bool {
        if self.is_encoded != other.is_encoded || self.sorted() != other.sorted() {
            return false;
        }
        // The same unknown pieces take the same room, in whatever order.
        let lengths = [self, other].map(|it| it.known.iter().map(String::len));
        let [one, another] = lengths;
        if one.clone().sum::<usize>() != another.clone().sum::<usize>() {
            return true;
        }
        // All pieces begin at the same places.
        let is_aligned = self.unknown == other.unknown && one.eq(another);
        is_aligned && self.known != other.known
    }

    fn sorted(&self) -> Vec<&Unknown> {
        let mut all: Vec<&Unknown> = self.unknown.iter().collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_only_where_no_value_makes_them_equal() {
        let marker = Marker::new(5);
        let token = |name: &str| {
            marker.token(&Unknown {
                reason: name.to_owned(),
                identity: name.to_owned(),
            })
        };
        let pattern = |text: &str| {
            let text = text.replace('P', &token("p")).replace('Q', &token("q"));
            Pattern::of(&text, &marker)
        };
        for (one, other, differs) in [
            ("a-P", "b-P", true),
            ("P/a", "P/bc", true),
            ("P-Q", "P+Q", true),
            ("P-Q", "Q--P", true),
            ("P-Q", "Q-P", false),
            ("P", "PP", false),
            ("xP", "Px", false),
            ("aPbc", "abPc", false),
            ("P", "Q", false),
            ("P", "text", false),
            ("text", "other", true),
        ] {
            assert_eq!(
                pattern(one).differs(&pattern(other)),
                differs,
                "{one} {other}"
            );
        }
    }
}
