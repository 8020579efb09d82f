//! Flow collections on one line: lists and mappings of scalars, as in `args: ["a", "b"]`.

use super::super::merge_keys::has_duplicate;
use super::super::resolve::resolve;
use super::super::{Key, Mapping, Node, Tag, Value};
use super::BlockReader;

/// Longer lines are left to the slower reader, which counts columns as it goes.
const LONGEST_LINE: usize = 4096;

impl<'a> BlockReader<'a> {
    /// A flow collection to the end of its line.
    pub(super) fn flow_value(&mut self) -> Option<Node> {
        let node = self.flow_node()?;
        self.next_line()?;
        Some(node)
    }

    fn flow_node(&mut self) -> Option<Node> {
        if self.at - self.line_start > LONGEST_LINE {
            return None;
        }
        match self.bytes.get(self.at)? {
            b'[' => self.flow_sequence(),
            b'{' => self.flow_mapping(),
            b'"' | b'\'' => {
                let (mark, style) = (self.mark(), self.quote_style());
                let end = self.find_simple_end()?;
                let text = &self.text[self.at + 1..end];
                self.at = end + 1;
                self.make_scalar(text, style, Tag::Str, mark)
            }
            _ => {
                let mark = self.mark();
                let text = self.flow_plain()?;
                self.plain_node(text, mark)
            }
        }
    }

    fn flow_sequence(&mut self) -> Option<Node> {
        let (mark, base) = (self.mark(), self.items.len());
        self.enter()?;
        self.open();
        while self.bytes.get(self.at)? != &b']' {
            let item = self.flow_node()?;
            self.items.push(item);
            self.end_flow_entry(b']')?;
        }
        self.at += 1;
        self.leave();
        let items: Vec<Node> = self.items.drain(base..).collect();
        Some(Node {
            value: Value::Sequence(items.into()),
            mark,
        })
    }

    fn flow_mapping(&mut self) -> Option<Node> {
        let (mark, base) = (self.mark(), self.entries.len());
        self.enter()?;
        self.open();
        while self.bytes.get(self.at)? != &b'}' {
            let key = self.flow_key()?;
            let value = self.flow_node()?;
            self.entries.push((key, value));
            self.end_flow_entry(b'}')?;
        }
        self.at += 1;
        self.leave();
        let mapping = Mapping::from_entries(self.entries.drain(base..).collect());
        if has_duplicate(&mapping) {
            return None;
        }
        Some(Node {
            value: Value::Mapping(mapping.into()),
            mark,
        })
    }

    fn open(&mut self) {
        self.at += 1;
        self.skip_spaces();
    }

    /// A comma with an entry behind it, or the end.
    fn end_flow_entry(&mut self, close: u8) -> Option<()> {
        self.skip_spaces();
        if self.bytes.get(self.at) == Some(&b',') {
            self.open();
            return (self.bytes.get(self.at)? != &close).then_some(());
        }
        (self.bytes.get(self.at)? == &close).then_some(())
    }

    /// A key, its colon and the blank behind it.
    fn flow_key(&mut self) -> Option<Key> {
        let mark = self.mark();
        let text = match self.bytes.get(self.at)? {
            b'"' | b'\'' => {
                let end = self.find_simple_end()?;
                let text = &self.text[self.at + 1..end];
                self.at = end + 1;
                text
            }
            _ => {
                let text = self.flow_plain()?;
                let is_text = text != "<<" && resolve(text, self.dialect) == Tag::Str;
                is_text.then_some(text)?
            }
        };
        let text = self.known.get(text);
        let is_key =
            self.bytes.get(self.at) == Some(&b':') && self.bytes.get(self.at + 1) == Some(&b' ');
        self.open();
        is_key.then_some(Key { text, mark })
    }

    /// A plain scalar without anything that could be read in two ways.
    fn flow_plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        let is_plain = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'_' | b'-' | b'=' | b'+')
        };
        let length = self.bytes[start..]
            .iter()
            .take_while(|byte| is_plain(byte))
            .count();
        let is_text = length > 0 && self.bytes[start] != b'-';
        self.at += length;
        is_text.then_some(&self.text[start..start + length])
    }
}
