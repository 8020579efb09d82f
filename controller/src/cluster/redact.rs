//! Keeping secrets out of what the API server says: its texts repeat the values that were sent.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use overlay::yaml::{Mapping, Node, Secret, Value};
use overlay::{Object, ObjectId};
use zeroize::Zeroizing;

use super::error::{Act, Error, ObjectError, Refusal};

/// Shorter values are not replaced in texts of other objects: they would turn up by chance.
pub(super) const SHORTEST: usize = 6;

/// The longest name of a field that is taken for one of a schema.
const LONGEST_FIELD: usize = 40;

/// The secret values of a set of objects, as they may appear in texts.
#[derive(Default)]
pub(crate) struct Redactor {
    values: Vec<Zeroizing<String>>,
}

/// Whether an object is one whose texts are not shown: it holds marked scalars, or is a Secret.
pub(super) fn is_secret(object: &Object) -> bool {
    is_secret_kind(&object.id) || object.node.holds_secret()
}

pub(super) fn is_secret_kind(id: &ObjectId) -> bool {
    id.group.is_empty() && id.kind == "Secret"
}

impl Redactor {
    /// Collects the secret values of objects: marked scalars, and all data of Secrets.
    pub(crate) fn of<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let mut redactor = Self::default();
        for object in objects {
            redactor.collect(&object.node, false);
            if is_secret_kind(&object.id) {
                let sections = ["data", "stringData"].map(|key| object.node.get(key));
                sections
                    .into_iter()
                    .flatten()
                    .for_each(|section| redactor.collect(section, true));
            }
        }
        redactor.longest_first();
        redactor
    }

    /// Knows more values, which none of the objects need hold.
    pub(crate) fn knowing(mut self, secrets: &[Secret]) -> Self {
        secrets.iter().for_each(|secret| self.add(secret.expose()));
        self.longest_first();
        self
    }

    /// So that a value is not broken by one that it contains.
    fn longest_first(&mut self) {
        self.values
            .sort_by_key(|value| std::cmp::Reverse(value.len()));
        self.values.dedup();
    }

    /// Forgets values that are none.
    pub(crate) fn retain(&mut self, is_value: impl Fn(&str) -> bool) {
        self.values.retain(|value| is_value(value));
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn collect(&mut self, node: &Node, all: bool) {
        match &node.value {
            Value::Secret(secret) => self.add(secret.expose()),
            Value::Scalar(scalar) if all => self.add(&scalar.text),
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter().for_each(|item| self.collect(item, all)),
            Value::Mapping(mapping) => mapping
                .iter()
                .for_each(|(_, value)| self.collect(value, all)),
        }
    }

    /// A value, what it is base64 of, and the forms in which either may be repeated.
    fn add(&mut self, value: &str) {
        self.add_forms(value);
        let decoded = BASE64.decode(value).map(Zeroizing::new);
        if let Ok(bytes) = decoded
            && let Ok(text) = std::str::from_utf8(&bytes)
        {
            self.add_forms(text);
        }
    }

    fn add_forms(&mut self, value: &str) {
        for text in [value, value.trim()] {
            let escaped = Zeroizing::new(serde_json::Value::from(text).to_string());
            let escaped = escaped.get(1..escaped.len() - 1).unwrap_or_default();
            for form in [text, &BASE64.encode(text), escaped] {
                if text.len() >= SHORTEST && !self.values.iter().any(|known| **known == form) {
                    self.values.push(Zeroizing::new(form.to_owned()));
                }
            }
        }
    }

    /// Whether a text is a secret value, or holds one that cannot be there by chance: a user name `postgres` does
    /// not make a secret of every image of that name.
    pub(crate) fn touches(&self, text: &str) -> bool {
        let touches = |value: &str| text == value || (!is_word(value) && text.contains(value));
        self.values.iter().any(|value| touches(value))
    }

    /// A text with every secret value replaced.
    pub(crate) fn clean(&self, text: &str) -> String {
        let replace = |text: String, value: &Zeroizing<String>| {
            if text.contains(value.as_str()) {
                text.replace(value.as_str(), "***")
            } else {
                text
            }
        };
        self.values.iter().fold(text.to_owned(), replace)
    }

    /// A name, or a path, with every secret value replaced but those that names hold by chance.
    pub(crate) fn clean_name(&self, text: &str) -> String {
        let values = self.values.iter().filter(|value| !is_word(value));
        let found = values.filter(|value| text.contains(value.as_str()));
        found.fold(text.to_owned(), |text, value| {
            text.replace(value.as_str(), "***")
        })
    }

    /// An error about an object, fit to be shown.
    pub(super) fn object_error(&self, object: &Object, act: Act, error: &Error) -> ObjectError {
        self.error_of(object, act, error, is_secret(object))
    }

    /// The same of an object of which what is there may hold secrets.
    pub(super) fn error_of_once_secret(
        &self,
        object: &Object,
        act: Act,
        error: &Error,
    ) -> ObjectError {
        self.error_of(object, act, error, true)
    }

    fn error_of(&self, object: &Object, act: Act, error: &Error, is_secret: bool) -> ObjectError {
        let message = match error.refusal() {
            Some(refusal) if is_secret => without_values(refusal, object),
            _ => error.to_string(),
        };
        ObjectError {
            id: object.id.clone(),
            act,
            reason: error
                .refusal()
                .map(|refusal| self.clean(&refusal.reason))
                .unwrap_or_default(),
            code: error
                .refusal()
                .map(|refusal| refusal.code)
                .unwrap_or_default(),
            message: self.clean(&message),
            transient: error.is_transient(),
        }
    }
}

/// A node whose keys and readable texts hold no secret value.
pub(crate) fn clean_names(node: &Node, redactor: &Redactor) -> Node {
    let mut clean = node.clone();
    match &node.value {
        Value::Secret(_) => {}
        Value::Scalar(scalar) => {
            if let Value::Scalar(shown) = &mut clean.value {
                shown.text = redactor.clean_name(&scalar.text).into();
            }
        }
        Value::Sequence(items) => {
            let items = items.iter().map(|item| clean_names(item, redactor));
            clean.value = Node::sequence(items.collect()).value;
        }
        Value::Mapping(mapping) => {
            let mut shown = Mapping::default();
            for (key, value) in mapping.iter() {
                let mut key = key.clone();
                key.text = redactor.clean_name(&key.text).into();
                shown.push(key, clean_names(value, redactor));
            }
            clean.value = Node::from(shown).value;
        }
    }
    clean
}

/// Whether a value is one that texts hold by chance: short, and all letters or all digits.
fn is_word(value: &str) -> bool {
    let all = |is: fn(&char) -> bool| value.chars().all(|character| is(&character));
    value.len() < 16 && (all(char::is_ascii_alphabetic) || all(char::is_ascii_digit))
}

/// What can be said of a refusal without the server's own words: the code and the fields at fault.
fn without_values(refusal: &Refusal, object: &Object) -> String {
    let mut keys = BTreeSet::new();
    collect_keys(&object.node, &mut keys);
    let mut message = format!("the API server answered {}", refusal.code);
    let fields: Vec<_> = refusal
        .causes
        .iter()
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| {
            let field = known_part(&cause.field, &keys);
            match cause.reason.as_str() {
                reason if is_field(reason) => format!("{field} ({reason})"),
                _ => field,
            }
        })
        .collect();
    if !fields.is_empty() {
        message.push_str(" for ");
        message.push_str(&fields.join(", "));
    }
    message.push_str(match refusal.code {
        403 => ", as the account has no right to it or an admission rule denies it",
        404 => ", as its namespace or its kind is not there",
        _ => "",
    });
    message.push_str("; its text is not shown because the object holds secrets");
    message
}

/// All keys of an object: they stand in Git for everyone to read.
fn collect_keys<'a>(node: &'a Node, keys: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Scalar(_) | Value::Secret(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                keys.insert(&key.text);
                collect_keys(value, keys);
            }
        }
    }
}

/// A field's path up to the first step that neither the object nor a schema has: a webhook may write there what it
/// likes.
fn known_part(field: &str, keys: &BTreeSet<&str>) -> String {
    let mut known = String::new();
    let mut rest = field;
    while !rest.is_empty() {
        let (step, after) = next_step(rest);
        let name = step.trim_start_matches('.');
        let inside = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_known = match inside {
            Some(inside) => keys.contains(inside) || is_index(inside),
            None => keys.contains(name) || is_field(name),
        };
        if !is_known {
            return known + "…";
        }
        known.push_str(step);
        rest = after;
    }
    known
}

/// The first step of a path: `.name`, or `[key]` with whatever the key holds.
fn next_step(path: &str) -> (&str, &str) {
    let end = match path.strip_prefix('[') {
        Some(inside) => inside.find(']').map_or(path.len(), |at| at + 2),
        None => path
            .char_indices()
            .skip(1)
            .find(|(_, letter)| matches!(letter, '.' | '['))
            .map_or(path.len(), |(at, _)| at),
    };
    path.split_at(end)
}

fn is_index(text: &str) -> bool {
    !text.is_empty() && text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_field(text: &str) -> bool {
    (1..=LONGEST_FIELD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::error::Cause;
    use overlay::yaml::{Secret, Style, Tag};

    fn object(kind: &str, node: Node) -> Object {
        let id = ObjectId {
            kind: kind.into(),
            namespace: "shop".into(),
            name: "x".into(),
            ..ObjectId::default()
        };
        Object {
            id,
            node,
            origin: overlay::Origin::default(),
        }
    }

    fn refused(message: &str) -> Error {
        Error::Refused(Refusal {
            code: 422,
            reason: "Invalid".into(),
            message: message.into(),
            causes: vec![Cause {
                reason: "FieldValueInvalid".into(),
                field: "spec.url".into(),
                message: message.into(),
            }],
        })
    }

    fn with_secret(text: &str) -> Node {
        let mut node = Node::mapping();
        let secret = Value::Secret(Secret::new(text.into(), Tag::Str, Style::Plain));
        node.as_mapping_mut()
            .expect("mapping")
            .insert("url", secret.into());
        node
    }

    #[test]
    fn the_server_s_words_about_an_object_with_a_secret_are_not_shown() {
        let object = object("Thing", with_secret("hunter22"));
        let error = Redactor::default().object_error(
            &object,
            Act::DryRun,
            &refused("bad value \"hunter22\""),
        );
        assert_eq!(
            error.to_string(),
            "Thing/shop/x dry-run failed (Invalid): the API server answered 422 for spec.url \
             (FieldValueInvalid); its text is not shown because the object holds secrets"
        );
    }

    #[test]
    fn another_object_s_error_is_cleaned_by_value() {
        let redactor = Redactor::of(&[object("Thing", with_secret("hunter22"))]);
        let other = object("Deployment", Node::mapping());
        for text in ["denied: hunter22 is weak", "denied: aHVudGVyMjI= is weak"] {
            let error = redactor.object_error(&other, Act::Apply, &refused(text));
            assert_eq!(error.message, "denied: *** is weak");
        }
    }

    #[test]
    fn data_of_plain_secrets_counts_in_both_forms() {
        let mut node = Node::mapping();
        let mut data = Node::mapping();
        data.as_mapping_mut()
            .expect("mapping")
            .insert("password", Node::string("aHVudGVyMjI="));
        node.as_mapping_mut().expect("mapping").insert("data", data);
        let redactor = Redactor::of(&[object("Secret", node)]);
        assert_eq!(redactor.clean("hunter22 aHVudGVyMjI="), "*** ***");
        assert!(redactor.touches("xhunter22x"));
        assert!(!redactor.touches("hunter"));
    }

    #[test]
    fn a_field_is_shown_as_far_as_the_object_or_a_schema_has_it() {
        let mut node = with_secret("hunter22");
        let mapping = node.as_mapping_mut().expect("mapping");
        mapping.insert("tls.crt", Node::string("x"));
        let mut keys = BTreeSet::new();
        collect_keys(&node, &mut keys);
        for (field, shown) in [
            ("spec.ports[12].nodePort", "spec.ports[12].nodePort"),
            ("data[tls.crt]", "data[tls.crt]"),
            ("data[other.crt]", "data…"),
            ("metadata.annotations.p4ssw0rd", "metadata.annotations…"),
            ("url", "url"),
            ("data[open", "data…"),
            ("sécrét", "…"),
            ("é", "…"),
            ("[]", "…"),
        ] {
            assert_eq!(known_part(field, &keys), shown, "{field}");
        }
    }

    #[test]
    fn all_forms_of_a_value_are_replaced() {
        let redactor = Redactor::of([&object("Thing", with_secret("line \"one\"\nline two\n"))]);
        for text in [
            "line \"one\"\nline two\n",
            "line \"one\"\nline two",
            "line \\\"one\\\"\\nline two",
            &BASE64.encode("line \"one\"\nline two\n"),
            &BASE64.encode("line \"one\"\nline two"),
        ] {
            let cleaned = redactor.clean(&format!("bad: {text}!"));
            assert!(
                !cleaned.contains("one") && cleaned.contains("***"),
                "{cleaned}"
            );
            assert!(!cleaned.contains("bGluZS"), "{cleaned}");
        }
        let redactor = Redactor::of([&object("Thing", with_secret("short"))]);
        assert_eq!(redactor.clean("in short"), "in short");
    }

    #[test]
    fn a_plain_word_counts_only_by_itself() {
        let redactor = Redactor::of([&object("Thing", with_secret("postgres"))]);
        assert!(redactor.touches("postgres"));
        assert!(!redactor.touches("postgres:16"));
        assert_eq!(redactor.clean("no user \"postgres\""), "no user \"***\"");
        assert_eq!(
            redactor.clean_name("containers[postgres]"),
            "containers[postgres]"
        );
        let redactor = Redactor::of([&object("Thing", with_secret("p0stgr3s-us3r"))]);
        assert_eq!(
            redactor.clean_name("env[p0stgr3s-us3r].value"),
            "env[***].value"
        );
    }
}
