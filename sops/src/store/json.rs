//! JSON, read and written as Go's `encoding/json` does: duplicates kept, broken text replaced, HTML escaped.

use zeroize::Zeroizing;

use crate::canonical::{self, FloatStyle};
use crate::error::{Error, ErrorKind, Position};
use crate::format::Format;
use crate::tree::{Branch, Element, Item, Node, Pair, Value};

const DEPTH_LIMIT: usize = 200;

/// Reads one object.
pub(crate) fn read(bytes: &[u8], format: Format) -> Result<Branch, Error> {
    let mut reader = Reader {
        bytes,
        at: 0,
        line: 1,
        line_start: 0,
        format,
    };
    let node = match reader.next() {
        Some(b'{') => reader.value(0)?,
        _ => return Err(reader.problem("the file is not an object")),
    };
    match (reader.next(), node.value) {
        (None, Value::Map(branch)) => Ok(branch),
        _ => Err(reader.problem("there is more after the object")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    format: Format,
}

impl Reader<'_> {
    /// The next byte that is not blank. Line breaks are blanks: strings cannot hold them.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at).copied() {
                Some(b'\n') => {
                    self.line += 1;
                    self.line_start = self.at + 1;
                }
                Some(b' ' | b'\t' | b'\r') => {}
                other => return other,
            }
            self.at += 1;
        }
    }

    fn position(&self) -> Position {
        Position {
            line: self.line,
            column: (self.at - self.line_start + 1) as u32,
        }
    }

    fn problem(&self, problem: &str) -> Error {
        ErrorKind::Syntax {
            format: self.format,
            problem: problem.to_owned(),
        }
        .at(self.position())
    }

    fn value(&mut self, depth: usize) -> Result<Node, Error> {
        if depth > DEPTH_LIMIT {
            return Err(ErrorKind::TooDeep { limit: DEPTH_LIMIT }.at(self.position()));
        }
        let first = self.next();
        let position = self.position();
        let value = match first {
            Some(b'{') => Value::Map(self.object(depth)?),
            Some(b'[') => Value::List(self.array(depth)?),
            Some(b'"') => Value::text(&self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node {
            position,
            ..value.into()
        })
    }

    fn object(&mut self, depth: usize) -> Result<Branch, Error> {
        let mut branch = Branch::new();
        self.at += 1;
        while self.more(b'}', branch.is_empty())? {
            if self.next() != Some(b'"') {
                return Err(self.problem("a key is not a string"));
            }
            let key = self.string()?.to_string();
            if self.next() != Some(b':') {
                return Err(self.problem("there is no colon after a key"));
            }
            self.at += 1;
            let node = self.value(depth + 1)?;
            branch.push(Item::Pair(Pair { key, node }));
        }
        Ok(branch)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Element>, Error> {
        let mut elements = Vec::new();
        self.at += 1;
        while self.more(b']', elements.is_empty())? {
            elements.push(Element::Node(self.value(depth + 1)?));
        }
        Ok(elements)
    }

    /// Passes the comma before the next item, or the bracket behind the last one.
    fn more(&mut self, end: u8, first: bool) -> Result<bool, Error> {
        match self.next() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.problem("a collection does not go on with a comma or end")),
        }
    }

    fn word(&mut self) -> Result<Value, Error> {
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.problem("there is no value where one must be"))
    }

    fn number(&mut self) -> Result<Value, Error> {
        let length = self.bytes[self.at..]
            .iter()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let text = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap_or_default();
        let value = number(text).ok_or_else(|| self.problem("a number is malformed"))?;
        self.at += length;
        Ok(value)
    }

    fn string(&mut self) -> Result<Zeroizing<String>, Error> {
        let mut text = Zeroizing::new(String::new());
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest
                .iter()
                .take_while(|&&byte| byte >= b' ' && byte != b'"' && byte != b'\\')
                .count();
            push_replacing(&mut text, &rest[..plain]);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => {
                    return Err(self.problem("a string does not end, or holds a control character"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let letter = self.bytes.get(self.at + 1).copied();
        let plain = match letter {
            Some(b'u') => return self.unicode_escape(),
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.problem("a string has an unknown escape")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// One `\uXXXX`, or two that make a pair; a half of a pair becomes the replacement character.
    fn unicode_escape(&mut self) -> Result<char, Error> {
        let unit = self
            .unit(self.at)
            .ok_or_else(|| self.problem("a string has a malformed escape"))?;
        self.at += 6;
        let high = (0xd800..0xdc00).contains(&unit);
        if let Some(low) = self
            .unit(self.at)
            .filter(|low| high && (0xdc00..0xe000).contains(low))
        {
            self.at += 6;
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let escape = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(escape).ok()?;
        let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok())?
    }
}

/// Adds text, each byte that is not UTF-8 replaced, as Go does it.
fn push_replacing(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// An integer that fits 64 bits exactly, else a float.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
    let leading_zero = whole > 1 && digits.starts_with('0');
    let fraction = &digits[whole..];
    let tail_is_sound = match fraction.strip_prefix('.') {
        Some(after) => after.starts_with(|letter: char| letter.is_ascii_digit()),
        None => fraction.is_empty() || fraction.starts_with(['e', 'E']),
    };
    if whole == 0 || leading_zero || !tail_is_sound {
        return None;
    }
    match text.parse() {
        // A negative zero is a float, and counts as one in the MAC.
        Ok(0) if text.starts_with('-') => Some(Value::Float(-0.0)),
        Ok(int) => Some(Value::Int(int)),
        Err(_) => canonical::parse_float(text).map(Value::Float),
    }
}

/// Writes an object, indented with tabs, comments left out.
pub(crate) fn write(branch: &Branch) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let mut out = Zeroizing::new(String::with_capacity(super::room(branch, 0)));
    write_object(&mut out, branch, 0)?;
    out.push('\n');
    Ok(Zeroizing::new(out.as_bytes().to_vec()))
}

fn write_object(out: &mut String, branch: &Branch, depth: usize) -> Result<(), ErrorKind> {
    out.push('{');
    let mut first = true;
    for pair in crate::tree::pairs(branch) {
        separate(out, &mut first, depth + 1);
        write_string(out, pair.key.as_bytes());
        out.push_str(": ");
        write_value(out, &pair.node.value, depth + 1)?;
    }
    close(out, '}', first, depth);
    Ok(())
}

fn write_array(out: &mut String, elements: &[Element], depth: usize) -> Result<(), ErrorKind> {
    out.push('[');
    let mut first = true;
    for element in elements {
        if let Element::Node(node) = element {
            separate(out, &mut first, depth + 1);
            write_value(out, &node.value, depth + 1)?;
        }
    }
    close(out, ']', first, depth);
    Ok(())
}

fn separate(out: &mut String, first: &mut bool, depth: usize) {
    if !std::mem::take(first) {
        out.push(',');
    }
    new_line(out, depth);
}

fn close(out: &mut String, bracket: char, empty: bool, depth: usize) {
    if !empty {
        new_line(out, depth);
    }
    out.push(bracket);
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n('\t', depth));
}

fn write_value(out: &mut String, value: &Value, depth: usize) -> Result<(), ErrorKind> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(int) => out.push_str(&int.to_string()),
        Value::Float(float) if float.is_finite() => {
            out.push_str(&canonical::float(*float, FloatStyle::Json));
        }
        Value::Float(_) => {
            return Err(ErrorKind::Emit {
                format: Format::Json,
                problem: "it has no infinite or undefined numbers",
            });
        }
        Value::Time(time) => write_string(out, time.to_string().as_bytes()),
        Value::Text(bytes) => write_string(out, bytes),
        Value::List(elements) => write_array(out, elements, depth)?,
        Value::Map(branch) => write_object(out, branch, depth)?,
    }
    Ok(())
}

/// Writes a string; bytes that are not UTF-8 become replacement characters.
fn write_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|letter| write_letter(out, letter));
        chunk.invalid().iter().for_each(|_| out.push_str("\\ufffd"));
    }
    out.push('"');
}

fn write_letter(out: &mut String, letter: char) {
    match letter {
        '"' | '\\' => out.extend(['\\', letter]),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(letter)));
        }
        _ => out.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, read, write};
    use crate::format::Format;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let text = "{\n\t\"a\": [\n\t\t1,\n\t\t-2.5,\n\t\ttrue,\n\t\tnull,\n\t\t{}\n\t],\n\t\"a\": \"\\u003c\\b\u{e9}\"\n}\n";
        let branch = read(text.as_bytes(), Format::Json).expect("reads");
        assert_eq!(write(&branch).expect("writes")[..], *text.as_bytes());
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        for (text, line) in [
            ("[]", 1),
            ("{\n\"a\": 01}", 2),
            ("{\"a\": 1,}", 1),
            ("{\"a\" 1}", 1),
            ("{}\n\n{}", 3),
            ("{\"a\": \"\t\"}", 1),
        ] {
            let error = read(text.as_bytes(), Format::Json).err().expect(text);
            assert_eq!(error.position.line, line, "{text}");
        }
        assert!(read("{\"a\":".repeat(1000).as_bytes(), Format::Json).is_err());
        assert!(number("1.").is_none() && number("-").is_none());
    }
}
