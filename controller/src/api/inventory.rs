//! The entries of a Kustomization's `status.inventory`, kept as one text.
//!
//! Tens of thousands of small texts, of every Kustomization in the watch, would be most of what Weir holds at rest,
//! and would keep freed memory from going back to the system.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One object of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceReference<Text = String> {
    /// `<namespace>_<name>_<group>_<kind>`.
    pub id: Text,
    /// API version.
    pub v: Text,
}

/// Ids and versions, in the order of application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// All ids, each with its version behind it.
    text: String,
    /// Where each id and its version end.
    ends: Vec<[usize; 2]>,
}

impl Entries {
    /// The entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = ResourceReference<&str>> {
        let mut begin = 0;
        self.ends.iter().map(move |&[id, version]| {
            let entry = ResourceReference {
                id: &self.text[begin..id],
                v: &self.text[id..version],
            };
            begin = version;
            entry
        })
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn push(&mut self, entry: &ResourceReference<impl AsRef<str>>) {
        self.text.push_str(entry.id.as_ref());
        let id = self.text.len();
        self.text.push_str(entry.v.as_ref());
        self.ends.push([id, self.text.len()]);
    }

    fn shrink(mut self) -> Self {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self
    }
}

impl<Text: AsRef<str>> FromIterator<ResourceReference<Text>> for Entries {
    fn from_iter<All: IntoIterator<Item = ResourceReference<Text>>>(all: All) -> Self {
        let mut entries = Self::default();
        all.into_iter().for_each(|entry| entries.push(&entry));
        entries.shrink()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of the objects of an inventory")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(entry) = list.next_element::<ResourceReference>()? {
            entries.push(&entry);
        }
        Ok(entries.shrink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_written_as_a_list() {
        let text = r#"[{"id":"shop_api_apps_Deployment","v":"v1"},{"id":"_x\n__y","v":""},{"id":"","v":"v1beta1"}]"#;
        let entries: Entries = serde_json::from_str(text).expect("a list of entries");
        assert_eq!(entries.len(), 3);
        assert_eq!(serde_json::to_string(&entries).expect("JSON"), text);
        assert_eq!(entries.iter().collect::<Entries>(), entries);
        let second = entries.iter().nth(1).map(|entry| entry.id.to_owned());
        assert_eq!(second.as_deref(), Some("_x\n__y"));
    }
}
