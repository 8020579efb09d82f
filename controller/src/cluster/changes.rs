//! What a dry-run changes: whether it is drift by Flux's measure, and the leaves that differ.

use std::collections::BTreeSet;

use overlay::Object;
use overlay::yaml::{Node, Value as NodeValue};
use serde_json::{Map, Value};

use super::difference::{Difference, differences, join, shown_part};
use super::once_secret::Once;
use super::plan::{Change, Shown};
use super::redact::{Redactor, SHORTEST, is_secret_kind};

/// An annotation that holds a copy of the object as someone else applied it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Flux's measure: labels, annotations, or anything outside `metadata` and `status` differs.
pub(super) fn differs(live: &Value, wanted: &Value) -> bool {
    let metadata = |object: &Value, key: &str| {
        let map = object["metadata"][key].as_object().cloned();
        map.unwrap_or_default()
    };
    let rest = |object: &Value| -> Option<Map<String, Value>> {
        let mut rest = object.as_object()?.clone();
        rest.retain(|key, _| key != "metadata" && key != "status");
        Some(rest)
    };
    ["labels", "annotations"]
        .into_iter()
        .any(|key| metadata(live, key) != metadata(wanted, key))
        || rest(live) != rest(wanted)
}

/// What may not be shown of one object: decided by the kind that the server read, by the marks, and by value.
pub(crate) struct Mask<'a> {
    secret_kind: bool,
    marked: BTreeSet<String>,
    once: Once<'a>,
    redactor: &'a Redactor,
}

impl<'a> Mask<'a> {
    /// The mask of an object as sent, and as the server read it.
    pub(super) fn new(object: &Object, answer: &Value, redactor: &'a Redactor) -> Self {
        Self {
            secret_kind: answer["kind"] == "Secret" && answer["apiVersion"] == "v1",
            marked: secret_leaves(&object.node),
            once: Once::default(),
            redactor,
        }
    }

    /// Hides besides what was secret before.
    pub(super) fn and_once(self, once: Once<'a>) -> Self {
        Self { once, ..self }
    }

    /// The mask of what stands in Git before and after a change.
    pub(crate) fn of_both(
        before: Option<&Object>,
        after: Option<&Object>,
        redactor: &'a Redactor,
    ) -> Self {
        let mut marked = BTreeSet::new();
        let objects = || [before, after].into_iter().flatten();
        // Few hold any, and the paths of all others need not be written.
        let marks = objects().filter(|object| object.node.holds_secret());
        marks.for_each(|object| collect_marks(&object.node, String::new(), &mut marked));
        Self {
            secret_kind: objects().any(|object| is_secret_kind(&object.id)),
            marked,
            once: Once::default(),
            redactor,
        }
    }

    /// `general` is the path with `[]` for every list item: where one item is secret, its siblings are masked
    /// too, because lists may have changed their order.
    fn hides(&self, general: &str, value: &Value) -> bool {
        let is_data = |path: &str| path.starts_with("data") || path.starts_with("stringData");
        (self.secret_kind && is_data(general))
            || general.contains(LAST_APPLIED)
            || self.marked.contains(general)
            || self.once.leaves.is_some_and(|it| it.contains(general))
            || texts(value).any(|text| self.redactor.touches(text))
    }

    /// Where a leaf is, as it may be shown: list items are called by what they hold.
    pub(crate) fn path(&self, difference: &Difference<'_>) -> String {
        let secret = difference.names.iter().filter(|(general, name)| {
            let is_marked = self.marked.contains(general)
                || self.once.leaves.is_some_and(|it| it.contains(general));
            // Those that the redactor cannot know are too short; the others of a marked list keep their names.
            is_marked && (name.len() < SHORTEST || self.redactor.touches(name))
        });
        let path = secret.fold(difference.path.clone(), |path, (_, name)| {
            path.replace(&format!("[{name}]"), "[***]")
        });
        self.redactor.clean_name(&path)
    }

    /// Both sides as they may be shown. Where one side is hidden the other is too: a password that is being
    /// replaced stood in the same text.
    pub(crate) fn show(&self, general: &str, sides: [Option<&Value>; 2]) -> [Option<Shown>; 2] {
        let is_doubtful = self.once.is_whole && sides[0].is_some();
        let mut values = sides.into_iter().flatten();
        let hidden = is_doubtful || values.any(|value| self.hides(general, value));
        sides.map(|side| {
            side.map(|value| match hidden {
                true => Shown::Masked,
                false => Shown::Value(value.clone()),
            })
        })
    }
}

/// The text of a leaf, or the names of a list's items.
pub(crate) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().into_iter().flatten();
    std::iter::once(value)
        .chain(items)
        .filter_map(Value::as_str)
}

/// Where secrets stand in an object, with `[]` for every list item.
pub(super) fn secret_leaves(node: &Node) -> BTreeSet<String> {
    let mut marked = BTreeSet::new();
    collect_marks(node, String::new(), &mut marked);
    marked
}

fn collect_marks(node: &Node, general: String, marked: &mut BTreeSet<String>) {
    match &node.value {
        NodeValue::Scalar(_) => {}
        NodeValue::Secret(_) => {
            marked.insert(general);
        }
        NodeValue::Sequence(items) => {
            let general = format!("{general}[]");
            items
                .iter()
                .for_each(|item| collect_marks(item, general.clone(), marked));
        }
        NodeValue::Mapping(mapping) => mapping
            .iter()
            .for_each(|(key, value)| collect_marks(value, join(&general, &key.text), marked)),
    }
}

/// The leaves that differ between the live object and what it would become, in the order of the live object.
pub(super) fn changes(live: &Value, wanted: &Value, mask: &Mask<'_>) -> Vec<Change> {
    let change = |difference: Difference<'_>| {
        let [before, after] = mask.show(&difference.general, difference.sides());
        Change {
            path: mask.path(&difference),
            before,
            after,
        }
    };
    let (live, wanted) = (shown_part(live), shown_part(wanted));
    let mut found = differences(&live, &wanted);
    // Servers merge lists, and set items of their own between: their order says something only where nothing else does.
    if found.iter().any(|difference| !difference.is_order) {
        found.retain(|difference| !difference.is_order);
    }
    found.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Secret, Style, Tag};
    use serde_json::json;

    fn lines(object: &Object, live: &Value, wanted: &Value) -> Vec<String> {
        let redactor = Redactor::of([object]);
        let mask = Mask::new(object, wanted, &redactor);
        let show = |shown: &Option<Shown>| match shown {
            None => "-".to_owned(),
            Some(Shown::Masked) => "***".to_owned(),
            Some(Shown::Value(value)) => value.to_string(),
        };
        let changes = changes(live, wanted, &mask);
        let line = |change: &Change| {
            format!(
                "{}: {} → {}",
                change.path,
                show(&change.before),
                show(&change.after)
            )
        };
        changes.iter().map(line).collect()
    }

    fn plain() -> Object {
        Object {
            id: overlay::ObjectId::default(),
            node: Node::mapping(),
            origin: overlay::Origin::default(),
        }
    }

    #[test]
    fn list_items_are_paired_by_name_and_additions_are_leaves() {
        let live = json!({"metadata": {"uid": "1", "labels": {"a": "1"}}, "spec": {"containers": [
            {"name": "side", "image": "s:1"}, {"name": "api", "image": "a:1", "args": ["-v"]}]}});
        let wanted = json!({"metadata": {"uid": "2", "labels": {"a": "1", "app.io/b": "2"}}, "spec": {"containers": [
            {"name": "api", "image": "a:2", "args": ["-v", "-x"]}]}});
        assert_eq!(
            lines(&plain(), &live, &wanted),
            [
                "metadata.labels.\"app.io/b\": - → \"2\"",
                "spec.containers[side].name: \"side\" → -",
                "spec.containers[side].image: \"s:1\" → -",
                "spec.containers[api].image: \"a:1\" → \"a:2\"",
                "spec.containers[api].args[1]: - → \"-x\"",
            ]
        );
    }

    #[test]
    fn what_the_server_read_as_a_secret_is_masked() {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "b2xk"}, "type": "Opaque",
            "metadata": {"annotations": {LAST_APPLIED: "{}"}}});
        let wanted = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "bmV3", "b": "eA=="}, "type": "x"});
        assert_eq!(
            lines(&plain(), &live, &wanted),
            [
                "data.a: *** → ***",
                "data.b: - → ***",
                "type: \"Opaque\" → \"x\"",
                "metadata.annotations.\"kubectl.kubernetes.io/last-applied-configuration\": *** → -",
            ]
        );
    }

    #[test]
    fn marks_hide_the_value_before_and_values_hide_wherever_they_turn_up() {
        let mut object = plain();
        let secret = NodeValue::Secret(Secret::new("hunter22".into(), Tag::Str, Style::Plain));
        object
            .node
            .as_mapping_mut()
            .expect("mapping")
            .insert("password", secret.into());
        let live = json!({"password": "old-one", "url": "x"});
        let wanted = json!({"password": "hunter22", "url": "https://me:hunter22@example.org",
            "env": [{"name": "hunter22", "value": "x"}]});
        assert_eq!(
            lines(&object, &live, &wanted),
            [
                "password: *** → ***",
                "url: *** → ***",
                "env[***].name: - → ***",
                "env[***].value: - → \"x\"",
            ]
        );
    }

    #[test]
    fn an_item_is_not_called_by_a_secret_word() {
        for word in ["wordword", "abc"] {
            let secret = NodeValue::Secret(Secret::new(word.into(), Tag::Str, Style::Plain));
            let mut item = Node::mapping();
            let name = item.as_mapping_mut().expect("mapping");
            name.insert("name", secret.into());
            let mut object = plain();
            let env = Node::sequence(vec![item]);
            object
                .node
                .as_mapping_mut()
                .expect("mapping")
                .insert("env", env);
            let env = |value: &str| json!({"env": [{"name": word, "value": value}, {"name": "LONGER", "value": value}]});
            assert_eq!(
                lines(&object, &env("1"), &env("2")),
                [
                    "env[***].value: \"1\" → \"2\"",
                    "env[LONGER].value: \"1\" → \"2\""
                ]
            );
        }
    }

    #[test]
    fn what_was_secret_before_is_hidden_though_nothing_wanted_says_so() {
        let (object, redactor) = (plain(), Redactor::default());
        let live = json!({"data": {"token": "old-one", "size": "1"}});
        let wanted = json!({"data": {"size": "2", "new": "x"}});
        let leaves = BTreeSet::from(["data.token".to_owned()]);
        for (once, hidden) in [
            (Once::default(), vec![]),
            (
                Once {
                    leaves: Some(&leaves),
                    ..Once::default()
                },
                vec!["data.token"],
            ),
            (
                Once {
                    is_whole: true,
                    ..Once::default()
                },
                vec!["data.token", "data.size"],
            ),
        ] {
            let mask = Mask::new(&object, &wanted, &redactor).and_once(once);
            let changes = changes(&live, &wanted, &mask);
            let is_hidden = |change: &&Change| {
                let sides = [&change.before, &change.after].into_iter().flatten();
                sides.into_iter().all(|side| *side == Shown::Masked)
            };
            let paths = changes.iter().filter(is_hidden).map(|it| &it.path);
            assert_eq!(paths.collect::<Vec<_>>(), hidden, "{once:?}");
        }
    }

    #[test]
    fn drift_is_what_flux_calls_drift() {
        let live = json!({"metadata": {"uid": "1", "finalizers": ["x"], "labels": {"a": "1"}}, "spec": {"a": 1}, "status": 1});
        let table = [
            (
                json!({"metadata": {"labels": {"a": "1"}}, "spec": {"a": 1}}),
                false,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}, "annotations": {}}, "spec": {"a": 1}}),
                false,
            ),
            (
                json!({"metadata": {"labels": {"a": "2"}}, "spec": {"a": 1}}),
                true,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}}, "spec": {"a": 2}}),
                true,
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}, "annotations": {"x": ""}}, "spec": {"a": 1}}),
                true,
            ),
        ];
        for (wanted, expected) in table {
            assert_eq!(differs(&live, &wanted), expected, "{wanted}");
        }
    }
}
