//! Dates and times as go-yaml recognises them in plain scalars, and as Go prints them in RFC 3339.

use std::fmt::Write as _;

/// Year, month and day.
type Date = (u32, u32, u32);

/// Hour, minute and second.
type Clock = (u32, u32, u32);

/// A point in time, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timestamp {
    date: Date,
    time: Clock,
    nanoseconds: u32,
    /// Offset from UTC in minutes.
    offset: i32,
}

/// True when go-yaml would read this plain scalar as a time.
pub fn is_timestamp(text: &str) -> bool {
    parse(text).is_some()
}

/// The text in RFC 3339 with the fraction that it needs; `None` when it is no timestamp.
pub fn to_rfc3339(text: &str) -> Option<String> {
    let stamp = parse(text)?;
    let (year, month, day) = stamp.date;
    let (hour, minute, second) = stamp.time;
    let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if stamp.nanoseconds != 0 {
        let fraction = format!("{:09}", stamp.nanoseconds);
        out.push('.');
        out.push_str(fraction.trim_end_matches('0'));
    }
    write_offset(&mut out, stamp.offset);
    Some(out)
}

fn write_offset(out: &mut String, minutes: i32) {
    if minutes == 0 {
        out.push('Z');
        return;
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let size = minutes.abs();
    // Writing to a String cannot fail.
    let _ = write!(out, "{sign}{:02}:{:02}", size / 60, size % 60);
}

/// Four layouts: date with `T` or `t`, time and zone; date, space and time; date alone.
fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (date, rest) = parse_date(bytes)?;
    match rest {
        [] => Some(Timestamp {
            date,
            time: (0, 0, 0),
            nanoseconds: 0,
            offset: 0,
        }),
        [b'T' | b't', rest @ ..] => {
            let (time, nanoseconds, rest) = parse_time(rest)?;
            let offset = parse_offset(rest)?;
            Some(Timestamp {
                date,
                time,
                nanoseconds,
                offset,
            })
        }
        [b' ', ..] => {
            let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
            let (time, nanoseconds, rest) = parse_time(&rest[blanks..])?;
            rest.is_empty().then_some(Timestamp {
                date,
                time,
                nanoseconds,
                offset: 0,
            })
        }
        _ => None,
    }
}

fn parse_date(bytes: &[u8]) -> Option<(Date, &[u8])> {
    let year = bytes[..4]
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    let (month, rest) = short_number(&bytes[5..])?;
    let (day, rest) = short_number(expect(rest, b'-')?)?;
    let valid = (1..=12).contains(&month) && (1..=days_in(month, year)).contains(&day);
    valid.then_some(((year, month, day), rest))
}

fn parse_time(bytes: &[u8]) -> Option<(Clock, u32, &[u8])> {
    let (hour, rest) = short_number(bytes)?;
    let (minute, rest) = short_number(expect(rest, b':')?)?;
    let (second, rest) = short_number(expect(rest, b':')?)?;
    let (nanoseconds, rest) = parse_fraction(rest);
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some(((hour, minute, second), nanoseconds, rest))
}

/// Digits behind a point or a comma; what is finer than nanoseconds is dropped.
fn parse_fraction(bytes: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', rest @ ..] = bytes else {
        return (0, bytes);
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return (0, bytes);
    }
    let digits = &rest[..count.min(9)];
    let value = digits
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (value * 10_u32.pow(9 - digits.len() as u32), &rest[count..])
}

fn parse_offset(bytes: &[u8]) -> Option<i32> {
    match bytes {
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2];
            if !digits.iter().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let number =
                |tens: &u8, ones: &u8| i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
            let (hours, minutes) = (number(h1, h2), number(m1, m2));
            let size = hours * 60 + minutes;
            (hours <= 24 && minutes <= 60).then_some(if *sign == b'-' { -size } else { size })
        }
        _ => None,
    }
}

/// One or two digits.
fn short_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let count = bytes
        .iter()
        .take(2)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let value = bytes[..count]
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (count > 0).then_some((value, &bytes[count..]))
}

fn expect(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    bytes.strip_prefix(&[byte])
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
