//! The built-in kinds, from a table that a test writes from what an API server publishes and refuses.
//!
//! A line is a mapping: its name, for kinds `@apiVersion/Kind`, and its fields with their types. `[` means a list of what
//! follows, `{` a mapping of it, `=A|B` one of these texts, and `!` behind a field that it must be there. Both of the
//! latter stand only where the server was seen refusing what is otherwise: not all that is published as required is, as
//! it fills in some of that. It says more than this table in code alone.

use super::fields::{Field, Fields, Schemas, Type};

/// The table.
const TABLE: &str = include_str!("built_in.txt");

/// Types that have no fields.
const PLAIN: [(&str, Type); 7] = [
    ("any", Type::Any),
    ("string", Type::Text),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("int-or-string", Type::IntegerOrText),
    ("quantity", Type::Quantity),
];

/// Reads the table.
pub(super) fn schemas() -> Schemas {
    let mut schemas = Schemas::default();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut fields = Fields::default();
        for word in words {
            if let Some((version, kind)) = word
                .strip_prefix('@')
                .and_then(|kind| kind.rsplit_once('/'))
            {
                let key = (version.to_owned(), kind.to_owned());
                schemas.kinds.insert(key, Type::Named(name.to_owned()));
            } else if let Some((field, kind)) = word.split_once(':') {
                let required = field.strip_suffix('!');
                let known = Field {
                    is_required: required.is_some(),
                    ..Field::optional(read(kind))
                };
                fields
                    .known
                    .insert(required.unwrap_or(field).to_owned(), known);
            }
        }
        schemas.named.insert(name.to_owned(), fields);
    }
    schemas
}

fn read(text: &str) -> Type {
    if let Some(inner) = text.strip_prefix('[') {
        return Type::List(Box::new(read(inner)));
    }
    if let Some(inner) = text.strip_prefix('{') {
        return Type::Map(Box::new(read(inner)));
    }
    if let Some(allowed) = text.strip_prefix('=') {
        let allowed = allowed.split('|').map(str::to_owned).collect();
        return Type::OneOf(Box::new(Type::Text), allowed);
    }
    let plain = PLAIN.iter().find(|(name, _)| *name == text);
    plain.map_or_else(|| Type::Named(text.to_owned()), |(_, kind)| kind.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(kind: &'a Type, found: &mut Vec<&'a str>) {
        match kind {
            Type::List(inner) | Type::Map(inner) => names(inner, found),
            Type::Named(name) => found.push(name),
            _ => {}
        }
    }

    #[test]
    fn every_name_in_the_table_has_its_line() {
        let schemas = schemas();
        let mut found = Vec::new();
        let fields = schemas
            .named
            .values()
            .flat_map(|fields| fields.known.values().map(|field| &field.kind));
        fields
            .chain(schemas.kinds.values())
            .for_each(|kind| names(kind, &mut found));
        let missing: Vec<&&str> = found
            .iter()
            .filter(|name| !schemas.named.contains_key(**name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        let key = |version: &str, kind: &str| (version.to_owned(), kind.to_owned());
        for (version, kind) in [
            ("v1", "Secret"),
            ("apps/v1", "Deployment"),
            ("networking.k8s.io/v1", "Ingress"),
        ] {
            assert!(schemas.kinds.contains_key(&key(version, kind)), "{kind}");
        }
    }

    #[test]
    fn what_must_be_there_and_what_is_allowed_is_read() {
        let schemas = schemas();
        let field = |mapping: &str, field: &str| schemas.named[mapping].known[field].clone();
        let containers = field("core.v1.PodSpec", "containers");
        assert!(containers.is_required && matches!(containers.kind, Type::List(_)));
        assert!(!field("core.v1.PodSpec", "volumes").is_required);
        let Type::OneOf(text, allowed) = field("core.v1.ServiceSpec", "type").kind else {
            panic!("the types of a Service are known");
        };
        assert_eq!(*text, Type::Text);
        let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        assert_eq!(allowed, known);
    }
}
