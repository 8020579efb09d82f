//! Which styles can hold a text without it being read as something else.

/// What characters a text has, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes(u8);

const SPACE: u8 = 1;
const COLON: u8 = 2;
const HASH: u8 = 4;
const LINE_FEED: u8 = 8;
/// Control characters, and all beyond ASCII.
const SPECIAL: u8 = 16;

const CLASS_OF: [u8; 256] = {
    let mut table = [SPECIAL; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        table[byte as usize] = 0;
        byte += 1;
    }
    table[b' ' as usize] = SPACE;
    table[b':' as usize] = COLON;
    table[b'#' as usize] = HASH;
    table[b'\n' as usize] = LINE_FEED;
    table
};

impl Classes {
    pub(super) fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .fold(0, |seen, byte| seen | CLASS_OF[usize::from(byte)]),
        )
    }

    pub(super) fn has_space(self) -> bool {
        self.0 & SPACE != 0
    }

    pub(super) fn has_line_feed(self) -> bool {
        self.0 & LINE_FEED != 0
    }

    /// True when there is more in the text than printable ASCII and line feeds.
    pub(super) fn has_special(self) -> bool {
        self.0 & SPECIAL != 0
    }
}

/// Which styles can hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) plain: bool,
    pub(super) single: bool,
    pub(super) literal: bool,
}

impl Shape {
    pub(super) fn of(text: &str, classes: Classes) -> Self {
        let bytes = text.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return Self {
                plain: true,
                single: true,
                literal: false,
            };
        };
        let breaks = if classes.has_special() || classes.has_line_feed() {
            Breaks::of(text)
        } else {
            Breaks::default()
        };
        let special = classes.has_special() && text.chars().any(|char| !is_printable(char));
        let bare = first != b' ' && last != b' ' && !has_indicators(bytes, classes);
        Self {
            plain: bare && !special && !breaks.any,
            single: !(special || breaks.then_space || breaks.after_space),
            literal: !(special || last == b' ' || breaks.after_space || breaks.loose),
        }
    }
}

/// Line breaks in a text, and what stands next to them.
#[derive(Clone, Copy, Debug, Default)]
struct Breaks {
    any: bool,
    then_space: bool,
    after_space: bool,
    /// One of YAML 1.1's breaks is not between characters of a line: in a literal block, where go-yaml would
    /// put it, YAML 1.2 could not read it back.
    loose: bool,
}

impl Breaks {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        for (index, end) in breaks_in(text) {
            found.any = true;
            found.then_space |= text[end..].starts_with(' ');
            found.after_space |= text[..index].ends_with(' ');
            let is_between = |next: Option<char>| next.is_some_and(|char| !is_break(char));
            found.loose |= end - index > 1
                && !(is_between(text[..index].chars().next_back())
                    && is_between(text[end..].chars().next()));
        }
        found
    }
}

/// Start and end of each line break.
fn breaks_in(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let ascii = memchr::memchr2_iter(b'\n', b'\r', text.as_bytes()).map(|at| (at, at + 1));
    let other = if text.is_ascii() { "" } else { text };
    let other = other.match_indices(['\u{85}', '\u{2028}', '\u{2029}']);
    ascii.chain(other.map(|(at, found)| (at, at + found.len())))
}

/// True when a plain scalar would be read as something else: indicators, `: `, ` #`, document marks.
fn has_indicators(bytes: &[u8], classes: Classes) -> bool {
    if starts_with_indicator(bytes) || bytes.starts_with(b"---") || bytes.starts_with(b"...") {
        return true;
    }
    let is_blank = |index: usize| matches!(bytes.get(index), Some(b' ' | b'\t'));
    let ends_key = |index: usize| index + 1 == bytes.len() || is_blank(index + 1);
    classes.0 & (COLON | HASH) != 0
        && memchr::memchr2_iter(b':', b'#', &bytes[1..]).any(|offset| match bytes[offset + 1] {
            b':' => ends_key(offset + 1),
            _ => is_blank(offset),
        })
}

fn starts_with_indicator(bytes: &[u8]) -> bool {
    match bytes[0] {
        b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
        | b'"' | b'%' | b'@' | b'`' => true,
        b'?' | b':' | b'-' => matches!(bytes.get(1), None | Some(b' ' | b'\t')),
        _ => false,
    }
}

/// What go-yaml counts as a line break.
pub(super) fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// go-yaml calls nothing beyond the basic plane printable.
pub(super) fn is_printable(char: char) -> bool {
    match char {
        '\n' | ' '..='~' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        '\u{a0}'..='\u{ffff}' => true,
        _ => false,
    }
}
