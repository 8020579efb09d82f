//! `weir build --why KIND/NAME[:FIELD]`: where the fields of an object got their values.

use anstream::print;
use clap::ValueEnum;
use overlay::history::{Answer, Cause, Change, Field, ObjectHistory, PathPart};
use overlay::yaml::{Node, Secrets, to_json};
use overlay::{Build, Place};
use serde_json::{Map, Value, json};

use crate::cli::output::{Format, print_values};
use crate::cli::{Failure, table};

/// The longest value in a column.
const WIDTH: usize = 60;

/// Prints the history that was asked for.
pub(super) fn print(
    build: &Build,
    wanted: &str,
    namespace: Option<&str>,
    format: Option<&str>,
) -> Result<(), Failure> {
    let format = format.map_or(Ok(Format::Table), parse_format)?;
    let answer = build
        .why(wanted, namespace)
        .map_err(|unanswered| match unanswered.hint {
            Some(hint) => Failure::with_hint(unanswered.message, hint),
            None => Failure::new(unanswered.message),
        })?;
    match (format, &answer.fields[..]) {
        (Format::Json | Format::Yaml, _) => print_values(vec![values(&answer)], format),
        (_, [field]) => print!("{}", one_field(&answer, field)),
        _ => print!("{}", all_fields(&answer)),
    }
    Ok(())
}

fn parse_format(text: &str) -> Result<Format, Failure> {
    match Format::from_str(text, true) {
        Ok(format @ (Format::Table | Format::Json | Format::Yaml)) => Ok(format),
        _ => Err(Failure::with_hint(
            format!("`{text}` is no format for --why"),
            "-o takes table, json or yaml here",
        )),
    }
}

/// Every field with what set it last.
fn all_fields(answer: &Answer<'_>) -> String {
    let rows: Vec<Vec<String>> = answer
        .fields
        .iter()
        .filter_map(|field| {
            let last = field.changes.last()?;
            Some(vec![
                field.path.to_string(),
                shown(last, is_sealed(answer, field)),
                at(last.place.as_ref()),
                last.cause.to_string(),
            ])
        })
        .collect();
    let fields = table::render(&["FIELD", "VALUE", "SET AT", "BY"], &rows);
    format!("{}\n{fields}", headline(answer))
}

/// One field with all that set it, the last one last.
fn one_field(answer: &Answer<'_>, field: &Field) -> String {
    let sealed = is_sealed(answer, field);
    let row = |change: &Change| {
        vec![
            shown(change, sealed),
            at(change.place.as_ref()),
            change.cause.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = field.changes.iter().map(row).collect();
    let changes = table::render(&["VALUE", "SET AT", "BY"], &rows);
    format!("{} {}\n{changes}", answer.object.id, field.path)
}

/// The object, where it comes from, and what changed it.
fn headline(answer: &Answer<'_>) -> String {
    let ObjectHistory { causes, .. } = answer.history;
    let mut text = format!(
        "{} from {}",
        answer.object.id,
        at(Some(&answer.object.origin.place))
    );
    for (number, cause) in causes.iter().enumerate() {
        let act = if number == 0 { "brought in" } else { "changed" };
        text.push_str(&format!("\n  {act} by {cause}"));
    }
    text.push('\n');
    text
}

fn at(place: Option<&Place>) -> String {
    match place {
        Some(Place { file, line: 0, .. }) => file.to_string(),
        Some(Place { file, line, .. }) => format!("{file}:{line}"),
        None => String::new(),
    }
}

/// True for what a Secret holds, encrypted in its file or not.
fn is_sealed(answer: &Answer<'_>, field: &Field) -> bool {
    let id = &answer.object.id;
    let top = match field.path.0.first() {
        Some(PathPart::Key(key)) => key.as_str(),
        _ => "",
    };
    id.group.is_empty() && id.kind == "Secret" && matches!(top, "data" | "stringData")
}

/// A value on one line of bounded length.
fn shown(change: &Change, sealed: bool) -> String {
    if change.value.is_none() {
        return "(removed)".to_owned();
    }
    let text = match value(change.value.as_ref(), sealed) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WIDTH)
        .collect();
    if text.chars().nth(WIDTH).is_some() {
        line.pop();
        line.push('…');
    }
    line.trim_end().to_owned()
}

fn values(answer: &Answer<'_>) -> Value {
    let id = &answer.object.id;
    let causes = |causes: &[Cause]| -> Vec<Value> { causes.iter().map(cause).collect() };
    json!({
        "group": id.group,
        "version": id.version,
        "kind": id.kind,
        "namespace": id.namespace,
        "name": id.name,
        "origin": place(Some(&answer.object.origin.place)),
        "causes": causes(&answer.history.causes),
        "fields": answer.fields.iter().map(|field| json!({
            "field": field.path.to_string(),
            "value": value(field.value(), is_sealed(answer, field)),
            "changes": changes(field, is_sealed(answer, field)),
        })).collect::<Vec<_>>(),
    })
}

fn changes(field: &Field, sealed: bool) -> Vec<Value> {
    let told = |change: &Change| {
        json!({
            "value": value(change.value.as_ref(), sealed),
            "removed": change.value.is_none(),
            "at": place(change.place.as_ref()),
            "by": cause(&change.cause),
        })
    };
    field.changes.iter().map(told).collect()
}

fn cause(cause: &Cause) -> Value {
    json!({ "entry": cause.entry, "at": place(cause.place.as_ref()) })
}

/// A value as JSON; a secret one is `***`.
fn value(node: Option<&Node>, sealed: bool) -> Value {
    match node {
        Some(_) if sealed => json!("***"),
        Some(node) => to_json(node, Secrets::Masked),
        None => Value::Null,
    }
}

fn place(place: Option<&Place>) -> Value {
    let Some(Place { file, line, column }) = place else {
        return Value::Null;
    };
    let mut fields = Map::new();
    fields.insert("file".to_owned(), json!(&**file));
    for (name, number) in [("line", line), ("column", column)] {
        if *number > 0 {
            fields.insert(name.to_owned(), json!(number));
        }
    }
    Value::Object(fields)
}
