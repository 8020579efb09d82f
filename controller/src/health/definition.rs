//! CustomResourceDefinition: established; failed when its names are taken.

use serde_json::Value;

use super::Health;
use super::conditions::{condition, explanation, is};

pub(super) fn check(object: &Value) -> Health {
    if let Some(names) =
        condition(object, "NamesAccepted").filter(|names| names["status"] == "False")
    {
        return Health::failed(explanation(names));
    }
    if is(object, "Established", "True") {
        return Health::current("CRD is established");
    }
    match condition(object, "Established") {
        Some(established) if established["reason"] != "Installing" => {
            Health::failed(explanation(established))
        }
        _ => Health::in_progress("Install in progress"),
    }
}
