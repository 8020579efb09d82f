//! Scalars as Go prints them: the text that is encrypted, hashed into the MAC, and written to files.

/// How a float's exponent is written.
#[derive(Clone, Copy)]
pub(crate) enum FloatStyle {
    /// Never an exponent: what is encrypted and hashed.
    Plain,
    /// `1e+06` from 10^6 up and below 10^-4: YAML.
    Yaml,
    /// `1E+06`, else always a digit after the point: dotenv and INI.
    Flat,
    /// `1e+21` from 10^21 up, `1e-7` below 10^-6: JSON.
    Json,
}

/// A float in the shortest text that reads back to it.
pub(crate) fn float(value: f64, style: FloatStyle) -> String {
    if !value.is_finite() {
        return non_finite(value).to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let general_is_plain = (-4..6).contains(&exponent);
    match style {
        FloatStyle::Plain => format!("{value}"),
        FloatStyle::Yaml if !general_is_plain => padded(mantissa, 'e', exponent),
        FloatStyle::Flat if !general_is_plain => padded(mantissa, 'E', exponent),
        FloatStyle::Flat if value.fract() == 0.0 => format!("{value}.0"),
        FloatStyle::Json if value != 0.0 && !(-6..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{}", exponent.unsigned_abs())
        }
        FloatStyle::Yaml | FloatStyle::Flat | FloatStyle::Json => format!("{value}"),
    }
}

fn non_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

fn padded(mantissa: &str, letter: char, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// A 64-bit integer in decimal digits with an optional sign.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A float in any of Go's decimal notations.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = match unsigned.as_bytes().first()? {
        b'0'..=b'9' | b'.' => true,
        _ => ["inf", "infinity", "nan"]
            .iter()
            .any(|name| unsigned.eq_ignore_ascii_case(name)),
    };
    let value: f64 = known.then(|| text.parse().ok())??;
    let names_infinity = unsigned.as_bytes()[0].is_ascii_alphabetic();
    (value.is_finite() || names_infinity).then_some(value)
}

/// A truth value in any of the spellings that Go reads.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{FloatStyle, float, parse_float};

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, plain, yaml, flat, json) in [
            (3.0, "3", "3", "3.0", "3"),
            (-0.0, "-0", "-0", "-0.0", "-0"),
            (0.1, "0.1", "0.1", "0.1", "0.1"),
            (1e21, "1000000000000000000000", "1e+21", "1E+21", "1e+21"),
            (123456.0, "123456", "123456", "123456.0", "123456"),
            (
                1234567.5,
                "1234567.5",
                "1.2345675e+06",
                "1.2345675E+06",
                "1234567.5",
            ),
            (2e-7, "0.0000002", "2e-07", "2E-07", "2e-7"),
        ] {
            assert_eq!(float(value, FloatStyle::Plain), plain);
            assert_eq!(float(value, FloatStyle::Yaml), yaml);
            assert_eq!(float(value, FloatStyle::Flat), flat);
            assert_eq!(float(value, FloatStyle::Json), json);
        }
    }

    #[test]
    fn floats_read_as_go_reads_them() {
        assert_eq!(parse_float("1e3"), Some(1000.0));
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float("1e999"), None);
        assert_eq!(parse_float("infinit"), None);
    }
}
