//! Field paths of `replacements` and `vars`: `spec.containers.[name=web].image`, `data.[my.key]`, `args.0`, `*`.

use ecow::EcoString;

use crate::error::Error;
use crate::expression::Expression;
use crate::yaml::{Dialect, Mapping, Node, Source, Style, Tag, Value, read, resolve};

/// Splits a path at dots. A dot behind a backslash is kept, and so is what stands in brackets; brackets without
/// `=` only hold a key together.
pub(crate) fn split(path: &str) -> Vec<EcoString> {
    let mut parts = Vec::new();
    let mut pieces = split_dots(path).into_iter();
    while let Some(piece) = pieces.next() {
        if !piece.starts_with('[') || piece.ends_with(']') {
            parts.push(piece);
            continue;
        }
        let mut whole = piece;
        for next in pieces.by_ref() {
            whole.push('.');
            whole.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        if whole.contains('=') {
            parts.push(whole);
        } else {
            parts.push(whole.trim_matches(['[', ']']).into());
        }
    }
    parts
}

fn split_dots(path: &str) -> Vec<EcoString> {
    let mut parts: Vec<EcoString> = Vec::new();
    let mut joined = false;
    let pieces: Vec<&str> = path.split('.').collect();
    let leading = usize::from(pieces.len() > 1 && pieces[0].is_empty());
    for piece in &pieces[leading..] {
        match parts.last_mut() {
            Some(last) if joined => {
                last.pop();
                last.push('.');
                last.push_str(piece);
            }
            _ => parts.push((*piece).into()),
        }
        joined = piece.ends_with('\\');
    }
    parts
}

/// What a part of a path means.
enum Part<'p> {
    /// A key of a mapping.
    Key(&'p str),
    /// An element of a list.
    Index(usize),
    /// Elements with a value at a key; the elements themselves for the empty key.
    Element(&'p str, &'p str),
    /// All elements.
    Every,
}

impl<'p> Part<'p> {
    fn of(part: &'p str) -> Result<Self, Error> {
        if let Some(index) = index(part) {
            return Ok(Self::Index(index));
        }
        let inside = part
            .strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'));
        match (part, inside) {
            ("*", _) => Ok(Self::Every),
            (_, None) => Ok(Self::Key(part)),
            (_, Some(inside)) => match inside.split_once('=') {
                Some((key, value)) => Ok(Self::Element(key, value)),
                None => Err(Error::new(format!(
                    "`{part}` of a field path is no `[key=value]`"
                ))),
            },
        }
    }
}

/// A number that is not negative, signs and zeros in front allowed.
fn index(part: &str) -> Option<usize> {
    part.parse::<i64>().ok()?.try_into().ok()
}

/// The node at the end of a path, which leads to one place: `*` is refused, the value in brackets is exact and
/// `-` is the last element.
pub(crate) fn find<'n>(node: &'n Node, path: &[EcoString]) -> Result<Option<&'n Node>, Error> {
    let mut here = node;
    for part in path
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
    {
        if here.is_null() {
            return Ok(None);
        }
        let next = match Part::of(part)? {
            Part::Every => return Err(Error::new("`*` cannot be where a value is read")),
            Part::Key("-") => items(here, part)?.last(),
            Part::Key(key) => fields(here, key)?.get(key),
            Part::Index(index) => items(here, part)?.get(index),
            Part::Element(key, value) => items(here, part)?
                .iter()
                .find(|item| is_element(item, key, value)),
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn items<'n>(node: &'n Node, part: &str) -> Result<&'n [Node], Error> {
    node.as_sequence().ok_or_else(|| {
        Error::new(format!("no list stands where `{part}` is looked for")).at_mark(node.mark)
    })
}

fn fields<'n>(node: &'n Node, key: &str) -> Result<&'n Mapping, Error> {
    node.as_mapping().ok_or_else(|| {
        Error::new(format!("no mapping stands where `{key}` is looked for")).at_mark(node.mark)
    })
}

/// What is made at the end of a path that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// A scalar, at first an empty null.
    Scalar,
    /// A mapping.
    Mapping,
    /// A list.
    Sequence,
}

impl Leaf {
    /// The kind of a node.
    pub(crate) fn like(node: &Node) -> Self {
        match node.value {
            Value::Mapping(_) => Self::Mapping,
            Value::Sequence(_) => Self::Sequence,
            Value::Scalar(_) | Value::Secret(_) => Self::Scalar,
        }
    }

    fn make(self) -> Node {
        match self {
            Self::Scalar => Node::scalar("", Tag::Null),
            Self::Mapping => Node::mapping(),
            Self::Sequence => Node::sequence(Vec::new()),
        }
    }

    /// What a node must be for a path to go on in it.
    fn below(self, rest: &[EcoString]) -> Node {
        match rest.first() {
            None => self.make(),
            Some(next)
                if index(next).is_some() || (next.starts_with('[') && next.ends_with(']')) =>
            {
                Self::Sequence.make()
            }
            Some(_) => Self::Mapping.make(),
        }
    }
}

/// What is done with each node at the end of a path, and whether it was made for it.
pub(crate) type Act<'a> = dyn FnMut(&mut Node, Fresh) -> Result<(), Error> + 'a;

/// Whether a node was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// It was.
    Old,
    /// It was made on the way.
    New,
    /// It is within a text, and what is done with it is forgotten.
    Copy,
}

/// Gives each node that a path leads to to `act`, and says how many there were. Values in brackets are regular
/// expressions that match anywhere in the value as printed. With `create`, what is missing is made.
pub(crate) fn each(
    node: &mut Node,
    path: &[EcoString],
    create: Option<Leaf>,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    walk(node, path, create, Fresh::Old, act)
}

fn walk(
    node: &mut Node,
    path: &[EcoString],
    create: Option<Leaf>,
    fresh: Fresh,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    let Some((part, rest)) = path.split_first() else {
        act(node, fresh)?;
        return Ok(1);
    };
    if node.is_null() && fresh != Fresh::New {
        // kustomize makes fields below null and then prints the null.
        return Ok(usize::from(create.is_some()));
    }
    match Part::of(part)? {
        Part::Key(key) => walk_field(node, key, rest, create, fresh, act),
        Part::Index(index) => walk_index(node, index, rest, create, fresh, act),
        Part::Every => {
            items(node, part)?;
            let mut count = 0;
            for item in node.as_sequence_mut().into_iter().flatten() {
                count += walk(item, rest, create, fresh, act)?;
            }
            Ok(count)
        }
        Part::Element(key, value) => {
            items(node, part)?;
            let count = walk_elements(node, key, value, rest, create, fresh, act)?;
            match create {
                Some(_) if count == 0 => {
                    append_element(node, key, value);
                    walk_elements(node, key, value, rest, create, Fresh::New, act)
                }
                _ => Ok(count),
            }
        }
    }
}

fn walk_field(
    node: &mut Node,
    key: &str,
    rest: &[EcoString],
    create: Option<Leaf>,
    mut fresh: Fresh,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    let missing = fields(node, key)?.get(key).is_none();
    let Some(mapping) = node.as_mapping_mut() else {
        return Ok(0);
    };
    if missing {
        let Some(leaf) = create else {
            return Ok(0);
        };
        mapping.insert(key, leaf.below(rest));
        fresh = Fresh::New;
    }
    match mapping.get_mut(key) {
        Some(field) if !missing && !rest.is_empty() && field.tag().is_some() => {
            walk_text(field, rest, create, act)
        }
        Some(field) => walk(field, rest, create, fresh, act),
        None => Ok(0),
    }
}

/// A path that goes on within a text is followed in a copy, as in kustomize: who wants the text changed does
/// that before.
fn walk_text(
    field: &Node,
    rest: &[EcoString],
    create: Option<Leaf>,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    if field.is_null() {
        return Ok(usize::from(create.is_some()));
    }
    let text = field.exposed().unwrap_or_default();
    let broken = || Error::new("a path leads into a text that is no YAML").at_mark(field.mark);
    let documents = read(text.as_bytes(), &Source::default()).map_err(|_| broken())?;
    let mut document = documents.into_iter().next().ok_or_else(broken)?;
    walk(&mut document, rest, create, Fresh::Copy, act)
}

/// Gives the node that [`find`] finds to `act`; false when there is none.
pub(crate) fn each_exactly(
    node: &mut Node,
    path: &[EcoString],
    act: &mut dyn FnMut(&mut Node),
) -> bool {
    let mut here = node;
    for part in path
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
    {
        let next = match Part::of(part) {
            Ok(Part::Key("-")) => here.as_sequence_mut().and_then(|items| items.last_mut()),
            Ok(Part::Key(key)) => here.get_mut(key),
            Ok(Part::Index(index)) => here
                .as_sequence_mut()
                .and_then(|items| items.get_mut(index)),
            Ok(Part::Element(key, value)) => here
                .as_sequence_mut()
                .and_then(|items| items.iter_mut().find(|item| is_element(item, key, value))),
            Ok(Part::Every) | Err(_) => None,
        };
        match next {
            Some(next) => here = next,
            None => return false,
        }
    }
    act(here);
    true
}

/// True for what leads into a list: a position, `[key=value]` or `*`.
pub(crate) fn is_list_part(part: &str) -> bool {
    !matches!(Part::of(part), Ok(Part::Key(_)) | Err(_))
}

/// The position that `[key=value]` or `-` means in a list.
pub(crate) fn element(items: &[Node], part: &str) -> Option<usize> {
    match Part::of(part) {
        Ok(Part::Key("-")) => items.len().checked_sub(1),
        Ok(Part::Element(key, value)) => items.iter().position(|item| is_element(item, key, value)),
        _ => None,
    }
}

fn is_element(item: &Node, key: &str, value: &str) -> bool {
    let found = match key {
        "" => Some(item),
        key => item.get(key),
    };
    found.is_some_and(|found| found.exposed().unwrap_or_default() == value)
}

fn walk_index(
    node: &mut Node,
    index: usize,
    rest: &[EcoString],
    create: Option<Leaf>,
    mut fresh: Fresh,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    let count = items(node, &index.to_string())?.len();
    let mark = node.mark;
    let Some(items) = node.as_sequence_mut() else {
        return Ok(0);
    };
    if let Some(leaf) = create.filter(|_| index == count) {
        items.push(leaf.below(rest));
        fresh = Fresh::New;
    }
    match items.get_mut(index) {
        Some(item) => walk(item, rest, create, fresh, act),
        None => Err(Error::new(format!("index {index} of a list of {count}")).at_mark(mark)),
    }
}

/// The steps to make the expressions of a path, which every object needs anew.
pub(crate) fn steps(parts: &[EcoString]) -> usize {
    let made = parts.iter().filter_map(|part| match Part::of(part) {
        Ok(Part::Element(_, value)) => Expression::anywhere(value).ok(),
        _ => None,
    });
    made.map(|expression| expression.to_make).sum()
}

fn walk_elements(
    node: &mut Node,
    key: &str,
    value: &str,
    rest: &[EcoString],
    create: Option<Leaf>,
    fresh: Fresh,
    act: &mut Act<'_>,
) -> Result<usize, Error> {
    let mut expression: Option<Expression> = None;
    let mut count = 0;
    for item in node.as_sequence_mut().into_iter().flatten() {
        let Some(text) = text_at(item, key) else {
            continue;
        };
        let expression = match &expression {
            Some(expression) => expression,
            None => expression.insert(Expression::anywhere(value)?),
        };
        if !expression.is_match(&text) {
            continue;
        }
        // What follows an element by its own value is not looked at.
        let rest = if key.is_empty() { &[] } else { rest };
        count += walk(item, rest, create, fresh, act)?;
    }
    Ok(count)
}

fn text_at(item: &Node, key: &str) -> Option<String> {
    match key {
        "" => Some(printed(item)),
        key => item.get(key).map(printed),
    }
}

/// A scalar as go-yaml v3 prints it, quotes included: that is what kustomize compares.
fn printed(node: &Node) -> String {
    let (style, tag) = match &node.value {
        Value::Scalar(scalar) => (scalar.style, scalar.tag),
        Value::Secret(secret) => (secret.style, secret.tag),
        Value::Sequence(_) | Value::Mapping(_) => {
            return crate::yaml::write_documents(&[node]).trim().to_owned();
        }
    };
    let text = node.exposed().unwrap_or_default();
    match style {
        Style::Single => format!("'{}'", text.replace('\'', "''")),
        Style::Double => format!("{text:?}"),
        Style::Plain if tag == Tag::Str && resolve(text, Dialect::Kustomize) != Tag::Str => {
            format!("{text:?}")
        }
        Style::Plain => text.to_owned(),
        Style::Literal | Style::Folded => text.trim().to_owned(),
    }
}

fn append_element(node: &mut Node, key: &str, value: &str) {
    let scalar = Node::scalar(value, resolve(value, Dialect::Kustomize));
    let element = if key.is_empty() {
        scalar
    } else {
        let mut mapping = Mapping::default();
        mapping.insert(key, scalar);
        mapping.into()
    };
    if let Some(items) = node.as_sequence_mut() {
        items.push(element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_that_count() {
        let cases: [(&str, &[&str]); 8] = [
            ("a.b", &["a", "b"]),
            (".a.b", &["a", "b"]),
            ("a\\.b.c", &["a.b", "c"]),
            ("m.[a.b/c].d", &["m", "a.b/c", "d"]),
            ("l.[name=a.b].c", &["l", "[name=a.b]", "c"]),
            ("l.[x]", &["l", "[x]"]),
            ("l.0.*", &["l", "0", "*"]),
            ("a..b", &["a", "", "b"]),
        ];
        for (path, want) in cases {
            let have = split(path);
            let have: Vec<&str> = have.iter().map(EcoString::as_str).collect();
            assert_eq!(have, want, "{path}");
        }
    }
}
