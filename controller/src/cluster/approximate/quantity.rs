//! Numbers with units, as the API server writes them: `1000m` is `1`, `1.5Gi` is `1536Mi`.

/// Units of a thousand, and how many thousandths each is.
const DECIMAL: [(&str, i128); 8] = [
    ("m", 1),
    ("", 1_000),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
];

/// Units of 1024, likewise.
const BINARY: [(&str, i128); 6] = [
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("Ei", 1_000 << 60),
];

/// The form in which the server writes a quantity; none where it is none, or is written with an exponent.
pub(super) fn canonical(text: &str) -> Option<String> {
    let units = BINARY.iter().chain(&DECIMAL);
    let suffix = |unit: &&(&str, i128)| !unit.0.is_empty() && text.ends_with(unit.0);
    let (unit, size) = units.clone().find(suffix).copied().unwrap_or(("", 1_000));
    let thousandths = thousandths(text.strip_suffix(unit)?, size)?;
    let family: &[(&str, i128)] = match unit.ends_with('i') {
        true => &BINARY,
        false => &DECIMAL,
    };
    if thousandths == 0 {
        return Some("0".to_owned());
    }
    let largest = family
        .iter()
        .rev()
        .find(|(_, size)| thousandths % size == 0);
    // What is less than the least unit of 1024 is written in units of a thousand.
    let least = || {
        DECIMAL
            .iter()
            .rev()
            .find(|(_, size)| thousandths % size == 0)
    };
    let (unit, size) = largest.or_else(least)?;
    Some(format!("{}{unit}", thousandths / size))
}

fn thousandths(number: &str, size: i128) -> Option<i128> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = digits.checked_mul(size)?;
    // What is finer than a thousandth is rounded up.
    Some(sign * (scaled + scale - 1).div_euclid(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_one_form() {
        for (text, form) in [
            ("1000m", "1"),
            ("500m", "500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.50", "1500m"),
            ("1000", "1k"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("2000M", "2G"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1000m", "-1"),
            ("0.0001", "1m"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(form), "{text}");
        }
        for text in ["", "much", "1e3", "1 Gi", "Gi", "--1"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
