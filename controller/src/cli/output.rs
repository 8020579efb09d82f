//! How results are printed: `-o table|json|yaml|name`.

use anstream::print;
use clap::ValueEnum;
use serde_json::Value;

/// What `-o` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// YAML documents.
    Yaml,
    /// Names only, one a line.
    Name,
}

/// Prints machine-readable values: one JSON list, or YAML documents.
pub(super) fn print_values(values: Vec<Value>, format: Format) {
    if format == Format::Json {
        print!("{:#}\n", Value::Array(values));
    } else {
        let nodes: Vec<_> = values.into_iter().map(overlay::yaml::from_json).collect();
        print!(
            "{}",
            overlay::yaml::write_documents(&nodes.iter().collect::<Vec<_>>())
        );
    }
}
