//! What values of a custom kind may be besides their type: patterns, lengths, ranges.
//!
//! An API server reads patterns as Go does. What reads otherwise in Rust is not checked: nothing is told that the server
//! would take.

use overlay::yaml::{Node, Scalar, Tag, Value};
use regex::{Regex, RegexBuilder};

/// The largest form of a pattern in memory.
const LARGEST_PATTERN: usize = 1 << 20;

/// What a schema says of a value besides its type.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pattern: Option<Regex>,
    length: [Option<usize>; 2],
    items: [Option<usize>; 2],
    entries: [Option<usize>; 2],
    least: Option<Limit>,
    most: Option<Limit>,
    step: Option<i64>,
    format: Option<&'static str>,
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    number: f64,
    /// The number itself is not allowed.
    is_exclusive: bool,
}

/// Formats of whole numbers, and what fits into them.
const FORMATS: [(&str, f64, f64); 1] = [("int32", i32::MIN as f64, i32::MAX as f64)];

impl PartialEq for Bounds {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |bounds: &Self| bounds.pattern.as_ref().map(|it| it.as_str().to_owned());
        pattern(self) == pattern(other)
            && (self.length, self.items, self.entries) == (other.length, other.items, other.entries)
            && (self.least, self.most) == (other.least, other.most)
            && (self.step, self.format) == (other.step, other.format)
    }
}

impl Eq for Bounds {}

/// What a schema says; nothing when its type is all.
pub(super) fn bounds(schema: &Node) -> Option<Bounds> {
    let count = |field: &str| schema.find_str(&[field])?.parse::<usize>().ok();
    let limit = |field: &str, exclusive: &str| {
        let number = number(schema.find_str(&[field])?)?;
        let is_exclusive = schema.find_str(&[exclusive]) == Some("true");
        Some(Limit {
            number,
            is_exclusive,
        })
    };
    // What is filled in counts too.
    let is_map = schema.get("additionalProperties").is_some();
    let format = schema.find_str(&["format"]);
    let bounds = Bounds {
        pattern: schema.find_str(&["pattern"]).and_then(pattern),
        length: [count("minLength"), count("maxLength")],
        items: [count("minItems"), count("maxItems")],
        entries: [count("minProperties"), count("maxProperties")].map(|it| it.filter(|_| is_map)),
        least: limit("minimum", "exclusiveMinimum"),
        most: limit("maximum", "exclusiveMaximum"),
        step: schema
            .find_str(&["multipleOf"])
            .and_then(|text| text.parse().ok())
            .filter(|step| *step > 0),
        format: FORMATS
            .iter()
            .map(|(name, ..)| *name)
            .find(|name| format == Some(name)),
    };
    (bounds != Bounds::default()).then_some(bounds)
}

impl Bounds {
    /// How a value of the right type is out of them; nothing when it is not, or that cannot be told.
    pub(super) fn broken(&self, value: &Value) -> Option<String> {
        match value {
            // A word about it would be one about the secret.
            Value::Secret(_) => None,
            Value::Sequence(items) => out_of(self.items, items.len(), "items"),
            Value::Mapping(mapping) => out_of(self.entries, mapping.iter().count(), "entries"),
            Value::Scalar(scalar) if matches!(scalar.tag, Tag::Int | Tag::Float) => {
                self.number(scalar)
            }
            Value::Scalar(scalar) if scalar.tag == Tag::Str => self.text(&scalar.text),
            Value::Scalar(_) => None,
        }
    }

    fn text(&self, text: &str) -> Option<String> {
        let length = out_of(self.length, text.chars().count(), "letters");
        // Classes of letters are those of ASCII in Go.
        let does_not_fit = |pattern: &&Regex| text.is_ascii() && !pattern.is_match(text);
        let pattern = self.pattern.as_ref().filter(does_not_fit);
        length.or(pattern.map(|pattern| format!("this text does not fit the pattern {pattern}")))
    }

    fn number(&self, scalar: &Scalar) -> Option<String> {
        let number = number(&scalar.text)?;
        if let Some(least) = self.least
            && (number < least.number || least.is_exclusive && number == least.number)
        {
            return Some(match least.is_exclusive {
                true => format!("this number must be above {}", least.number),
                false => format!("this number must be {} at least", least.number),
            });
        }
        if let Some(most) = self.most
            && (number > most.number || most.is_exclusive && number == most.number)
        {
            return Some(match most.is_exclusive {
                true => format!("this number must be below {}", most.number),
                false => format!("this number must be {} at most", most.number),
            });
        }
        self.form(scalar, number)
    }

    fn form(&self, scalar: &Scalar, number: f64) -> Option<String> {
        let whole = scalar.text.parse::<i64>().ok();
        if let (Some(step), Some(whole)) = (self.step, whole)
            && whole % step != 0
        {
            return Some(format!("this number must be a multiple of {step}"));
        }
        let format = FORMATS
            .iter()
            .find(|(name, ..)| self.format == Some(name))?;
        let (name, least, most) = format;
        let is_out = scalar.tag == Tag::Int && !(*least..=*most).contains(&number);
        is_out.then(|| format!("this number is no {name}"))
    }
}

fn out_of([least, most]: [Option<usize>; 2], count: usize, what: &str) -> Option<String> {
    match (least, most) {
        (Some(least), _) if count < least => Some(format!("{least} {what} at least belong here")),
        (_, Some(most)) if count > most => Some(format!("{most} {what} at most belong here")),
        _ => None,
    }
}

/// A number in the form that all readers agree on.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_octal = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    match !is_octal && digits.bytes().all(is_plain) {
        true => text.parse().ok(),
        false => None,
    }
}

/// A pattern as Go reads it; nothing when it may mean something else here.
fn pattern(text: &str) -> Option<Regex> {
    // Beginnings and ends of words, repetitions without a beginning, operations on classes: literal there.
    let differs = ["\\<", "\\>", "{,", "&&", "--", "~~"];
    if differs.iter().any(|part| text.contains(part)) {
        return None;
    }
    let built = RegexBuilder::new(&with_literal_brackets(text)?)
        .size_limit(LARGEST_PATTERN)
        .build();
    built.ok()
}

/// A bracket within a class opens no class in Go.
fn with_literal_brackets(text: &str) -> Option<String> {
    let (mut written, mut is_inside, mut is_first) = (String::new(), false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                written.push(letter);
                written.push(letters.next()?);
                is_first = false;
                continue;
            }
            '[' if is_inside && letters.peek() == Some(&':') => return None,
            '[' if is_inside => written.push('\\'),
            '[' => {
                is_inside = true;
                written.push(letter);
                written.extend(letters.next_if_eq(&'^'));
                is_first = true;
                continue;
            }
            // The first one of a class is a member of it.
            ']' if is_inside && is_first => written.push('\\'),
            ']' => is_inside = false,
            _ => {}
        }
        written.push(letter);
        is_first = false;
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_go_reads_them_or_not_at_all() {
        for (text, fits, does_not) in [
            ("^[a-z]+$", "abc", "Abc"),
            ("a.c", "xabcx", "ac"),
            ("^[[]$", "[", "a"),
            ("^[]a]$", "]", "b"),
            ("^[^[]+$", "abc", "a[c"),
            (r"^\[a\]$", "[a]", "a"),
            (r"^\d+/\w$", "12/a", "12-a"),
            (r"^(?i)on|off$", "ON", "none"),
        ] {
            let pattern = pattern(text).expect(text);
            assert!(pattern.is_match(fits), "{text} {fits}");
            assert!(!pattern.is_match(does_not), "{text} {does_not}");
        }
        for text in [
            r"\<a\>",
            "a{,3}",
            "[a&&b]",
            "[[:alpha:]]",
            "(",
            r"a\",
            r"\Qa\E",
        ] {
            assert!(pattern(text).is_none(), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_read_in_two_ways_are_none() {
        for (text, expected) in [
            ("7", Some(7.0)),
            ("-7.5", Some(-7.5)),
            ("0", Some(0.0)),
            ("0.5", Some(0.5)),
            ("017", None),
            ("0x1f", None),
            ("1_000", None),
            ("1e3", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
