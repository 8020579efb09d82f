//! One object against what its kind says. No value is repeated.

use overlay::suggest::nearest;
use overlay::yaml::{Key, Mapping, Mark, Node, Scalar, Style, Tag, Value};

use super::super::Site;
use super::fields::{Fields, Schemas, Type};

/// A field that is not as its kind has it.
pub(super) struct Problem {
    pub(super) mark: Mark,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// The text that stands at the mark, and the one that belongs there.
    pub(super) repair: Option<(String, String)>,
}

/// Finds all problems of a node and of what lies below it.
pub(super) fn check(
    site: &Site<'_>,
    schemas: &Schemas,
    node: &Node,
    kind: &Type,
    problems: &mut Vec<Problem>,
) {
    let mut check = Check {
        site,
        schemas,
        problems,
        path: Vec::new(),
    };
    check.node(node, kind);
}

struct Check<'a, 's> {
    site: &'a Site<'s>,
    schemas: &'a Schemas,
    problems: &'a mut Vec<Problem>,
    path: Vec<String>,
}

impl Check<'_, '_> {
    fn node(&mut self, node: &Node, kind: &Type) {
        if node.is_null() || self.site.is_open(node) {
            return;
        }
        match (&node.value, kind) {
            (_, Type::Any) => {}
            (Value::Mapping(mapping), Type::Map(inner)) => {
                for (key, value) in mapping.iter() {
                    self.below(&format!(".{}", key.text), value, inner);
                }
            }
            (Value::Sequence(items), Type::List(inner)) => {
                for (index, item) in items.iter().enumerate() {
                    let name = item.find_str(&["name"]).map(str::to_owned);
                    let step = format!("[{}]", name.unwrap_or_else(|| index.to_string()));
                    self.below(&step, item, inner);
                }
            }
            (Value::Mapping(mapping), _) if self.schemas.fields(kind).is_some() => {
                self.fields(node.mark, mapping, kind);
            }
            (Value::Scalar(scalar), _) if fits(scalar.tag, kind) => {}
            (found, kind) => self.wrong(node.mark, found, kind),
        }
    }

    fn below(&mut self, step: &str, node: &Node, kind: &Type) {
        self.path.push(step.to_owned());
        self.node(node, kind);
        self.path.pop();
    }

    fn fields(&mut self, mark: Mark, mapping: &Mapping, kind: &Type) {
        let schemas = self.schemas;
        let Some(fields) = schemas.fields(kind) else {
            return;
        };
        for (key, value) in mapping.iter() {
            match fields.known.get(key.text.as_str()) {
                Some(kind) => self.below(&format!(".{}", key.text), value, kind),
                None if fields.is_open || key.text.contains("${") => {}
                None => self.unknown(key, value, fields),
            }
        }
        let missing = fields
            .required
            .iter()
            .filter(|field| !mapping.contains(field));
        for field in missing {
            let message = format!("the field {field} is missing");
            self.tell(mark, "", message, None, None);
        }
    }

    fn unknown(&mut self, key: &Key, value: &Node, fields: &Fields) {
        let known: Vec<&str> = fields.known.keys().map(String::as_str).collect();
        let typed = key.text.as_str();
        let same = known.iter().find(|name| name.eq_ignore_ascii_case(typed));
        let near = same.copied().or_else(|| nearest(typed, &known));
        let repair = same.map(|name| (typed.to_owned(), (*name).to_owned()));
        let mark = if key.mark.line > 0 {
            key.mark
        } else {
            value.mark
        };
        let hint = near.map(|name| format!("did you mean {name}?"));
        self.tell(
            mark,
            &format!(".{typed}"),
            "there is no such field".to_owned(),
            hint,
            repair,
        );
    }

    fn wrong(&mut self, mark: Mark, found: &Value, kind: &Type) {
        let repair = match found {
            Value::Scalar(scalar) => repair(scalar, kind),
            _ => None,
        };
        let hint = match (&repair, kind) {
            (Some(_), Type::Text) => Some("put it in quotes".to_owned()),
            (Some(_), _) => Some("take the quotes away".to_owned()),
            _ => None,
        };
        let message = format!(
            "{} stands where {} belongs",
            name_of_value(found),
            name_of(kind)
        );
        self.tell(mark, "", message, hint, repair);
    }

    fn tell(
        &mut self,
        mark: Mark,
        step: &str,
        message: String,
        hint: Option<String>,
        repair: Option<(String, String)>,
    ) {
        let path = format!("{}{step}", self.path.concat());
        self.problems.push(Problem {
            mark,
            path: match path.trim_start_matches('.') {
                "" => "the object".to_owned(),
                path => path.to_owned(),
            },
            message,
            hint,
            repair,
        });
    }
}

/// Whether a scalar of this type may stand there.
fn fits(tag: Tag, kind: &Type) -> bool {
    let is_text = matches!(tag, Tag::Str | Tag::Timestamp | Tag::Binary);
    match kind {
        Type::Any => true,
        Type::Text => is_text,
        Type::Integer => tag == Tag::Int,
        Type::Number => matches!(tag, Tag::Int | Tag::Float),
        Type::Boolean => tag == Tag::Bool,
        Type::IntegerOrText => is_text || tag == Tag::Int,
        Type::Quantity => is_text || matches!(tag, Tag::Int | Tag::Float),
        Type::List(_) | Type::Map(_) | Type::Fields(_) | Type::Named(_) => false,
    }
}

/// Quotes that are missing, or too many: the text is what was meant, its type is not.
fn repair(scalar: &Scalar, kind: &Type) -> Option<(String, String)> {
    let text = scalar.text.as_str();
    let quoted = match scalar.style {
        Style::Single => format!("'{text}'"),
        Style::Double => format!("\"{text}\""),
        Style::Plain if *kind == Type::Text => {
            let is_simple = text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
            return is_simple.then(|| (text.to_owned(), format!("\"{text}\"")));
        }
        Style::Plain | Style::Literal | Style::Folded => return None,
    };
    let is_meant = match kind {
        Type::Integer => text
            .parse::<i64>()
            .is_ok_and(|number| number.to_string() == text),
        Type::Boolean => ["true", "false"].contains(&text),
        _ => false,
    };
    is_meant.then(|| (quoted, text.to_owned()))
}

fn name_of_value(value: &Value) -> &'static str {
    match value {
        Value::Mapping(_) => "a mapping",
        Value::Sequence(_) => "a list",
        Value::Secret(_) => "a value",
        Value::Scalar(scalar) => match scalar.tag {
            Tag::Null => "nothing",
            Tag::Bool => "a truth value",
            Tag::Int | Tag::Float => "a number",
            Tag::Str | Tag::Timestamp | Tag::Binary => "text",
        },
    }
}

fn name_of(kind: &Type) -> &'static str {
    match kind {
        Type::Any => "anything",
        Type::Text => "text",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Boolean => "true or false",
        Type::IntegerOrText => "a whole number or text",
        Type::Quantity => "a quantity",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Fields(_) | Type::Named(_) => "a mapping",
    }
}
