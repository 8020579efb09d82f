//! What a plain scalar means: go-yaml's own mixture of YAML 1.1 and 1.2, in its versions 2 and 3.

use super::number::{Number, parse_number};
use super::timestamp::is_timestamp;
use super::{Dialect, Tag};

/// What a plain scalar without a tag is. `.inf` and `.nan` are [`Tag::Float`].
pub fn resolve(text: &str, dialect: Dialect) -> Tag {
    let Some(first) = text.as_bytes().first() else {
        return Tag::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => resolve_number(text, dialect),
        b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'~' | b'y' | b'Y' | b'o' | b'O' => {
            resolve_word(text, dialect)
        }
        _ => Tag::Str,
    }
}

fn resolve_word(text: &str, dialect: Dialect) -> Tag {
    match text {
        "~" | "null" | "Null" | "NULL" => Tag::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Tag::Bool,
        _ if dialect == Dialect::Kubernetes && old_truth(text).is_some() => Tag::Bool,
        _ => Tag::Str,
    }
}

fn resolve_number(text: &str, dialect: Dialect) -> Tag {
    if is_infinite(text) {
        return Tag::Float;
    }
    // go-yaml v2 knows times, but gives them back as they were written.
    if is_timestamp(text) {
        return match dialect {
            Dialect::Kustomize => Tag::Timestamp,
            Dialect::Kubernetes => Tag::Str,
        };
    }
    match parse_number(text) {
        Some(_) if dialect == Dialect::Kubernetes && is_signed_octal(text) => Tag::Str,
        Some(Number::Int(_) | Number::Uint(_)) => Tag::Int,
        Some(Number::Float(_)) => Tag::Float,
        None => Tag::Str,
    }
}

/// `0o-7`, which only go-yaml v3 takes for a number.
fn is_signed_octal(text: &str) -> bool {
    text.starts_with("0o") && matches!(text.as_bytes().get(2), Some(b'+' | b'-'))
}

/// The three numbers that JSON cannot hold.
pub(super) fn is_infinite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// The truth value of any word that go-yaml v2 takes for one.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => old_truth(text),
    }
}

/// YAML 1.1's other truth values, which go-yaml v3 reads as text.
fn old_truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// True when text can be printed plain without go-yaml v2 (or an older parser, for `1:30`) taking it for another type.
pub fn stays_text(text: &str) -> bool {
    match text.as_bytes().first() {
        None => false,
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
            resolve_number(text, Dialect::Kubernetes) == Tag::Str
                && !is_timestamp(text)
                && !is_base_60(text.as_bytes())
        }
        Some(_) => resolve(text, Dialect::Kubernetes) == Tag::Str,
    }
}

/// `^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`
fn is_base_60(text: &[u8]) -> bool {
    let text = match text {
        [b'-' | b'+', rest @ ..] => rest,
        _ => text,
    };
    let mut parts = text.split(|byte| *byte == b':');
    let whole = parts.next().unwrap_or_default();
    let is_whole = |part: &[u8]| {
        part.first().is_some_and(u8::is_ascii_digit)
            && part
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'_')
    };
    let mut rest: Vec<&[u8]> = parts.collect();
    let Some(last) = rest.pop().filter(|_| is_whole(whole)) else {
        return false;
    };
    let (digits, fraction) = match last.iter().position(|byte| *byte == b'.') {
        Some(point) => (&last[..point], &last[point + 1..]),
        None => (last, &[][..]),
    };
    rest.iter().all(|part| is_sixtieth(part))
        && is_sixtieth(digits)
        && fraction
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'_')
}

fn is_sixtieth(part: &[u8]) -> bool {
    match part {
        [ones] => ones.is_ascii_digit(),
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    }
}
