//! Kubernetes' label selectors as text: `a=b,c!=d,e in (f,g),!h`.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::yaml::Node;

/// Requirements, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

/// Longest first where one begins with another.
const SYMBOLS: &[&str] = &["==", "!=", "=", "!", "<", ">", "(", ")", ","];

impl LabelSelector {
    /// Reads a selector; an empty one accepts everything.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut words = Words {
            words: split(text),
            next: 0,
        };
        let mut requirements = Vec::new();
        while words.peek().is_some() {
            requirements.push(words.requirement().map_err(|reason| {
                Error::new(format!("`{text}` is no label selector: {reason}"))
            })?);
        }
        Ok(Self { requirements })
    }

    /// True when a mapping of labels meets every requirement.
    pub(crate) fn accepts(&self, labels: Option<&Node>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels
                .and_then(|labels| labels.get(&requirement.key))
                .map(|value| value.exposed().unwrap_or(""));
            requirement.accepts(value)
        })
    }
}

impl Requirement {
    fn accepts(&self, value: Option<&str>) -> bool {
        let bound = || {
            self.values
                .first()
                .and_then(|bound| bound.parse::<i64>().ok())
        };
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Greater => {
                matches!((number(), bound()), (Some(have), Some(bound)) if have > bound)
            }
            Operator::Less => {
                matches!((number(), bound()), (Some(have), Some(bound)) if have < bound)
            }
        }
    }
}

/// Symbols and words, without the space between them.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let end = symbol.map_or_else(
            || {
                rest.find(|c: char| c.is_ascii_whitespace() || "=!(),<>".contains(c))
                    .unwrap_or(rest.len())
            },
            |symbol| symbol.len(),
        );
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    /// The next word when it is no symbol.
    fn name(&mut self) -> Result<&'a str, String> {
        match self.take() {
            Some(word) if !SYMBOLS.contains(&word) => Ok(word),
            Some(word) => Err(format!("`{word}` where a name should be")),
            None => Err("it ends where a name should be".to_owned()),
        }
    }

    /// One requirement and the comma behind it.
    fn requirement(&mut self) -> Result<Requirement, String> {
        let missing = self.peek() == Some("!");
        if missing {
            self.next += 1;
        }
        let key = self.name()?.to_owned();
        check_key(&key)?;
        let (operator, values) = match self.peek() {
            None | Some(",") => (
                if missing {
                    Operator::Missing
                } else {
                    Operator::Exists
                },
                BTreeSet::new(),
            ),
            Some(word) => self.operator_and_values(word)?,
        };
        values.iter().try_for_each(|value| check_value(value))?;
        match self.take() {
            None => {}
            Some(",") if self.peek().is_some() => {}
            Some(",") => return Err("nothing after the last comma".to_owned()),
            Some(word) => return Err(format!("`{word}` where a comma should be")),
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn operator_and_values(&mut self, word: &str) -> Result<(Operator, BTreeSet<String>), String> {
        self.next += 1;
        let operator = match word {
            "=" | "==" | "in" => Operator::In,
            "!=" | "notin" => Operator::NotIn,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            _ => return Err(format!("`{word}` is no operator")),
        };
        let values = match word {
            "in" | "notin" => self.value_list()?,
            _ => BTreeSet::from([self.one_value()?]),
        };
        let bounded = matches!(operator, Operator::Greater | Operator::Less);
        if bounded && values.iter().any(|value| value.parse::<i64>().is_err()) {
            return Err(format!("`{word}` compares whole numbers"));
        }
        Ok((operator, values))
    }

    fn one_value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(",") => Ok(String::new()),
            Some(_) => Ok(self.name()?.to_owned()),
        }
    }

    /// `(a, b)`; a missing word counts as the empty value.
    fn value_list(&mut self) -> Result<BTreeSet<String>, String> {
        if self.take() != Some("(") {
            return Err("no list in parentheses".to_owned());
        }
        let mut values = BTreeSet::new();
        loop {
            match self.peek() {
                Some("," | ")") => {
                    values.insert(String::new());
                }
                _ => {
                    values.insert(self.name()?.to_owned());
                }
            }
            match self.take() {
                Some(",") => {}
                Some(")") => return Ok(values),
                _ => return Err("the list is not closed".to_owned()),
            }
        }
    }
}

/// A name as Kubernetes has it in labels: at most 63 letters, digits, `-`, `_`, `.`, ends alphanumeric.
fn is_name(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let end = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && bytes.iter().all(|c| inner(*c)) && end(bytes.first()) && end(bytes.last())
}

/// A DNS subdomain, as stands before the `/` of a label.
fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

fn check_key(key: &str) -> Result<(), String> {
    let valid = match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    };
    valid
        .then_some(())
        .ok_or_else(|| format!("`{key}` is no label key"))
}

fn check_value(value: &str) -> Result<(), String> {
    (value.is_empty() || is_name(value))
        .then_some(())
        .ok_or_else(|| format!("`{value}` is no label value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Node {
        let mut node = Node::mapping();
        if let Some(mapping) = node.as_mapping_mut() {
            mapping.insert("app", Node::string("web"));
            mapping.insert("size", Node::string("7"));
        }
        node
    }

    #[test]
    fn requirements_hold_or_not() {
        let cases = [
            ("", true),
            ("app", true),
            ("!app", false),
            ("app=web", true),
            ("app == web,size", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app in (db, web)", true),
            ("app notin (web)", false),
            ("app in ()", false),
            ("size>6,size<8", true),
            ("in=x", false),
            ("app=", false),
        ];
        for (text, want) in cases {
            let selector = LabelSelector::parse(text).map(|s| s.accepts(Some(&labels())));
            assert_eq!(selector, Ok(want), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "=",
            "app in web",
            "app=a b",
            "app,",
            "a/b/c",
            "app=!",
            "size>x",
            "app in (a",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }
}
