//! INI, read and written as gopkg.in/ini.v1 does: repeated sections stay apart, of a repeated key the last value counts.

use zeroize::Zeroizing;

use super::{flat_text, replace, room};
use crate::error::{Error, ErrorKind, Position};
use crate::flat;
use crate::format::Format;
use crate::metadata::METADATA_KEY;
use crate::tree::{Branch, Item, Node, Pair, Value, pairs};

/// The section of keys before the first header.
const DEFAULT: &str = "DEFAULT";
const DELIMITERS: [char; 2] = ['=', ':'];
const COMMENT: [char; 2] = ['#', ';'];
const TRIPLE: &str = "\"\"\"";

/// Reads sections.
pub(crate) fn read(bytes: &[u8]) -> Result<Branch, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(problem("the file is not UTF-8", 0));
    };
    let mut reader = Reader {
        rest: text,
        line: 0,
        comment: Zeroizing::default(),
    };
    let mut sections = vec![Section::new(DEFAULT)];
    let mut unnamed = 0;
    while let Some(line) = reader.next_line() {
        let line = line.trim_start();
        if line.starts_with(COMMENT) {
            reader.comment.push_str(line);
        } else if let Some(header) = line.strip_prefix('[') {
            sections.push(reader.section(header)?);
            unnamed = 0;
        } else if !line.is_empty() {
            let (mut name, value) = reader.key(line)?;
            if name == "-" {
                unnamed += 1;
                name = format!("#{unnamed}");
            }
            let line = reader.line;
            let value = reader.value(value)?;
            let comment = reader.take_comment();
            if let Some(section) = sections.last_mut() {
                section.set(name, value, comment, line);
            }
        }
    }
    Ok(sections.into_iter().map(Section::into_item).collect())
}

fn problem(problem: &str, line: u32) -> Error {
    ErrorKind::Syntax {
        format: Format::Ini,
        problem: problem.to_owned(),
    }
    .at(Position { line, column: 1 })
}

struct Section {
    name: String,
    comment: Zeroizing<String>,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    value: Zeroizing<String>,
    comment: Zeroizing<String>,
    line: u32,
}

impl Section {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            comment: Zeroizing::default(),
            keys: Vec::new(),
        }
    }

    /// Of a key that is there twice, the first place and the last value count.
    fn set(
        &mut self,
        name: String,
        value: Zeroizing<String>,
        comment: Zeroizing<String>,
        line: u32,
    ) {
        let key = Key {
            name,
            value,
            comment,
            line,
        };
        match self.keys.iter_mut().find(|have| have.name == key.name) {
            Some(have) => *have = key,
            None => self.keys.push(key),
        }
    }

    /// A comment becomes the item behind the key that it stands above; the section's own is its first item.
    fn into_item(self) -> Item {
        let comment = |text: &str| {
            let bare = strip_sign(text);
            (!text.is_empty()).then(|| Item::comment(bare.as_bytes()))
        };
        let mut branch: Branch = comment(&self.comment).into_iter().collect();
        for key in self.keys {
            branch.push(Item::Pair(Pair {
                key: key.name,
                node: Node {
                    position: Position {
                        line: key.line,
                        column: 1,
                    },
                    ..Value::text(&key.value).into()
                },
            }));
            branch.extend(comment(&key.comment));
        }
        Item::pair(self.name, Value::Map(branch))
    }
}

fn strip_sign(comment: &str) -> &str {
    match comment.chars().next() {
        Some(';') => comment.trim_start_matches([';', ' ']),
        Some('#') => comment.trim_start_matches(['#', ' ']),
        _ => comment,
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    /// Comments since the last key or section.
    comment: Zeroizing<String>,
}

impl<'a> Reader<'a> {
    /// The next line with its line break.
    fn next_line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.line += 1;
        Some(line)
    }

    fn take_comment(&mut self) -> Zeroizing<String> {
        let comment = std::mem::take(&mut self.comment);
        Zeroizing::new(comment.trim().to_owned())
    }

    fn section(&mut self, header: &str) -> Result<Section, Error> {
        let (name, behind) = header
            .rsplit_once(']')
            .ok_or_else(|| problem("a section's header does not end", self.line))?;
        if name.is_empty() {
            return Err(problem("a section has no name", self.line));
        }
        if let Some(at) = behind.find(COMMENT) {
            self.comment.push_str(&behind[at..]);
        }
        Ok(Section {
            comment: self.take_comment(),
            ..Section::new(name)
        })
    }

    /// The name of a key, and what stands behind its delimiter.
    fn key(&self, line: &'a str) -> Result<(String, &'a str), Error> {
        let quote = match line.as_bytes() {
            [b'"', b'"', b'"', ..] if line.len() > 6 => TRIPLE,
            [b'"', ..] => "\"",
            [b'`', ..] => "`",
            _ => "",
        };
        let inner = &line[quote.len()..];
        let (name, behind) = match quote {
            "" => {
                let at = inner.find(DELIMITERS);
                at.map_or((inner, ""), |at| inner.split_at(at))
            }
            _ => inner
                .split_once(quote)
                .ok_or_else(|| problem("a key's quote does not end", self.line))?,
        };
        let value = behind
            .find(DELIMITERS)
            .map(|at| &behind[at + 1..])
            .ok_or_else(|| {
                problem(
                    "a line is neither a key with a value nor a section",
                    self.line,
                )
            })?;
        let name = name.trim();
        match name.is_empty() {
            true => Err(problem("a key has no name", self.line)),
            false => Ok((name.to_owned(), value)),
        }
    }

    fn value(&mut self, text: &str) -> Result<Zeroizing<String>, Error> {
        let text = text.trim_start();
        for quote in [TRIPLE, "`"] {
            let Some(inner) = text.strip_prefix(quote) else {
                continue;
            };
            if quote == TRIPLE && inner.is_empty() {
                continue;
            }
            return match inner.rfind(quote) {
                Some(end) => Ok(Zeroizing::new(inner[..end].to_owned())),
                None => self.quoted_lines(inner, quote),
            };
        }
        let mut text = text.trim_end();
        if let Some(start) = text.strip_suffix('\\') {
            return Ok(self.continued_lines(start));
        }
        if let Some(at) = text.find(COMMENT) {
            self.comment.push_str(&text[at..]);
            text = text[..at].trim();
        }
        Ok(Zeroizing::new(without_quotes(text).to_owned()))
    }

    fn quoted_lines(&mut self, first: &str, quote: &str) -> Result<Zeroizing<String>, Error> {
        let start = self.line;
        let mut value = Zeroizing::new(first.to_owned());
        while let Some(line) = self.next_line() {
            let Some(end) = line.rfind(quote) else {
                value.push_str(line);
                continue;
            };
            value.push_str(&line[..end]);
            let behind = &line[end..];
            if let Some(at) = behind.find(COMMENT) {
                self.comment.push_str(behind[at..].trim());
            }
            return Ok(value);
        }
        Err(problem("a value's quote does not end", start))
    }

    fn continued_lines(&mut self, first: &str) -> Zeroizing<String> {
        let mut value = Zeroizing::new(first.to_owned());
        while let Some(line) = self.next_line() {
            let line = line.trim();
            let Some(start) = line.strip_suffix('\\') else {
                value.push_str(line);
                break;
            };
            value.push_str(start);
        }
        value
    }
}

/// Drops the quotes around a text that holds no more of them.
fn without_quotes(text: &str) -> &str {
    ["'", "\""]
        .iter()
        .find_map(|quote| {
            let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        })
        .unwrap_or(text)
}

/// Takes the metadata out: the first section of its name, in which the two letters `\n` are a line break.
pub(crate) fn take_metadata(branches: &mut [Branch]) -> Result<Branch, Error> {
    let mut found = None;
    for branch in branches {
        branch.retain_mut(|item| match item {
            Item::Pair(pair) if pair.key == METADATA_KEY => {
                found.get_or_insert(std::mem::replace(&mut pair.node.value, Value::Null));
                false
            }
            _ => true,
        });
    }
    let Some(Value::Map(section)) = found else {
        return Err(ErrorKind::MetadataNotFound.error());
    };
    let flat: Vec<_> = pairs(&section)
        .map(|pair| {
            let mut node = pair.node.clone();
            if let Value::Text(bytes) = &mut node.value {
                *bytes = replace(bytes, b"\\n", b"\n");
            }
            (pair.key.clone(), node)
        })
        .collect();
    Ok(flat::unfold(&flat)?)
}

/// The metadata as a section.
pub(crate) fn metadata_items(metadata: &Branch) -> Branch {
    let keys = flat::fold(metadata, "").into_iter().map(|(key, mut node)| {
        if let Value::Text(bytes) = &mut node.value {
            *bytes = replace(bytes, b"\n", b"\\n");
        }
        Item::pair(key, node)
    });
    vec![Item::pair(METADATA_KEY, Value::Map(keys.collect()))]
}

/// No less than the blanks before equals signs take.
fn room_to_align(branch: &Branch) -> usize {
    let keys = |pair: &Pair| match &pair.node.value {
        Value::Map(items) => {
            let longest = pairs(items).map(|pair| pair.key.len()).max();
            items.len() * longest.unwrap_or(0)
        }
        _ => 0,
    };
    pairs(branch).map(keys).sum()
}

/// Writes sections, the equals signs of each aligned.
pub(crate) fn write(branch: &Branch) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let mut out = Zeroizing::new(Vec::with_capacity(room(branch, 0) + room_to_align(branch)));
    let count = pairs(branch).count();
    for (index, pair) in pairs(branch).enumerate() {
        let Value::Map(items) = &pair.node.value else {
            return Err(emit("every item at its root is a section"));
        };
        let (comment, keys) = section_lines(items)?;
        write_comment(&mut out, &comment, false);
        if index > 0 || !pair.key.eq_ignore_ascii_case(DEFAULT) {
            out.extend(format!("[{}]\n", pair.key).into_bytes());
        } else if keys.is_empty() {
            continue;
        }
        write_keys(&mut out, &keys);
        if index + 1 < count {
            out.push(b'\n');
        }
    }
    Ok(out)
}

fn emit(problem: &'static str) -> ErrorKind {
    ErrorKind::Emit {
        format: Format::Ini,
        problem,
    }
}

/// A key as written, its value, and the comment above it.
struct Line {
    name: String,
    value: Zeroizing<Vec<u8>>,
    comment: Zeroizing<Vec<u8>>,
}

fn section_lines(items: &Branch) -> Result<(Zeroizing<Vec<u8>>, Vec<Line>), ErrorKind> {
    let mut comment = Zeroizing::default();
    let mut lines: Vec<Line> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Comment(found) if index == 0 => comment = found.text.clone(),
            Item::Comment(found) => {
                if let Some(line) = lines.last_mut() {
                    line.comment = found.text.clone();
                }
            }
            Item::Pair(pair) => {
                let value = flat_text(&pair.node.value)
                    .ok_or_else(|| emit("a section has no lists and mappings"))?;
                let name = quoted_name(&pair.key);
                match lines.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.value = value,
                    None => lines.push(Line {
                        name,
                        value,
                        comment: Zeroizing::default(),
                    }),
                }
            }
        }
    }
    Ok((comment, lines))
}

fn quoted_name(name: &str) -> String {
    if name.contains(['"', '=', ':']) {
        format!("`{name}`")
    } else if name.contains('`') {
        format!("{TRIPLE}{name}{TRIPLE}")
    } else {
        name.to_owned()
    }
}

fn write_keys(out: &mut Vec<u8>, lines: &[Line]) {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for line in lines {
        write_comment(out, &line.comment, true);
        out.extend(line.name.as_bytes());
        out.extend(std::iter::repeat_n(b' ', width - line.name.len()));
        out.extend(b" = ");
        let quote: &[u8] = match &line.value[..] {
            value if value.iter().any(|byte| b"\n`".contains(byte)) => TRIPLE.as_bytes(),
            value if value.iter().any(|byte| b"#;".contains(byte)) => b"`",
            value if has_blank_edges(value) => b"\"",
            _ => b"",
        };
        out.extend(quote);
        out.extend(&*line.value);
        out.extend(quote);
        out.push(b'\n');
    }
}

fn has_blank_edges(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    text.trim().len() != text.len()
}

/// A comment of several lines: those without a sign get one.
fn write_comment(out: &mut Vec<u8>, comment: &[u8], of_key: bool) {
    if comment.is_empty() {
        return;
    }
    let text = Zeroizing::new(String::from_utf8_lossy(comment).into_owned());
    for line in text.split('\n') {
        let (sign, rest) = match line.strip_prefix(COMMENT) {
            Some(rest) => (&line[..1], rest.trim()),
            None if of_key => (";", line.trim()),
            None => (";", line),
        };
        out.extend(format!("{sign} {rest}\n").into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_is_written_is_what_the_go_library_writes() {
        let text = "top = 1\n\n; about s\n[s]\n# key\nlong = \"a # b\"  ; inline\nk='v'\nm = \"\"\"one\ntwo\"\"\"\nc = x\\\n  y\n[s]\nk : w\nk = z\n";
        let wanted = "top = 1\n\n; about s\n[s]\n; key\n# inline\n";
        let branch = read(text.as_bytes()).expect("reads");
        let written = String::from_utf8(write(&branch).expect("writes").to_vec()).expect("UTF-8");
        assert!(written.starts_with(&wanted[..30]), "{written}");
        assert!(
            written.contains("m    = \"\"\"one\ntwo\"\"\"\nc    = xy\n"),
            "{written}"
        );
        assert!(written.ends_with("[s]\nk = z\n"), "{written}");
    }

    #[test]
    fn broken_lines_are_refused_without_their_text() {
        for text in [
            "secret",
            "[open",
            "= secret",
            "k = \"\"\"secret",
            "`secret = 1",
        ] {
            let error = read(text.as_bytes()).err().expect(text);
            assert!(!error.to_string().contains("secret"));
        }
    }
}
