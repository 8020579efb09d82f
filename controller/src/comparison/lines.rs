//! The leaves of an object that change, as they may be shown.

use std::collections::BTreeSet;

use overlay::Object;
use overlay::unknown::{Marker, Part, Unknown};
use overlay::yaml::{Secrets, to_json};
use serde_json::Value;

use super::Line;
use crate::cluster::Shown;
use crate::cluster::changes::Mask;
use crate::cluster::difference::{Difference, differences, shown_part};
use crate::cluster::redact::Redactor;
use crate::environments::{readable, token_in, unread_patches};

/// What lines are made with.
pub(super) struct Lines<'a> {
    pub(super) marker: &'a Marker,
    pub(super) redactor: &'a Redactor,
}

impl Lines<'_> {
    /// The leaves that differ; none for an object that is new or goes.
    pub(super) fn between(&self, before: &Object, after: &Object) -> Vec<Line> {
        if before.node == after.node {
            return Vec::new();
        }
        let mask = Mask::of_both(Some(before), Some(after), self.redactor);
        let [one, other] = [before, after].map(|object| {
            // In the clear, as the mask goes by what values are; nothing leaves but through it.
            shown_part(&to_json(&object.node, Secrets::Revealed))
        });
        let unread = [before, after].map(|object| unread_patches(&object.node, self.marker));
        let unread: BTreeSet<String> = unread.into_iter().flatten().collect();
        let lines = differences(&one, &other).into_iter();
        lines
            .map(|difference| self.line(difference, &mask, &unread))
            .collect()
    }

    /// A leaf that a patch may set that cannot be read is as unknown as that.
    fn line(&self, difference: Difference<'_>, mask: &Mask<'_>, unread: &BTreeSet<String>) -> Line {
        let sides = difference.sides();
        let [before, after] = mask.show(&difference.general, sides);
        let mut unknown = self.unknown(sides);
        unknown.extend(unread.clone());
        Line {
            path: self.readable(&difference.path),
            unknown: unknown.into_iter().collect(),
            before: before.map(|shown| self.told(shown)),
            after: after.map(|shown| self.told(shown)),
        }
    }

    /// What decides whether two values differ and is not known. Where both hold the same unknown values they differ
    /// whatever these are.
    fn unknown(&self, sides: [Option<&Value>; 2]) -> BTreeSet<String> {
        let [Some(before), Some(after)] = sides.map(|side| side.map(|value| self.unknowns(value)))
        else {
            return BTreeSet::new();
        };
        if before == after {
            return BTreeSet::new();
        }
        before.union(&after).map(|it| it.reason.clone()).collect()
    }

    fn unknowns(&self, value: &Value) -> BTreeSet<Unknown> {
        let text = value.as_str().and_then(|text| token_in(text, self.marker));
        let Some(text) = text else {
            return BTreeSet::new();
        };
        let parts = self.marker.parts(&text).into_iter();
        let unknown = |part: Part<'_>| match part {
            Part::Unknown(unknown) => Some(unknown),
            Part::Text(_) => None,
        };
        parts.filter_map(unknown).collect()
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
            other => other,
        }
    }

    /// A text with what is not known spelled out.
    pub(super) fn readable(&self, text: &str) -> String {
        readable(text, self.marker)
    }
}
