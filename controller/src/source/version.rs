//! Ranges of versions, in the notation of Flux's `ref.semver` (Masterminds' constraints).
//!
//! `>=1.2 <2 || ~3.1.0`: alternatives of comparisons that must all hold; a missing or starred part stands for any.
//! A version with a pre-release is in a range only where the comparison names a pre-release too.

use semver::{Prerelease, Version};

/// Alternatives of comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range(Vec<Vec<Comparison>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    bound: Partial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Operators by notation, longest first.
const OPERATORS: [(&str, Operator); 13] = [
    ("=>", Operator::GreaterOrEqual),
    ("=<", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Tilde),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

/// A version whose last parts may be left open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

impl Range {
    /// Reads a range; the error names the part that is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        text.split("||")
            .map(comparisons)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the version is in the range.
    pub(super) fn holds(&self, version: &Version) -> bool {
        self.0
            .iter()
            .any(|all| all.iter().all(|comparison| comparison.holds(version)))
    }
}

/// Comparisons that must all hold: `>=1.2, <2`, `>= 1.2 <2`, `1.2 - 2`.
fn comparisons(text: &str) -> Result<Vec<Comparison>, String> {
    let hyphen = text.replace(" - ", " \u{0} ");
    let mut words = hyphen
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let operator_only = OPERATORS
            .iter()
            .any(|(sign, _)| !sign.is_empty() && *sign == word);
        let text = match words.peek() {
            Some(next) if operator_only => format!("{word}{next}"),
            _ => word.to_owned(),
        };
        if operator_only {
            words.next();
        }
        if words.peek() == Some(&"\u{0}") {
            words.next();
            let upper = words
                .next()
                .ok_or_else(|| format!("improper constraint: {text} -"))?;
            found.push(comparison(&format!(">={text}"))?);
            found.push(comparison(&format!("<={upper}"))?);
        } else {
            found.push(comparison(&text)?);
        }
    }
    if found.is_empty() {
        return Err("improper constraint: it is empty".to_owned());
    }
    Ok(found)
}

fn comparison(text: &str) -> Result<Comparison, String> {
    OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((text.strip_prefix(sign)?, *operator)))
        .and_then(|(rest, operator)| {
            Some(Comparison {
                operator,
                bound: partial(rest)?,
            })
        })
        .ok_or_else(|| format!("improper constraint: {text}"))
}

fn partial(text: &str) -> Option<Partial> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split('+').next()?;
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let parts: Vec<Option<u64>> = numbers
        .split('.')
        .map(|part| match part {
            "x" | "X" | "*" => Some(None),
            _ => part.parse().ok().map(Some),
        })
        .collect::<Option<_>>()?;
    if parts.len() > 3 {
        return None;
    }
    let major = parts[0];
    let minor = major.and(parts.get(1).copied().flatten());
    Some(Partial {
        major,
        minor,
        patch: minor.and(parts.get(2).copied().flatten()),
        pre: Prerelease::new(pre).ok()?,
    })
}

impl Partial {
    /// The lowest version that it stands for.
    fn lowest(&self) -> Version {
        Version {
            pre: self.pre.clone(),
            ..Version::new(
                self.major.unwrap_or(0),
                self.minor.unwrap_or(0),
                self.patch.unwrap_or(0),
            )
        }
    }

    /// The first version above all that it stands for; `None` when it stands for any.
    fn above(&self) -> Option<Version> {
        let major = self.major?;
        Some(match (self.minor, self.patch) {
            (None, _) => Version::new(major.saturating_add(1), 0, 0),
            (Some(minor), None) => Version::new(major, minor.saturating_add(1), 0),
            (Some(minor), Some(patch)) => Version::new(major, minor, patch.saturating_add(1)),
        })
    }

    fn open(&self) -> bool {
        self.patch.is_none()
    }

    fn covers(&self, version: &Version) -> bool {
        if self.open() {
            self.major.is_none_or(|major| major == version.major)
                && self.minor.is_none_or(|minor| minor == version.minor)
        } else {
            same(version, &self.lowest())
        }
    }
}

/// Equal but for build metadata, which has no order.
fn same(a: &Version, b: &Version) -> bool {
    a.cmp_precedence(b).is_eq()
}

impl Comparison {
    fn holds(&self, version: &Version) -> bool {
        // A pre-release is asked for by name only.
        if !version.pre.is_empty()
            && self.bound.pre.is_empty()
            && self.operator != Operator::NotEqual
        {
            return false;
        }
        let bound = &self.bound;
        let lowest = bound.lowest();
        let at_least = version.cmp_precedence(&lowest).is_ge();
        let below =
            |end: Option<Version>| end.is_none_or(|end| version.cmp_precedence(&end).is_lt());
        match self.operator {
            Operator::Equal => bound.covers(version),
            Operator::NotEqual => !bound.covers(version),
            Operator::Greater if bound.open() => {
                bound.above().is_some_and(|above| version >= &above)
            }
            Operator::Greater => version.cmp_precedence(&lowest).is_gt(),
            Operator::GreaterOrEqual => at_least,
            Operator::Less => version.cmp_precedence(&lowest).is_lt(),
            Operator::LessOrEqual if bound.open() => below(bound.above()),
            Operator::LessOrEqual => version.cmp_precedence(&lowest).is_le(),
            Operator::Tilde => at_least && below(self.tilde_end()),
            Operator::Caret => at_least && below(self.caret_end()),
        }
    }

    /// `~1.2.3` ends at 1.3, `~1` at 2.
    fn tilde_end(&self) -> Option<Version> {
        let major = self.bound.major?;
        Some(match self.bound.minor {
            None => Version::new(major.saturating_add(1), 0, 0),
            Some(minor) => Version::new(major, minor.saturating_add(1), 0),
        })
    }

    /// `^1.2` ends at 2, `^0.2` at 0.3, `^0.0.2` at 0.0.3.
    fn caret_end(&self) -> Option<Version> {
        let bound = &self.bound;
        Some(match (bound.major?, bound.minor, bound.patch) {
            (0, Some(0), Some(patch)) => Version::new(0, 0, patch.saturating_add(1)),
            (0, Some(minor), _) => Version::new(0, minor.saturating_add(1), 0),
            (major, _, _) => Version::new(major.saturating_add(1), 0, 0),
        })
    }
}

/// The version that a tag names: `1.2.3` or `v1.2.3`, all three parts.
pub(super) fn of_tag(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ranges_hold() {
        let cases: [(&str, &[&str], &[&str]); 17] = [
            ("1.2.3", &["1.2.3", "1.2.3+build"], &["1.2.4", "1.2.3-rc.1"]),
            ("1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("*", &["0.0.1", "9.0.0"], &["1.0.0-rc.1"]),
            (">=1.0.0", &["1.0.0", "2.0.0"], &["0.9.0", "1.0.1-rc.1"]),
            (">=1.0.0-0", &["1.0.0", "1.0.1-rc.1"], &["0.9.0"]),
            (">= 1.0.0 <2.0.0", &["1.9.9"], &["2.0.0"]),
            (
                ">=1.0.0, <2.0.0 || 3.x",
                &["1.5.0", "3.4.5"],
                &["2.0.0", "4.0.0"],
            ),
            (">1", &["2.0.0"], &["1.0.0", "1.9.9"]),
            (">1.2.3", &["1.2.4"], &["1.2.3"]),
            ("<=1.2", &["1.2.9", "0.1.0"], &["1.3.0"]),
            ("!=1.2", &["1.3.0"], &["1.2.5"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]),
            ("~1", &["1.9.0"], &["2.0.0"]),
            ("^1.2.3", &["1.9.0"], &["1.2.2", "2.0.0"]),
            ("^0.2.3", &["0.2.9"], &["0.3.0"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4"]),
            ("1.2 - 1.4", &["1.2.0", "1.4.9"], &["1.1.9", "1.5.0"]),
        ];
        for (range, inside, outside) in cases {
            let parsed = Range::parse(range).expect("valid");
            for (versions, expected) in [(inside, true), (outside, false)] {
                for version in versions {
                    let version = Version::parse(version).expect("valid");
                    assert_eq!(parsed.holds(&version), expected, "{range} {version}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_range() {
        for text in [
            "",
            "latest",
            ">=",
            "1.2.3.4",
            "1 ||",
            ">=1.0.0 <banana",
            "1.2 -",
        ] {
            assert!(Range::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tags_that_name_versions() {
        assert_eq!(of_tag("v1.2.3"), Some(Version::new(1, 2, 3)));
        assert_eq!(of_tag("1.2.3"), Some(Version::new(1, 2, 3)));
        for tag in ["1.2", "v1", "release-1.2.3", "vv1.2.3"] {
            assert_eq!(of_tag(tag), None, "{tag}");
        }
    }
}
