//! What a scalar is: go-yaml v3's rules for plain text and explicit tags.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::canonical;
use crate::time::Time;
use crate::tree::Value;

const LONG: &str = "tag:yaml.org,2002:";

/// The texts that stand for one value each.
const WORDS: [(&[&str], Value); 6] = [
    (&["true", "True", "TRUE"], Value::Bool(true)),
    (&["false", "False", "FALSE"], Value::Bool(false)),
    (&["", "~", "null", "Null", "NULL"], Value::Null),
    (&[".nan", ".NaN", ".NAN"], Value::Float(f64::NAN)),
    (
        &[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"],
        Value::Float(f64::INFINITY),
    ),
    (
        &["-.inf", "-.Inf", "-.INF"],
        Value::Float(f64::NEG_INFINITY),
    ),
];

/// Why a scalar has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// The text is not of the type that its tag names.
    Tag,
    /// An integer beyond 63 bits and a sign; SOPS has no type for it.
    Range,
}

/// The value of a scalar with a tag, as written or in full.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Value, Unresolved> {
    let kind = tag.strip_prefix(LONG).or_else(|| tag.strip_prefix("!!"));
    let kind = match (tag, kind) {
        ("!", _) => return Ok(Value::text(text)),
        (_, Some(kind)) => kind,
        // Tags of one's own are dropped.
        (_, None) => return Ok(Value::text(text)),
    };
    let value = match kind {
        "bool" | "int" | "float" | "null" | "timestamp" => plain(text)?,
        "binary" => return binary(text).ok_or(Unresolved::Tag),
        _ => return Ok(Value::text(text)),
    };
    match (kind, value) {
        ("float", Value::Int(int)) => Ok(Value::Float(int as f64)),
        ("bool", value @ Value::Bool(_))
        | ("int", value @ Value::Int(_))
        | ("float", value @ Value::Float(_))
        | ("null", value @ Value::Null)
        | ("timestamp", value @ Value::Time(_)) => Ok(value),
        _ => Err(Unresolved::Tag),
    }
}

fn binary(text: &str) -> Option<Value> {
    let base64: String = text.split(['\n', '\r']).collect();
    let bytes = STANDARD.decode(base64).ok()?;
    Some(Value::Text(Zeroizing::new(bytes)))
}

/// The value of a plain scalar.
pub(super) fn plain(text: &str) -> Result<Value, Unresolved> {
    if let Some((_, value)) = WORDS.iter().find(|(words, _)| words.contains(&text)) {
        return Ok(value.clone());
    }
    let value = match text.as_bytes().first() {
        Some(b'.') => canonical::parse_float(text).map(Value::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => return number_or_time(text),
        _ => None,
    };
    Ok(value.unwrap_or_else(|| Value::text(text)))
}

fn number_or_time(text: &str) -> Result<Value, Unresolved> {
    if let Some(time) = Time::parse_yaml(text) {
        return Ok(Value::Time(time));
    }
    let bare = text.replace('_', "");
    if let Some(int) = integer(&bare) {
        return i64::try_from(int)
            .map(Value::Int)
            .map_err(|_| Unresolved::Range);
    }
    let float = is_float(&bare)
        .then(|| canonical::parse_float(&bare))
        .flatten();
    Ok(float.map_or_else(|| Value::text(text), Value::Float))
}

/// An integer in decimal, or with a base: `0x`, `0o`, `0b`, or an octal's leading zero. What 64 bits cannot hold in any
/// way is none.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let bytes = digits.as_bytes();
    let (base, digits) = match (bytes.first()?, bytes.get(1).map(u8::to_ascii_lowercase)) {
        (b'0', Some(b'x')) => (16, &digits[2..]),
        (b'0', Some(b'o')) => (8, &digits[2..]),
        (b'0', Some(b'b')) => (2, &digits[2..]),
        (b'0', Some(_)) => (8, &digits[1..]),
        _ => (10, digits),
    };
    let signed = digits.starts_with(['+', '-']);
    let magnitude = (!signed).then(|| u64::from_str_radix(digits, base).ok())??;
    let value = i128::from(magnitude) * if negative { -1 } else { 1 };
    (value >= i128::from(i64::MIN)).then_some(value)
}

/// Digits with a point, or a point with digits, and an exponent.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            digits(whole) && digits(fraction) && (whole.len() + fraction.len()) > 0
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa
        && exponent.is_none_or(|exponent| {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !unsigned.is_empty() && digits(unsigned)
        })
}

#[cfg(test)]
mod tests {
    use super::{Unresolved, plain, tagged};
    use crate::tree::Value;

    #[test]
    fn plain_scalars_resolve_as_in_go_yaml() {
        for (text, value) in [
            ("yes", Value::text("yes")),
            ("0755", Value::Int(493)),
            ("0o17", Value::Int(15)),
            ("0x1F", Value::Int(31)),
            ("-0b11", Value::Int(-3)),
            ("1_000", Value::Int(1000)),
            ("+12", Value::Int(12)),
            ("08", Value::Float(8.0)),
            ("1e3", Value::Float(1000.0)),
            ("12:30", Value::text("12:30")),
            (".5", Value::Float(0.5)),
            ("1.2.3", Value::text("1.2.3")),
            ("-", Value::text("-")),
            ("18446744073709551616", Value::Float(18446744073709551616.0)),
        ] {
            assert!(plain(text) == Ok(value), "{text}");
        }
        assert!(plain("18446744073709551615") == Err(Unresolved::Range));
    }

    #[test]
    fn tags_convert_or_refuse() {
        assert!(tagged("!!float", "3") == Ok(Value::Float(3.0)));
        assert!(tagged("tag:yaml.org,2002:str", "3") == Ok(Value::text("3")));
        assert!(tagged("!mine", "3") == Ok(Value::text("3")));
        assert!(tagged("!!int", "x") == Err(Unresolved::Tag));
        assert!(tagged("!!binary", "YWI=") == Ok(Value::text("ab")));
    }
}
