//! The leaves of an object that change, as they may be shown.

use std::collections::BTreeSet;

use overlay::Object;
use overlay::unknown::Marker;
use overlay::yaml::{Mapping, Node, Secrets, to_json};
use serde_json::Value;

use super::Line;
use super::pattern::Pattern;
use crate::cluster::Shown;
use crate::cluster::changes::{Mask, texts};
use crate::cluster::difference::{Difference, differences, without_name, written_part};
use crate::cluster::redact::Redactor;
use crate::environments::{UNKNOWN_SUFFIX, may_be_same, readable, unread_patches};

/// What lines are made with.
pub(super) struct Lines<'a> {
    pub(super) marker: &'a Marker,
    pub(super) redactor: &'a Redactor,
    /// Names of generated objects whose ends are not known, and may be others after than before.
    pub(super) unsettled: BTreeSet<String>,
}

/// What sets a name that may be another one apart from itself while two sides are compared. No YAML holds it.
const BEFORE: char = '\0';

/// Two nodes without the fields in which they are the same. Lists stay whole: what names their items shows in all.
fn apart(before: &Node, after: &Node) -> [Node; 2] {
    let (Some(one), Some(other)) = (before.as_mapping(), after.as_mapping()) else {
        return [before.clone(), after.clone()];
    };
    let (mut left, mut right) = (Mapping::default(), Mapping::default());
    for (key, value) in one.iter() {
        match other.get(&key.text) {
            Some(same) if same == value => {}
            Some(differs) => {
                let [value, differs] = apart(value, differs);
                left.insert(key.clone(), value);
                right.insert(key.clone(), differs);
            }
            None => drop(left.insert(key.clone(), value.clone())),
        }
    }
    for (key, value) in other.iter().filter(|(key, _)| !one.contains(&key.text)) {
        right.insert(key.clone(), value.clone());
    }
    [left.into(), right.into()]
}

impl Lines<'_> {
    /// The leaves that differ; none for an object that is new or goes.
    pub(super) fn between(&self, before: &Object, after: &Object) -> Vec<Line> {
        if before.node == after.node && self.unsettled.is_empty() {
            return Vec::new();
        }
        let mask = Mask::of_both(Some(before), Some(after), self.redactor);
        let nodes = match self.unsettled.is_empty() {
            true => apart(&before.node, &after.node),
            false => [before.node.clone(), after.node.clone()],
        };
        // In the clear, as the mask goes by what values are; nothing leaves but through it.
        let [mut one, other] = nodes.map(|node| to_json(&node, Secrets::Revealed));
        self.unsettle(&mut one);
        let unread = [before, after].map(|object| unread_patches(&object.node, self.marker));
        let unread: BTreeSet<String> = unread.into_iter().flatten().collect();
        let between = |part: fn(&Value) -> Value| -> Vec<Line> {
            let (one, other) = (part(&one), part(&other));
            let found = differences(&one, &other).into_iter();
            let line = |difference| self.line(difference, &mask, &unread);
            found.map(line).collect()
        };
        match between(written_part) {
            // What servers set by themselves is better told than passed over, where nothing else is.
            none if none.is_empty() => between(without_name),
            lines => lines,
        }
    }

    /// A leaf that a patch may set that cannot be read is as unknown as that.
    fn line(&self, difference: Difference<'_>, mask: &Mask<'_>, unread: &BTreeSet<String>) -> Line {
        let [before, after] = difference.sides();
        let settled = before.and_then(settled);
        let sides = [settled.as_ref().or(before), after];
        let [before, after] = mask.show(&difference.general, sides);
        let mut unknown = self.unknown(sides);
        unknown.extend(unknown_name(sides));
        unknown.extend(unread.clone());
        Line {
            path: self.readable(&mask.path(&difference)),
            unknown: unknown.into_iter().collect(),
            before: before.map(|shown| self.told(shown)),
            after: after.map(|shown| self.told(shown)),
        }
    }

    /// A reference to what may have another name is no longer the same value as on the other side.
    fn unsettle(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.unsettled.contains(text) => text.push(BEFORE),
            Value::Array(items) => items.iter_mut().for_each(|item| self.unsettle(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.unsettle(item)),
            _ => {}
        }
    }

    /// What decides whether two values differ and is not known; nothing where they differ whatever that is.
    fn unknown(&self, sides: [Option<&Value>; 2]) -> BTreeSet<String> {
        let [Some(before), Some(after)] = sides else {
            return BTreeSet::new();
        };
        let [one, other] = [before, after].map(|value| self.patterns(value));
        if let ([one], [other]) = (one.as_slice(), other.as_slice())
            && one.differs(other)
        {
            return BTreeSet::new();
        }
        let unknown = one.iter().chain(&other).flat_map(Pattern::unknown);
        unknown.map(|it| it.reason.clone()).collect()
    }

    /// A text, or the names of a list's items.
    fn patterns(&self, value: &Value) -> Vec<Pattern> {
        texts(value)
            .map(|text| Pattern::of(text, self.marker))
            .collect()
    }

    fn told(&self, shown: Shown) -> Shown {
        match shown {
            Shown::Masked => Shown::Masked,
            Shown::Value(value) => Shown::Value(self.readable_value(value)),
        }
    }

    fn readable_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.readable(&text)),
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.readable_value(item));
                items.collect()
            }
            other => other,
        }
    }

    /// A text with what is not known spelled out.
    pub(super) fn readable(&self, text: &str) -> String {
        readable(text, self.marker)
    }
}

/// A value without what sets it apart; nothing where it has none.
fn settled(value: &Value) -> Option<Value> {
    let name = value.as_str()?.strip_suffix(BEFORE)?;
    Some(Value::String(name.to_owned()))
}

/// The name of a generated object whose end is not known on one side: it may be what it is on the other.
fn unknown_name(sides: [Option<&Value>; 2]) -> Option<String> {
    let [before, after] = sides.map(|side| side.and_then(Value::as_str));
    let (before, after) = (before?, after?);
    let unknown = [before, after]
        .into_iter()
        .find(|name| name.ends_with(UNKNOWN_SUFFIX))?;
    may_be_same(before, after).then(|| unknown.to_owned())
}
