//! One object against what its kind says. No value is repeated.

use overlay::suggest::nearest;
use overlay::yaml::{Key, Mapping, Mark, Node, Scalar, Style, Tag, Value};

use super::super::Site;
use super::fields::{Field, Fields, Null, Schemas, Type};

/// Of the values that are allowed somewhere, so many are named.
const LISTED: usize = 12;

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
        is_desired: true,
    };
    check.node(node, kind);
}

struct Check<'a, 's> {
    site: &'a Site<'s>,
    schemas: &'a Schemas,
    problems: &'a mut Vec<Problem>,
    path: Vec<String>,
    /// It is asked for in Git, and not the cluster's own word (`status`), which is judged by nobody.
    is_desired: bool,
}

impl Check<'_, '_> {
    fn node(&mut self, node: &Node, kind: &Type) {
        if node.is_null() || self.site.is_open(node) {
            return;
        }
        match (&node.value, kind) {
            (_, Type::Any) => {}
            (value, Type::Bound(inner, bounds)) => {
                self.node(node, inner);
                if self.is_desired
                    && has_form(value, inner)
                    && let Some(message) = bounds.broken(value)
                {
                    self.tell(node.mark, "", message, None, None);
                }
            }
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
            (Value::Scalar(scalar), Type::OneOf(inner, allowed)) if fits(scalar.tag, inner) => {
                self.allowed(node.mark, scalar, allowed);
            }
            (Value::Scalar(scalar), _) if fits(scalar.tag, kind) => {}
            (found, kind) => self.wrong(node.mark, found, kind),
        }
    }

    fn below(&mut self, step: &str, node: &Node, kind: &Type) {
        let is_desired = self.is_desired;
        self.is_desired &= !(self.path.is_empty() && step == ".status");
        self.path.push(step.to_owned());
        self.node(node, kind);
        self.path.pop();
        self.is_desired = is_desired;
    }

    fn fields(&mut self, mark: Mark, mapping: &Mapping, kind: &Type) {
        let schemas = self.schemas;
        let Some(fields) = schemas.fields(kind) else {
            return;
        };
        for (key, value) in mapping.iter() {
            match fields.known.get(key.text.as_str()) {
                Some(field) => self.field(key, value, field),
                None if fields.is_open || is_variable(key) => {}
                None => self.unknown(key, value, fields),
            }
        }
        if self.is_desired && !mapping.iter().any(|(key, _)| is_variable(key)) {
            self.missing(mark, mapping, fields);
        }
    }

    fn field(&mut self, key: &Key, value: &Node, field: &Field) {
        let step = format!(".{}", key.text);
        if value.is_null() && field.null == Null::Refused {
            let message = format!("nothing stands where {} belongs", name_of(&field.kind));
            let hint = Some("fill it in, or leave it out".to_owned());
            self.tell(value.mark, &step, message, hint, None);
        } else {
            self.below(&step, value, &field.kind);
        }
    }

    fn missing(&mut self, mark: Mark, mapping: &Mapping, fields: &Fields) {
        let is_there = |name: &str, field: &Field| {
            let value = mapping.get(name);
            value.is_some_and(|value| field.null != Null::LeftOut || !value.is_null())
        };
        for (name, field) in &fields.known {
            if field.is_required && !is_there(name, field) {
                let message = format!("the field {name} is missing");
                let hint = format!("add {name}: {}", name_of(&field.kind));
                self.tell(mark, "", message, Some(hint), None);
            }
        }
    }

    fn allowed(&mut self, mark: Mark, scalar: &Scalar, allowed: &[String]) {
        let text = scalar.text.as_str();
        if !self.is_desired || allowed.iter().any(|allowed| allowed == text) {
            return;
        }
        let same: Vec<&String> = allowed
            .iter()
            .filter(|allowed| allowed.eq_ignore_ascii_case(text))
            .collect();
        let known: Vec<&str> = allowed.iter().map(String::as_str).collect();
        let (near, repair) = match same.as_slice() {
            [meant] => (Some(meant.as_str()), in_place_of(scalar, meant)),
            _ => (nearest(text, &known), None),
        };
        let hint = match near {
            Some(near) => format!("did you mean {near}? {}", listed(allowed)),
            None => listed(allowed),
        };
        let message = "this value is not allowed here".to_owned();
        self.tell(mark, "", message, Some(hint), repair);
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

/// Whether a value is of a type, apart from what lies in it.
fn has_form(value: &Value, kind: &Type) -> bool {
    match (value, kind) {
        (Value::Scalar(scalar), kind) => fits(scalar.tag, kind),
        (Value::Sequence(_), Type::List(_)) | (Value::Mapping(_), Type::Map(_)) => true,
        _ => false,
    }
}

/// A key that may become any other one.
fn is_variable(key: &Key) -> bool {
    key.text.contains("${")
}

/// All that is allowed; of much, the beginning.
fn listed(allowed: &[String]) -> String {
    let quoted = |text: &String| match text.as_str() {
        "" => "\"\"".to_owned(),
        text => text.to_owned(),
    };
    let mut named: Vec<String> = allowed.iter().take(LISTED).map(quoted).collect();
    if allowed.len() > LISTED {
        named.push(format!("and {} more", allowed.len() - LISTED));
    }
    format!("one of {}", named.join(", "))
}

/// Another text in the place of a scalar's, in the quotes that it has.
fn in_place_of(scalar: &Scalar, text: &str) -> Option<(String, String)> {
    let quote = match scalar.style {
        Style::Plain => "",
        Style::Single => "'",
        Style::Double => "\"",
        Style::Literal | Style::Folded => return None,
    };
    let old = scalar.text.as_str();
    Some((
        format!("{quote}{old}{quote}"),
        format!("{quote}{text}{quote}"),
    ))
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
        Type::OneOf(kind, _) | Type::Bound(kind, _) => fits(tag, kind),
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

fn name_of(kind: &Type) -> String {
    let name = match kind {
        Type::OneOf(_, allowed) => return listed(allowed),
        Type::Bound(kind, _) => return name_of(kind),
        Type::Any => "anything",
        Type::Text => "text",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Boolean => "true or false",
        Type::IntegerOrText => "a whole number or text",
        Type::Quantity => "a quantity",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Fields(_) | Type::Named(_) => "a mapping",
    };
    name.to_owned()
}
