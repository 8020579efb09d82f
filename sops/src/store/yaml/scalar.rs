//! How a scalar is written: which quotes it needs, and which letters are escaped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::resolve;
use crate::canonical::{self, FloatStyle};
use crate::tree::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// A scalar's text, the style that the encoder asks for, and a tag that must be written.
pub(super) struct Text<'a> {
    pub(super) text: Zeroizing<String>,
    style: Style,
    pub(super) tag: Option<&'a str>,
}

/// The text of a value that is no collection.
pub(super) fn text_of(value: &Value) -> Text<'static> {
    let plain = |text: String| Text {
        text: Zeroizing::new(text),
        style: Style::Plain,
        tag: None,
    };
    match value {
        Value::Text(bytes) => string_text(bytes),
        Value::Bool(truth) => plain(truth.to_string()),
        Value::Int(int) => plain(int.to_string()),
        Value::Time(time) => plain(time.to_string()),
        Value::Float(float) if float.is_finite() => {
            plain(canonical::float(*float, FloatStyle::Yaml))
        }
        Value::Float(f64::INFINITY) => plain(".inf".to_owned()),
        Value::Float(f64::NEG_INFINITY) => plain("-.inf".to_owned()),
        Value::Float(_) => plain(".nan".to_owned()),
        Value::Null | Value::List(_) | Value::Map(_) => plain("null".to_owned()),
    }
}

/// A string: quoted when it would be read as something else, in YAML 1.1 too.
pub(super) fn string_text(bytes: &[u8]) -> Text<'static> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return binary_text(bytes);
    };
    let style = match text {
        _ if text.contains('\n') => Style::Literal,
        _ if reads_as_string(text) => Style::Plain,
        _ => Style::Double,
    };
    Text {
        text: Zeroizing::new(text.to_owned()),
        style,
        // The merge key is not text to go-yaml unless a tag says so.
        tag: (text == "<<").then_some("!!merge"),
    }
}

/// Bytes that are not UTF-8, as base64 in lines of 70.
fn binary_text(bytes: &[u8]) -> Text<'static> {
    let base64 = Zeroizing::new(STANDARD.encode(bytes));
    let mut text = Zeroizing::new(String::new());
    let lines = base64.len() / 70 + 1;
    for line in base64.as_bytes().chunks(70) {
        text.extend(line.iter().copied().map(char::from));
        if lines > 1 {
            text.push('\n');
        }
    }
    let style = match text.contains('\n') {
        true => Style::Literal,
        false => Style::Plain,
    };
    Text {
        text,
        style,
        tag: Some("!!binary"),
    }
}

fn reads_as_string(text: &str) -> bool {
    const OLD_BOOLEANS: [&str; 22] = [
        "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off",
        "OFF", "true", "True", "TRUE", "false", "False", "FALSE",
    ];
    let resolves = matches!(resolve::plain(text), Ok(Value::Text(_)));
    resolves && !OLD_BOOLEANS.contains(&text) && !is_sexagesimal(text)
}

/// `1:30` was a number in YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let sixty = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [b'0'..=b'5', one] => one.is_ascii_digit(),
        _ => false,
    };
    let mut rest = parts.peekable();
    first.starts_with(|letter: char| letter.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && rest.peek().is_some()
        && rest.all(sixty)
}

/// What a text rules out.
#[derive(Default)]
pub(super) struct Analysis {
    pub(super) line_breaks: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                line_breaks: false,
                plain: true,
                single: true,
                block: false,
            };
        }
        let mut special = false;
        let mut tabs = false;
        let mut line_breaks = false;
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut break_space, mut space_break) = (false, false);
        let mut before = None;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let ends = letters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= is_indicator(letter, before, ends);
            tabs |= letter == '\t';
            special |= letter != '\t' && !is_printable(letter);
            break_space |= letter == ' ' && before.is_some_and(is_break);
            space_break |= is_break(letter) && before == Some(' ');
            line_breaks |= is_break(letter);
            before = Some(letter);
        }
        let edge = |letter: Option<char>| letter.is_some_and(|edge| edge == ' ' || is_break(edge));
        let edges = edge(text.chars().next()) || edge(before);
        let single = !break_space && !space_break && !tabs && !special;
        Self {
            line_breaks,
            plain: single && !edges && !line_breaks && !indicators,
            single,
            block: before != Some(' ') && !space_break && !special,
        }
    }

    /// The style asked for, or the next one that can hold the text.
    pub(super) fn allowed(&self, scalar: &Text<'_>, simple_key: bool) -> Style {
        let empty = scalar.text.is_empty();
        let mut style = match scalar.style {
            _ if simple_key && self.line_breaks => Style::Double,
            style => style,
        };
        if style == Style::Plain && (!self.plain || empty && simple_key) {
            style = Style::Single;
        }
        if style == Style::Single && !self.single {
            style = Style::Double;
        }
        // go-yaml would write a first line that starts with a tab, and could not read it.
        let unreadable = scalar.text.starts_with('\t');
        if style == Style::Literal && (!self.block || simple_key || unreadable) {
            style = Style::Double;
        }
        style
    }
}

/// True for a letter that means something else than itself in a plain scalar of a block.
fn is_indicator(letter: char, before: Option<char>, followed_by_blank: bool) -> bool {
    match (before, letter) {
        (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>') => true,
        (None, '\'' | '"' | '%' | '@' | '`') => true,
        (None, '?' | ':' | '-') | (Some(_), ':') => followed_by_blank,
        (Some(before), '#') => matches!(before, ' ' | '\t' | '\0') || is_break(before),
        _ => false,
    }
}

/// What YAML 1.1 breaks lines at.
pub(super) fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml prints as it is: nothing beyond the basic plane.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && letter != '\u{feff}'
}

/// The escape of a letter in double quotes, where it needs one.
pub(super) fn escape(letter: char, always: bool) -> Option<String> {
    let name = match letter {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return (always || !is_printable(letter)).then(|| escape_code(letter)),
    };
    // A no-break space is printable, and stays.
    (always || letter != '\u{a0}').then(|| format!("\\{name}"))
}

fn escape_code(letter: char) -> String {
    let code = u32::from(letter);
    match code {
        0..=0xff => format!("\\x{code:02X}"),
        0x100..=0xffff => format!("\\u{code:04X}"),
        _ => format!("\\U{code:08X}"),
    }
}
