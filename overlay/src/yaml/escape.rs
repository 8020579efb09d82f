//! The escapes of double-quoted scalars, as go-yaml v2 writes them.

use super::scalar_shape::{is_break, is_printable};

/// True when a double-quoted text must escape it.
pub(super) fn is_escaped(char: char) -> bool {
    !is_printable(char) || is_break(char) || char == '"' || char == '\\'
}

/// Appends the escape of a character and says how long it is.
pub(super) fn write_escaped(out: &mut String, char: char) -> usize {
    let before = out.len();
    out.push('\\');
    match short_escape(char) {
        Some(letter) => out.push(letter),
        None => write_hex_escape(out, u32::from(char)),
    }
    out.len() - before
}

fn write_hex_escape(out: &mut String, code: u32) {
    let (letter, digits) = match code {
        0..=0xff => ('x', 2),
        0x100..=0xffff => ('u', 4),
        _ => ('U', 8),
    };
    out.push(letter);
    for shift in (0..digits).rev() {
        let digit = char::from_digit((code >> (shift * 4)) & 0xf, 16).unwrap_or('0');
        out.push(digit.to_ascii_uppercase());
    }
}

fn short_escape(char: char) -> Option<char> {
    Some(match char {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return None,
    })
}
