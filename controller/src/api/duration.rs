//! Durations as Go writes and reads them: `1h30m`, `2.5s`, `300ms`.

use std::time::Duration;

/// The pattern of durations in Flux's resources.
pub const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Units by their notation, longest first, in nanoseconds.
const UNITS: [(&str, f64); 4] = [("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// The duration that the text says; `None` when it says none.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, size) = UNITS
            .iter()
            .find(|(unit, _)| rest[end..].starts_with(unit))?;
        nanoseconds += number * size;
        rest = &rest[end + unit.len()..];
    }
    // Go's durations end at 292 years.
    (!text.is_empty() && nanoseconds < i64::MAX as f64)
        .then(|| Duration::from_nanos(nanoseconds as u64))
}

/// The text that Go's `Duration.String` gives: `1h30m0s`, `5m0s`, `75ms`, `1.5s`.
pub fn format(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return match duration.as_nanos() {
            0 => "0s".to_owned(),
            n if n < 1_000 => format!("{n}ns"),
            n if n < 1_000_000 => format!("{}µs", n as f64 / 1e3),
            n => format!("{}ms", n as f64 / 1e6),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = f64::from(duration.subsec_nanos()) / 1e9;
    let seconds = (seconds % 60) as f64 + fraction;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations() {
        for (text, milliseconds) in [
            ("1h30m", 5_400_000),
            ("2.5s", 2_500),
            ("300ms", 300),
            ("0s", 0),
            ("1m1m", 120_000),
        ] {
            let expected = Some(Duration::from_millis(milliseconds));
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in ["", "5", "m", "1d", "-1s", "1..2s", "999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_go_durations() {
        for (milliseconds, text) in [
            (0, "0s"),
            (75, "75ms"),
            (1_500, "1.5s"),
            (300_000, "5m0s"),
            (5_430_000, "1h30m30s"),
        ] {
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
    }
}
