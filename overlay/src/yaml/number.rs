//! Numbers as Go reads and prints them: what a plain scalar means, and its text after a trip through JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A number that a plain scalar stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Fits 64 bits with a sign.
    Int(i64),
    /// Fits 64 bits only without a sign.
    Uint(u64),
    /// Anything else; never infinite and never "not a number".
    Float(f64),
}

/// The number that a plain scalar stands for in go-yaml, if any. `.inf` and `.nan` are not numbers here.
pub fn parse_number(text: &str) -> Option<Number> {
    match text.as_bytes().first()? {
        b'.' if has_stray_underscore(text.as_bytes()) => None,
        b'.' => parse_float(&without_underscores(text)).map(Number::Float),
        b'0'..=b'9' | b'+' | b'-' => parse_digits(&without_underscores(text)),
        _ => None,
    }
}

/// Behind a leading point, Go itself reads the number, and wants underscores between digits.
fn has_stray_underscore(text: &[u8]) -> bool {
    let is_digit = |index: usize| text.get(index).is_some_and(u8::is_ascii_digit);
    let separates = |index: usize| is_digit(index.wrapping_sub(1)) && is_digit(index + 1);
    memchr::memchr_iter(b'_', text).any(|index| !separates(index))
}

fn without_underscores(text: &str) -> Cow<'_, str> {
    if text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    }
}

fn parse_digits(text: &str) -> Option<Number> {
    parse_integer(text)
        .or_else(|| parse_float(text).map(Number::Float))
        .or_else(|| parse_signed_after_prefix(text))
}

/// Go's base 0: `0x`, `0b`, `0o` and a leading `0` choose the base.
fn parse_integer(text: &str) -> Option<Number> {
    let (negative, signed, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let (base, digits) = split_base(magnitude);
    let value = parse_unsigned(digits, base)?;
    match i64::try_from(value) {
        Ok(value) => Some(Number::Int(if negative { -value } else { value })),
        Err(_) if negative && value == i64::MIN.unsigned_abs() => Some(Number::Int(i64::MIN)),
        Err(_) if signed => None,
        Err(_) => Some(Number::Uint(value)),
    }
}

fn split_base(text: &str) -> (u32, &str) {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'x' | b'X')) => (16, &text[2..]),
        (Some(b'0'), Some(b'b' | b'B')) => (2, &text[2..]),
        (Some(b'0'), Some(b'o' | b'O')) => (8, &text[2..]),
        (Some(b'0'), Some(_)) => (8, &text[1..]),
        _ => (10, text),
    }
}

fn parse_unsigned(digits: &str, base: u32) -> Option<u64> {
    match digits.as_bytes().first()? {
        b'+' => None,
        _ => u64::from_str_radix(digits, base).ok(),
    }
}

/// go-yaml hands what follows `0b` and `0o` to a parser that accepts a sign: `0b-1` is -1.
fn parse_signed_after_prefix(text: &str) -> Option<Number> {
    let (base, digits) = match text.get(..2)? {
        "0b" => (2, &text[2..]),
        "0o" => (8, &text[2..]),
        _ => return None,
    };
    i64::from_str_radix(digits, base).ok().map(Number::Int)
}

fn parse_float(text: &str) -> Option<f64> {
    if !is_float_notation(text.as_bytes()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float_notation(text: &[u8]) -> bool {
    let unsigned = skip_sign(text);
    let (whole, rest) = split_digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        _ => (0, rest),
    };
    if whole == 0 && (fraction == 0 || unsigned.first() != Some(&b'.')) {
        return false;
    }
    match rest {
        [] => true,
        [b'e' | b'E', rest @ ..] => {
            let (exponent, rest) = split_digits(skip_sign(rest));
            exponent > 0 && rest.is_empty()
        }
        _ => false,
    }
}

fn skip_sign(text: &[u8]) -> &[u8] {
    match text {
        [b'-' | b'+', rest @ ..] => rest,
        _ => text,
    }
}

fn split_digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &text[count..])
}

/// The number that a scalar stands for when its type is known to be a float or an integer.
pub fn number_value(text: &str, is_float: bool) -> Option<Number> {
    match parse_number(text)? {
        Number::Int(value) if is_float => Some(Number::Float(value as f64)),
        number => Some(number),
    }
}

/// A number after a trip through Go's JSON: floats without a fraction become integers where they fit.
pub fn through_json(number: Number) -> Number {
    match number {
        Number::Float(value) if value.fract() == 0.0 => {
            let digits = value.abs().to_string();
            match (digits.parse::<u64>(), value < 0.0) {
                (Ok(size), false) if size > i64::MAX as u64 => Number::Uint(size),
                (Ok(size), false) => Number::Int(size as i64),
                (Ok(size), true) if size <= i64::MAX as u64 => Number::Int(-(size as i64)),
                _ => number,
            }
        }
        _ => number,
    }
}

/// Appends a number as go-yaml prints it: `1e+21`, `1e-07`, `1.5`, `493`.
pub fn write_number(out: &mut String, number: Number) {
    // Writing to a String cannot fail.
    let _ = match number {
        Number::Int(value) => write!(out, "{value}"),
        Number::Uint(value) => write!(out, "{value}"),
        Number::Float(value) => {
            write_float(out, value);
            Ok(())
        }
    };
}

/// Go's `%g` with the shortest digits: an exponent below -4 or above 5 is written out.
fn write_float(out: &mut String, value: f64) {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let _ = if (-4..6).contains(&exponent) {
        write!(out, "{value}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.abs())
    };
}
