//! Points in time as text: RFC 3339 and the forms that YAML resolves, kept with their offset, never computed with.

use std::fmt;

/// A date and time of day with its offset from UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    offset_minutes: i16,
}

impl Time {
    /// Reads RFC 3339, as `lastmodified` and encrypted values are written.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        Self::read(date, rest.strip_prefix('T')?, Digits::Two, true)
    }

    /// Reads what YAML resolves to a timestamp: a date, or a date and time with short fields.
    pub fn parse_yaml(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
            return None;
        }
        match text.find(['T', 't', ' ']) {
            None => Self::read(text, "0:0:0", Digits::OneOrTwo, false),
            Some(at) => {
                let zoned = bytes[at] != b' ';
                Self::read(&text[..at], &text[at + 1..], Digits::OneOrTwo, zoned)
            }
        }
    }

    fn read(date: &str, clock: &str, digits: Digits, zoned: bool) -> Option<Self> {
        let mut fields = date.splitn(3, '-');
        let year = fields.next()?;
        let year = (year.len() == 4).then(|| number(year))??;
        let month = digits.read(fields.next()?)?;
        let day = digits.read(fields.next()?)?;
        let (clock, offset_minutes) = match zoned {
            true => split_zone(clock)?,
            false => (clock, 0),
        };
        let mut fields = clock.splitn(3, ':');
        let hour = fields.next()?;
        // Go reads the hour with one or two digits in every layout.
        let hour = Digits::OneOrTwo.read(hour)?;
        let minute = digits.read(fields.next()?)?;
        let (second, nanosecond) = split_fraction(fields.next()?)?;
        let second = digits.read(second)?;
        let valid = (1..=12).contains(&month)
            && (1..=days(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then_some(Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
            offset_minutes,
        })
    }

    /// RFC 3339 in whole seconds: what authenticates the MAC, and what dotenv and INI write.
    pub fn seconds(&self) -> String {
        format!("{}{}", self.clock(), self.zone())
    }

    fn clock(&self) -> String {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }

    fn zone(&self) -> String {
        let minutes = self.offset_minutes.unsigned_abs();
        match self.offset_minutes {
            0 => "Z".to_owned(),
            offset => format!(
                "{}{:02}:{:02}",
                if offset < 0 { '-' } else { '+' },
                minutes / 60,
                minutes % 60
            ),
        }
    }
}

impl fmt::Display for Time {
    /// RFC 3339 with as many digits of the fraction as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clock())?;
        if self.nanosecond > 0 {
            let fraction = format!("{:09}", self.nanosecond);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str(&self.zone())
    }
}

#[derive(Clone, Copy)]
enum Digits {
    Two,
    OneOrTwo,
}

impl Digits {
    fn read(self, text: &str) -> Option<u8> {
        let fits = match self {
            Self::Two => text.len() == 2,
            Self::OneOrTwo => matches!(text.len(), 1 | 2),
        };
        fits.then(|| number(text))?
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn split_zone(clock: &str) -> Option<(&str, i16)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let (clock, zone) = clock.split_at_checked(clock.len().checked_sub(6)?)?;
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (Digits::Two.read(hours)?, Digits::Two.read(minutes)?);
    let valid = hours <= 24 && minutes < 60;
    valid.then_some((clock, sign * (i16::from(hours) * 60 + i16::from(minutes))))
}

fn split_fraction(second: &str) -> Option<(&str, u32)> {
    let Some((second, fraction)) = second.split_once(['.', ',']) else {
        return Some((second, 0));
    };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some((second, nine.parse().ok()?))
}

fn days(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn offsets_are_kept_and_zero_is_zulu() {
        for (text, seconds) in [
            ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z"),
            ("2024-05-06T07:08:09.25+00:00", "2024-05-06T07:08:09Z"),
            ("2024-05-06T07:08:09-02:30", "2024-05-06T07:08:09-02:30"),
        ] {
            let time = Time::parse_rfc3339(text).expect(text);
            assert_eq!(time.seconds(), seconds);
        }
        assert!(Time::parse_rfc3339("2024-02-30T07:08:09Z").is_none());
        assert!(Time::parse_rfc3339("2024-02-03 07:08:09Z").is_none());
    }

    #[test]
    fn yaml_takes_short_fields_and_bare_dates() {
        for (text, printed) in [
            ("2001-12-14", "2001-12-14T00:00:00Z"),
            ("2001-2-3 4:5:6.700", "2001-02-03T04:05:06.7Z"),
            (
                "2001-12-14t21:59:43.10-05:00",
                "2001-12-14T21:59:43.1-05:00",
            ),
        ] {
            assert_eq!(Time::parse_yaml(text).expect(text).to_string(), printed);
        }
        assert!(Time::parse_yaml("2001-12-14 21:59:43 -5").is_none());
    }
}
