//! JSON 6902: operations on paths, with the liberties of the library that kustomize uses.
//!
//! `replace` of a missing key adds it, `copy` of a missing key copies null, indexes may count from the end, and
//! what stands before a path's first slash does not count.

use serde_json::Value as Json;

use crate::budget::Steps;
use crate::error::Error;
use crate::yaml::{Mapping, Mark, Node, Secrets, Value, to_json};

/// One step of a patch.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Where it begins.
    mark: Mark,
    act: Act,
    path: Option<Text>,
    from: Option<Text>,
    value: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
    Unknown,
}

/// Acts by name.
const ACTS: [(&str, Act); 6] = [
    ("add", Act::Add),
    ("remove", Act::Remove),
    ("replace", Act::Replace),
    ("move", Act::Move),
    ("copy", Act::Copy),
    ("test", Act::Test),
];

/// A path as written, and as it may be shown.
#[derive(Clone, Debug)]
struct Text {
    text: String,
    secret: bool,
}

impl Text {
    fn shown(&self) -> &str {
        if self.secret { "***" } else { &self.text }
    }
}

/// Reads a patch: a list of mappings. What is wrong within one is an error only when it is applied.
pub(crate) fn parse(document: &Node) -> Result<Vec<Operation>, Error> {
    let Some(items) = document.as_sequence() else {
        return Err(Error::new("a JSON patch is a list of operations").at_mark(document.mark));
    };
    items.iter().map(parse_operation).collect()
}

fn parse_operation(node: &Node) -> Result<Operation, Error> {
    if node.as_mapping().is_none() && !node.is_null() {
        return Err(Error::new("an operation of a JSON patch is a mapping").at_mark(node.mark));
    }
    let name = node.get("op").and_then(Node::exposed).unwrap_or_default();
    let act = ACTS.iter().find(|(known, _)| *known == name);
    let text = |field: &str| {
        let node = node.get(field)?;
        let is_text = matches!(to_json(node, Secrets::Masked), Json::String(_));
        is_text.then(|| Text {
            text: node.exposed().unwrap_or_default().to_owned(),
            secret: node.is_secret(),
        })
    };
    Ok(Operation {
        mark: node.mark,
        act: act.map_or(Act::Unknown, |(_, act)| *act),
        path: text("path"),
        from: text("from"),
        value: node.get("value").cloned(),
    })
}

/// Applies the operations one after another; the first that fails is the error.
pub(crate) fn apply(
    mut target: Node,
    operations: &[Operation],
    steps: &mut Steps,
) -> Result<Node, Error> {
    for operation in operations {
        operation
            .take_steps(&mut target, steps)
            .map_err(|error| error.at_mark(operation.mark))?;
        operation
            .apply(&mut target)
            .map_err(|message| Error::new(message).at_mark(operation.mark))?;
    }
    if target.as_mapping().is_none() {
        return Err(Error::new("a JSON patch leaves no mapping of its target"));
    }
    Ok(target)
}

/// What an operation cannot do.
type Done = Result<(), String>;

impl Operation {
    /// Counts the keys and items that the operation passes on its way, and what it copies or compares.
    fn take_steps(&self, target: &mut Node, steps: &mut Steps) -> Result<(), Error> {
        steps.take(1)?;
        for path in [&self.path, &self.from].into_iter().flatten() {
            if let Ok((container, _)) = find(target, path) {
                let mapping = container.as_mapping().map_or(0, Mapping::len);
                steps.take_small(mapping + container.as_sequence().map_or(0, <[Node]>::len))?;
            }
        }
        let source = match self.act {
            Act::Copy => &self.from,
            Act::Test => &self.path,
            _ => &None,
        };
        match source.as_ref().map(|path| get(target, path)) {
            Some(Ok(Some(node))) => steps.copy(node),
            _ => Ok(()),
        }
    }

    fn apply(&self, target: &mut Node) -> Done {
        match self.act {
            Act::Add => add(target, self.path()?, self.value()),
            Act::Remove => remove(target, self.path()?).map(drop),
            Act::Replace => self.replace(target),
            Act::Move => {
                let from = self.from()?;
                let value = remove(target, from)?;
                add(target, self.path()?, value)
            }
            Act::Copy => {
                let value = get(target, self.from()?)?.cloned();
                add(target, self.path()?, value.unwrap_or_else(Node::null))
            }
            Act::Test => self.test(target),
            Act::Unknown => {
                Err("`op` is none of add, remove, replace, move, copy and test".to_owned())
            }
        }
    }

    fn path(&self) -> Result<&Text, String> {
        self.path
            .as_ref()
            .ok_or_else(|| "the operation has no `path`".to_owned())
    }

    fn from(&self) -> Result<&Text, String> {
        self.from
            .as_ref()
            .ok_or_else(|| "the operation has no `from`".to_owned())
    }

    /// A missing value is null.
    fn value(&self) -> Node {
        self.value.clone().unwrap_or_else(Node::null)
    }

    fn replace(&self, target: &mut Node) -> Done {
        let path = self.path()?;
        if path.text.is_empty() {
            *target = self.value();
            return Ok(());
        }
        let (container, key) = find(target, path)?;
        match &container.value {
            Value::Sequence(items) => {
                let index = index_of(&key, items.len()).ok_or_else(|| missing(path))?;
                if let Some(items) = container.as_sequence_mut() {
                    items[index] = self.value();
                }
            }
            _ => set(container, &key, self.value()),
        }
        Ok(())
    }

    fn test(&self, target: &mut Node) -> Done {
        let path = self.path()?;
        let have = if path.text.is_empty() {
            Some(&*target)
        } else {
            get(target, path)?
        };
        let json =
            |node: Option<&Node>| node.map_or(Json::Null, |node| to_json(node, Secrets::Revealed));
        if json(have) == json(self.value.as_ref()) {
            Ok(())
        } else {
            Err(format!("the test of {} fails", path.shown()))
        }
    }
}

fn add(target: &mut Node, path: &Text, value: Node) -> Done {
    let (container, key) = find(target, path)?;
    let Some(items) = container.as_sequence_mut() else {
        set(container, &key, value);
        return Ok(());
    };
    if key == "-" {
        items.push(value);
        return Ok(());
    }
    let index = index_of(&key, items.len() + 1).ok_or_else(|| missing(path))?;
    items.insert(index, value);
    Ok(())
}

fn remove(target: &mut Node, path: &Text) -> Result<Node, String> {
    let (container, key) = find(target, path)?;
    match container.as_sequence_mut() {
        Some(items) => {
            let index = index_of(&key, items.len()).ok_or_else(|| missing(path))?;
            Ok(items.remove(index))
        }
        None => {
            let mapping = container.as_mapping_mut();
            mapping
                .and_then(|mapping| mapping.remove(&key))
                .ok_or_else(|| missing(path))
        }
    }
}

/// The value at a path; none for a key that a mapping does not have.
fn get<'n>(target: &'n mut Node, path: &Text) -> Result<Option<&'n Node>, String> {
    let (container, key) = find(target, path)?;
    match &container.value {
        Value::Sequence(items) => {
            let index = index_of(&key, items.len()).ok_or_else(|| missing(path))?;
            Ok(items.get(index))
        }
        _ => Ok(container.get(&key)),
    }
}

fn set(container: &mut Node, key: &str, value: Node) {
    if let Some(mapping) = container.as_mapping_mut() {
        mapping.insert(key, value);
    }
}

/// The list or mapping that a path leads to, and the path's last part.
fn find<'n>(target: &'n mut Node, path: &Text) -> Result<(&'n mut Node, String), String> {
    let mut parts = path.text.split('/').skip(1).map(unescape).peekable();
    let mut here = target;
    while let Some(part) = parts.next() {
        if here.tag().is_some() {
            break;
        }
        if parts.peek().is_none() {
            return Ok((here, part));
        }
        let next = match here.as_sequence().map(<[Node]>::len) {
            Some(count) => {
                index_of(&part, count).and_then(|index| here.as_sequence_mut()?.get_mut(index))
            }
            None => here.get_mut(&part),
        };
        here = next.ok_or_else(|| missing(path))?;
    }
    Err(missing(path))
}

fn missing(path: &Text) -> String {
    format!("there is no {} in the target", path.shown())
}

/// `~1` is a slash and `~0` a tilde.
fn unescape(part: &str) -> String {
    let mut rest = part;
    let mut whole = String::with_capacity(part.len());
    while let Some(at) = rest.find('~') {
        whole.push_str(&rest[..at]);
        let (literal, width) = match rest.as_bytes().get(at + 1) {
            Some(b'1') => ('/', 2),
            Some(b'0') => ('~', 2),
            _ => ('~', 1),
        };
        whole.push(literal);
        rest = &rest[at + width..];
    }
    whole + rest
}

/// An index below `count`; a negative one counts from the end.
fn index_of(text: &str, count: usize) -> Option<usize> {
    let index: i64 = text.parse().ok()?;
    let index = if index < 0 {
        count.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    (index < count).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Dialect, read_documents, write_documents};

    const TARGET: &str = "a: {b: 1, 'x/y': 2, '~': 3}\nl: [x, y, {k: v}]\nn: null\n";

    fn read(text: &str, dialect: Dialect) -> Node {
        read_documents(text.as_bytes(), 0, dialect)
            .expect("the test's YAML is right")
            .remove(0)
    }

    /// The fields of the target that an operation changed.
    fn patched(operation: &str) -> Result<String, Error> {
        let operations = parse(&read(&format!("- {{{operation}}}"), Dialect::Kubernetes))?;
        let target = read(TARGET, Dialect::Kustomize);
        let mut node = apply(target.clone(), &operations, &mut Steps::new(1000))?;
        if let Some(fields) = node.as_mapping_mut() {
            fields.retain(|key, value| target.get(&key.text) != Some(&*value));
        }
        Ok(write_documents(&[&node]))
    }

    #[test]
    fn operations_do_what_they_say() {
        let cases = [
            ("op: add, path: /c, value: 1", "c: 1\n"),
            ("op: add, path: whatever/c, value: 1", "c: 1\n"),
            ("op: add, path: /c", "c: null\n"),
            ("op: add, path: '/', value: 1", "\"\": 1\n"),
            (
                "op: add, path: /l/-, value: z",
                "l:\n- x\n- \"y\"\n- k: v\n- z\n",
            ),
            (
                "op: add, path: /l/0, value: z",
                "l:\n- z\n- x\n- \"y\"\n- k: v\n",
            ),
            (
                "op: add, path: /l/3, value: z",
                "l:\n- x\n- \"y\"\n- k: v\n- z\n",
            ),
            (
                "op: add, path: /l/-1, value: z",
                "l:\n- x\n- \"y\"\n- k: v\n- z\n",
            ),
            (
                "op: add, path: /l/-4, value: z",
                "l:\n- z\n- x\n- \"y\"\n- k: v\n",
            ),
            (
                "op: add, path: /l/2/k, value: w",
                "l:\n- x\n- \"y\"\n- k: w\n",
            ),
            (
                "op: add, path: /l/-1/k, value: w",
                "l:\n- x\n- \"y\"\n- k: w\n",
            ),
            ("op: remove, path: /l/-1", "l:\n- x\n- \"y\"\n"),
            (
                "op: replace, path: /l/1, value: yes",
                "l:\n- x\n- true\n- k: v\n",
            ),
            ("op: replace, path: /new, value: 1", "new: 1\n"),
            ("op: replace, path: '', value: {z: 1}", "z: 1\n"),
            ("op: copy, from: /a/x~1y, path: /c", "c: 2\n"),
            ("op: copy, from: /a/~0, path: /c", "c: 3\n"),
            ("op: copy, from: /missing, path: /c", "c: null\n"),
            (
                "op: move, from: /l/2/k, path: /c",
                "c: v\nl:\n- x\n- \"y\"\n- {}\n",
            ),
            ("op: test, path: /a/b, value: 1.0", "{}\n"),
            ("op: test, path: /n, value: null", "{}\n"),
            ("op: test, path: /missing", "{}\n"),
            ("op: test, path: /l/2, value: {k: v}", "{}\n"),
        ];
        for (operation, want) in cases {
            assert_eq!(patched(operation).as_deref(), Ok(want), "{operation}");
        }
    }

    #[test]
    fn operations_that_do_not_apply_are_errors() {
        for operation in [
            "op: bogus, path: /a",
            "path: /a",
            "op: add, value: 1",
            "op: add, path: 5, value: 1",
            "op: add, path: '', value: 1",
            "op: add, path: nothing, value: 1",
            "op: add, path: /x/y, value: 1",
            "op: add, path: /a/b/c, value: 1",
            "op: add, path: /n/c, value: 1",
            "op: add, path: /l/4, value: 1",
            "op: add, path: /l/-5, value: 1",
            "op: add, path: /l/x, value: 1",
            "op: remove, path: /missing",
            "op: remove, path: /l/3",
            "op: remove, path: /l/-",
            "op: replace, path: /l/-, value: 1",
            "op: replace, path: '', value: [1]",
            "op: replace, path: /missing/x, value: 1",
            "op: copy, path: /c",
            "op: move, from: /missing, path: /c",
            "op: test, path: /a/b, value: '1'",
            "op: test, path: /a/b",
            "op: test, path: /missing, value: 1",
        ] {
            assert!(patched(operation).is_err(), "{operation}");
        }
    }
}
