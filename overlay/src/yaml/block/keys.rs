//! Keys of block mappings, and the texts that come again and again.

use ecow::EcoString;

use super::super::resolve::resolve;
use super::super::{Key, Tag};
use super::BlockReader;

/// The parser looks no further for a key's colon.
const LONGEST_KEY: usize = 1000;

impl BlockReader<'_> {
    /// The key that comes next, to behind its colon; `Some(None)`, without moving, when a scalar comes next.
    pub(super) fn key(&mut self) -> Option<Option<Key>> {
        let (start, mark) = (self.at, self.mark());
        let text = match self.bytes.get(self.at)? {
            b'"' | b'\'' => match self.quoted_on_one_line()? {
                Some(()) => self.known.get(&self.buffer),
                None => return self.no_key(start),
            },
            b'|' | b'>' | b'[' | b'{' => return Some(None),
            _ => match self.plain_key()? {
                Some(text) => text,
                None => return self.no_key(start),
            },
        };
        self.skip_spaces();
        let is_key = self.bytes.get(self.at) == Some(&b':') && self.is_blank_at(self.at + 1);
        if !is_key {
            return self.no_key(start);
        }
        if self.at - start > LONGEST_KEY {
            return None;
        }
        self.at += 1;
        Some(Some(Key { text, mark }))
    }

    fn no_key<T>(&mut self, start: usize) -> Option<Option<T>> {
        self.at = start;
        Some(None)
    }

    /// A plain text up to `: `, when there is one on this line and it is a string.
    fn plain_key(&mut self) -> Option<Option<EcoString>> {
        self.check_plain_start()?;
        let start = self.at;
        let Some(end) = self.find_colon()? else {
            return Some(None);
        };
        let text = self.text[start..end].trim_end_matches(' ');
        if text == "<<" || resolve(text, self.dialect) != Tag::Str {
            return None;
        }
        self.at = end;
        Some(Some(self.known.get(text)))
    }

    /// Where on this line the colon of a key stands.
    fn find_colon(&self) -> Option<Option<usize>> {
        let mut index = self.at;
        loop {
            match self.bytes.get(index) {
                None | Some(b'\n') => return Some(None),
                Some(b'\t') => return None,
                Some(b':') if self.is_blank_at(index + 1) => return Some(Some(index)),
                Some(b'#') if self.bytes[index - 1] == b' ' => return Some(None),
                Some(_) => index += 1,
            }
        }
    }
}

/// Texts that were read before, so that one that comes again is shared instead of allocated.
#[derive(Default)]
pub(super) struct KnownTexts {
    /// None until the first text that is worth sharing.
    slots: Vec<EcoString>,
}

impl KnownTexts {
    const SLOTS: usize = 512;
    /// Longer texts rarely come again.
    const LONGEST: usize = 64;

    /// The text, shared if it is known.
    pub(super) fn get(&mut self, text: &str) -> EcoString {
        if text.len() <= EcoString::INLINE_LIMIT || text.len() > Self::LONGEST {
            return EcoString::from(text);
        }
        self.slots.resize(Self::SLOTS, EcoString::new());
        let slot = &mut self.slots[Self::slot(text.as_bytes())];
        if slot != text {
            *slot = EcoString::from(text);
        }
        slot.clone()
    }

    /// Spreads texts by their length and some of their bytes.
    fn slot(bytes: &[u8]) -> usize {
        let picked = [
            0,
            bytes.len() / 4,
            bytes.len() / 2,
            bytes.len() * 3 / 4,
            bytes.len() - 1,
        ];
        let hash = picked.iter().fold(bytes.len(), |hash, index| {
            hash.wrapping_mul(31)
                .wrapping_add(usize::from(bytes[*index]))
        });
        (hash ^ (hash >> 9)) % Self::SLOTS
    }
}
