//! Writing YAML as go-yaml v3's emitter does with an indentation of four: where comments go, and which quotes.
//!
//! The emitter keeps the comments of the nodes it has met until a place comes that writes them, and forgets one when
//! the next of its kind comes first. Both are visible in its output, so `Writer` keeps the same pending comments.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::resolve;
use crate::canonical::{self, FloatStyle};
use crate::tree::{Branch, Comment, Element, Item, Value};

const INDENT: isize = 4;

/// Writes documents.
pub(crate) fn write(branches: &[Branch]) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer {
        indention: true,
        whitespace: true,
        foot_indent: -1,
        ..Writer::default()
    };
    for (index, branch) in branches.iter().enumerate() {
        writer.document(&entries(branch), index == 0);
    }
    writer.out
}

/// A node with the comments that stand at it.
struct Emitted<'a> {
    content: Content<'a>,
    head: String,
    foot: String,
}

enum Content<'a> {
    Scalar(&'a Value),
    Key(&'a str),
    Mapping(Vec<(Emitted<'a>, Emitted<'a>)>),
    Sequence(Vec<Emitted<'a>>),
}

/// A mapping's entries: comments become heads of what follows them, the first ones of the mapping itself, the last
/// ones the foot of its last key.
fn entries(branch: &Branch) -> Emitted<'_> {
    let mut pairs: Vec<(Emitted<'_>, Emitted<'_>)> = Vec::new();
    let (mut head, mut waiting) = (String::new(), String::new());
    for item in branch {
        let pair = match item {
            Item::Comment(comment) => {
                add_line(&mut waiting, comment);
                continue;
            }
            Item::Pair(pair) => pair,
        };
        if pairs.is_empty() {
            head = std::mem::take(&mut waiting);
        }
        let key = Emitted {
            content: Content::Key(&pair.key),
            head: std::mem::take(&mut waiting),
            foot: String::new(),
        };
        pairs.push((key, emitted(&pair.node.value)));
    }
    match pairs.last_mut() {
        Some((key, _)) => key.foot = waiting,
        None => head = waiting,
    }
    Emitted {
        content: Content::Mapping(pairs),
        head,
        foot: String::new(),
    }
}

fn elements(list: &[Element]) -> Emitted<'_> {
    let mut items: Vec<Emitted<'_>> = Vec::new();
    let (mut head, mut waiting) = (String::new(), String::new());
    for element in list {
        let node = match element {
            Element::Comment(comment) => {
                add_line(&mut waiting, comment);
                continue;
            }
            Element::Node(node) => node,
        };
        if items.is_empty() {
            head = std::mem::take(&mut waiting);
        }
        let mut item = emitted(&node.value);
        let above = std::mem::take(&mut waiting);
        item.head = match (above.is_empty(), item.head.is_empty()) {
            (true, _) => item.head,
            (false, true) => above,
            (false, false) => above + "\n" + &item.head,
        };
        items.push(item);
    }
    match items.last_mut() {
        Some(item) => item.foot = waiting,
        None => head = waiting,
    }
    Emitted {
        content: Content::Sequence(items),
        head,
        foot: String::new(),
    }
}

fn emitted(value: &Value) -> Emitted<'_> {
    match value {
        Value::Map(branch) => entries(branch),
        Value::List(list) => elements(list),
        _ => Emitted {
            content: Content::Scalar(value),
            head: String::new(),
            foot: String::new(),
        },
    }
}

fn add_line(comment: &mut String, line: &Comment) {
    if !comment.is_empty() {
        comment.push('\n');
    }
    comment.push('#');
    comment.push_str(&String::from_utf8_lossy(&line.text));
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

#[derive(Default)]
struct Writer {
    out: Zeroizing<Vec<u8>>,
    column: isize,
    indent: isize,
    /// Only blanks and dashes stand on the current line.
    indention: bool,
    /// The last character was a blank.
    whitespace: bool,
    /// A foot comment was written at this indentation: a blank line follows.
    foot_indent: isize,
    // Comments that wait for their place.
    head: String,
    foot: String,
    tail: String,
}

impl Writer {
    fn document(&mut self, root: &Emitted<'_>, first: bool) {
        self.indent = -1;
        if !first {
            self.write_indent();
            self.indicator("---", true, false);
            self.write_indent();
        }
        self.meet(root);
        self.head_comment();
        self.node(root, Place::Root);
        self.foot_comment();
        self.indent = -1;
        self.foot_indent = 0;
        self.foot_comment();
        self.foot_indent = -1;
        self.write_indent();
    }

    /// A node begins: its head waits, and pushes out one that still waited.
    fn meet(&mut self, node: &Emitted<'_>) {
        replace(&mut self.head, &node.head);
        // A collection's foot comes with its end.
        if matches!(node.content, Content::Scalar(_) | Content::Key(_)) {
            replace(&mut self.foot, &node.foot);
        }
    }

    fn node(&mut self, node: &Emitted<'_>, place: Place) {
        match &node.content {
            Content::Mapping(pairs) if pairs.is_empty() => self.empty(node, place, "{", "}"),
            Content::Sequence(items) if items.is_empty() => self.empty(node, place, "[", "]"),
            Content::Mapping(pairs) => self.mapping(node, pairs, place),
            Content::Sequence(items) => self.sequence(node, items, place),
            Content::Scalar(value) => self.scalar(&text_of(value), place, false),
            Content::Key(key) => self.scalar(&string_text(key.as_bytes()), place, true),
        }
    }

    /// Goes to the indentation of what stands inside of a place; gives back the outer one.
    fn enter(&mut self, place: Place, flow: bool) -> isize {
        let outer = self.indent;
        self.indent = match place {
            _ if outer < 0 && flow => INDENT,
            _ if outer < 0 => 0,
            Place::Item => outer + 2,
            Place::Root | Place::Value => INDENT * ((outer + INDENT) / INDENT),
        };
        outer
    }

    fn empty(&mut self, node: &Emitted<'_>, place: Place, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.whitespace = true;
        replace(&mut self.foot, &node.foot);
        // Braces hold the comments of a mapping without keys; brackets leave them to what follows.
        if open == "{" {
            let outer = self.enter(place, true);
            self.head_comment();
            self.indent = outer;
        }
        self.indicator(close, false, false);
        self.foot_comment();
    }

    fn mapping(&mut self, node: &Emitted<'_>, pairs: &[(Emitted<'_>, Emitted<'_>)], place: Place) {
        let outer = self.enter(place, false);
        for (index, (key, value)) in pairs.iter().enumerate() {
            replace(&mut self.head, &key.head);
            if let Some((previous, _)) = index.checked_sub(1).and_then(|at| pairs.get(at)) {
                replace(&mut self.tail, &previous.foot);
            }
            self.head_comment();
            self.write_indent();
            self.key(key);
            self.meet(value);
            self.node(value, Place::Value);
            self.foot_comment();
        }
        if let Some((last, _)) = pairs.last() {
            replace(&mut self.tail, &last.foot);
        }
        replace(&mut self.foot, &node.foot);
        self.head_comment();
        self.indent = outer;
    }

    fn key(&mut self, key: &Emitted<'_>) {
        let Content::Key(text) = key.content else {
            return;
        };
        let scalar = string_text(text.as_bytes());
        let analysis = Analysis::of(&scalar.text);
        let tag = scalar.tag.map_or(0, str::len);
        if !analysis.line_breaks && tag + scalar.text.len() <= 128 {
            self.scalar(&scalar, Place::Value, true);
            self.indicator(":", false, false);
            return;
        }
        self.indicator("?", true, true);
        self.scalar(&scalar, Place::Value, false);
        self.write_indent();
        self.indicator(":", true, true);
    }

    fn sequence(&mut self, node: &Emitted<'_>, items: &[Emitted<'_>], place: Place) {
        let outer = self.enter(place, false);
        for item in items {
            self.meet(item);
            self.head_comment();
            self.write_indent();
            self.indicator("-", true, true);
            self.node(item, Place::Item);
            self.foot_comment();
        }
        replace(&mut self.foot, &node.foot);
        self.indent = outer;
    }

    fn head_comment(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.write_indent();
            self.comment(&tail);
            self.foot_indent = self.indent.max(0);
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.write_indent();
            self.comment(&head);
        }
    }

    fn foot_comment(&mut self) {
        if self.foot.is_empty() {
            return;
        }
        let foot = std::mem::take(&mut self.foot);
        self.write_indent();
        self.comment(&foot);
        self.foot_indent = self.indent.max(0);
    }

    fn comment(&mut self, comment: &str) {
        for (index, line) in comment.split('\n').enumerate() {
            if index > 0 {
                self.new_line();
                self.write_indent();
            }
            self.put(line);
            self.indention = false;
        }
        self.new_line();
        self.whitespace = true;
    }

    fn scalar(&mut self, scalar: &Text<'_>, place: Place, simple_key: bool) {
        let analysis = Analysis::of(&scalar.text);
        let style = analysis.allowed(scalar, simple_key);
        if let Some(tag) = scalar.tag {
            self.indicator(tag, true, false);
        }
        let outer = self.enter(place, true);
        match style {
            Style::Plain => self.plain(&scalar.text),
            Style::Single => self.single(&scalar.text),
            Style::Double => self.double(&scalar.text),
            Style::Literal => self.literal(&scalar.text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        if !text.is_empty() {
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn single(&mut self, text: &str) {
        self.indicator("'", true, false);
        let mut breaks = false;
        for letter in text.chars() {
            if is_break(letter) {
                self.break_letter(letter);
                breaks = true;
                continue;
            }
            if std::mem::take(&mut breaks) {
                self.write_indent();
            }
            if letter == '\'' {
                self.put("'");
            }
            self.put(letter.encode_utf8(&mut [0; 4]));
            self.indention = false;
        }
        self.indicator("'", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str) {
        self.indicator("\"", true, false);
        // Behind a byte-order mark at the start go-yaml escapes every letter.
        let marked = text.starts_with('\u{feff}');
        for letter in text.chars() {
            match escape(letter, marked) {
                Some(escape) => self.put(&escape),
                None => self.put(letter.encode_utf8(&mut [0; 4])),
            }
        }
        self.indicator("\"", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.indicator("4", false, false);
        }
        let mut ends = text.chars().rev().map(is_break);
        match (ends.next(), ends.next()) {
            (Some(true), Some(false)) => {}
            (Some(true), _) => self.indicator("+", false, false),
            _ => self.indicator("-", false, false),
        }
        self.new_line();
        self.whitespace = true;
        let mut breaks = true;
        for letter in text.chars() {
            if is_break(letter) {
                self.break_letter(letter);
                breaks = true;
                continue;
            }
            if std::mem::take(&mut breaks) {
                self.write_indent();
            }
            self.put(letter.encode_utf8(&mut [0; 4]));
            self.indention = false;
        }
    }

    fn break_letter(&mut self, letter: char) {
        if letter == '\n' {
            return self.new_line();
        }
        self.put(letter.encode_utf8(&mut [0; 4]));
        self.column = 0;
        self.indention = true;
    }

    fn put(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
        self.column += text.chars().count() as isize;
    }

    fn new_line(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
        self.indention = true;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.max(0);
        let beside = self.column == indent && !self.whitespace;
        if !self.indention || self.column > indent || beside {
            self.new_line();
        }
        if self.foot_indent == indent {
            self.new_line();
        }
        while self.column < indent {
            self.put(" ");
        }
        self.whitespace = true;
        self.foot_indent = -1;
    }

    fn indicator(&mut self, text: &str, blank_before: bool, is_indention: bool) {
        if blank_before && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = false;
        self.indention &= is_indention;
    }
}

fn replace(waiting: &mut String, comment: &str) {
    if !comment.is_empty() {
        comment.clone_into(waiting);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// A scalar's text, the style that the encoder asks for, and a tag that must be written.
struct Text<'a> {
    text: Zeroizing<String>,
    style: Style,
    tag: Option<&'a str>,
}

fn text_of(value: &Value) -> Text<'static> {
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
fn string_text(bytes: &[u8]) -> Text<'static> {
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
struct Analysis {
    line_breaks: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
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
    fn allowed(&self, scalar: &Text<'_>, simple_key: bool) -> Style {
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

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml prints as it is: nothing beyond the basic plane.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && letter != '\u{feff}'
}

fn escape(letter: char, always: bool) -> Option<String> {
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
