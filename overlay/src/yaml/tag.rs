//! The type of a scalar: by its tag if it has one, by its text if it is plain.

use granit_parser::Tag as EventTag;

use super::number::{Number, parse_number};
use super::problem::ProblemKind;
use super::resolve::resolve;
use super::timestamp::is_timestamp;
use super::{Dialect, Style, Tag};

/// The type of a scalar. Tags that YAML does not define make text.
pub(super) fn scalar_type(
    text: &str,
    style: Style,
    tag: Option<&EventTag>,
    dialect: Dialect,
) -> Result<Tag, ProblemKind> {
    let Some(tag) = tag.filter(|tag| !(is_bare(tag) && dialect == Dialect::Kustomize)) else {
        return Ok(match style {
            Style::Plain => resolve(text, dialect),
            _ => Tag::Str,
        });
    };
    match tag.suffix_in_namespace("tag:yaml.org,2002:") {
        Some(name) => tagged(text, &name, dialect),
        None => Ok(Tag::Str),
    }
}

/// `!` alone: go-yaml v3 reads past it.
fn is_bare(tag: &EventTag) -> bool {
    matches!(tag.parts(), ("", "!") | ("!", ""))
}

fn tagged(text: &str, name: &str, dialect: Dialect) -> Result<Tag, ProblemKind> {
    let wanted = match name {
        "null" => Tag::Null,
        "bool" => Tag::Bool,
        "int" => Tag::Int,
        "float" => Tag::Float,
        "timestamp" => Tag::Timestamp,
        "binary" => return Ok(Tag::Binary),
        _ => return Ok(Tag::Str),
    };
    let is_large = || matches!(parse_number(text), Some(Number::Uint(_)));
    match (wanted, resolve(text, dialect)) {
        (Tag::Float, Tag::Int) if !is_large() => Ok(Tag::Float),
        (Tag::Timestamp, Tag::Str) if is_timestamp(text) => Ok(Tag::Str),
        (wanted, found) if wanted == found => Ok(wanted),
        _ => {
            let (text, tag) = (text.to_owned(), format!("!!{name}"));
            Err(ProblemKind::TagMismatch { text, tag })
        }
    }
}
