//! Waits, by watch, until definitions are established and namespaces active: the next stage builds on them.

use std::collections::HashMap;
use std::time::Duration;

use futures::{Stream, TryStreamExt as _};
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;

use super::client::Client;
use super::discovery::Resource;
use super::error::{Error, Refusal};
use super::owner::Owner;
use super::plan::Step;
use super::transport::innermost;

/// As long as Flux waits.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an object says of itself.
#[derive(Debug, PartialEq, Eq)]
enum State {
    InForce,
    Coming,
    Refused(String),
}

/// Waits for objects, given with the answer to their apply; gives back those that did not come into force.
pub(super) async fn await_all(
    client: &Client,
    owner: &Owner,
    written: Vec<(Step, Value)>,
) -> Vec<(Step, Error)> {
    let mut errors = Vec::new();
    let mut coming: HashMap<Resource, Vec<Step>> = HashMap::new();
    for (step, answer) in written {
        match (state(&answer), step.resource.clone()) {
            (State::Coming, Some(resource)) => coming.entry(resource).or_default().push(step),
            (State::Refused(message), _) => errors.push((step, refused(message))),
            _ => {}
        }
    }
    for (resource, steps) in coming {
        errors.extend(await_kind(client, owner, &resource, steps).await);
    }
    errors
}

fn refused(message: String) -> Error {
    Error::Refused(Refusal {
        message,
        ..Refusal::default()
    })
}

async fn await_kind(
    client: &Client,
    owner: &Owner,
    resource: &Resource,
    steps: Vec<Step>,
) -> Vec<(Step, Error)> {
    let mut waiting: HashMap<String, Step> = steps
        .into_iter()
        .map(|step| (step.id.name.clone(), step))
        .collect();
    let mut errors = Vec::new();
    let api: Api<DynamicObject> = Api::all_with(client.kube(), &resource.api_resource());
    let config = watcher::Config::default().labels(&owner.selector());
    let watching = watch(watcher(api, config), &mut waiting, &mut errors);
    let late = match tokio::time::timeout(DEADLINE, watching).await {
        Ok(Ok(())) => return errors,
        Ok(Err(error)) => error,
        Err(_) => format!("not in force after {DEADLINE:?}"),
    };
    errors.extend(
        waiting
            .into_values()
            .map(|step| (step, refused(late.clone()))),
    );
    errors
}

/// Follows all objects of the owner, because one watch serves them all.
async fn watch(
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    waiting: &mut HashMap<String, Step>,
    errors: &mut Vec<(Step, Error)>,
) -> Result<(), String> {
    let mut events = std::pin::pin!(events);
    while !waiting.is_empty() {
        let event = events.try_next().await.map_err(|error| innermost(&error))?;
        let Some(Event::Apply(object) | Event::InitApply(object)) = event else {
            continue;
        };
        let name = object.metadata.name.clone().unwrap_or_default();
        match state(&serde_json::to_value(&object).unwrap_or_default()) {
            State::Coming => {}
            State::InForce => {
                waiting.remove(&name);
            }
            State::Refused(message) => {
                errors.extend(waiting.remove(&name).map(|step| (step, refused(message))));
            }
        }
    }
    Ok(())
}

fn state(object: &Value) -> State {
    if object["kind"] == "Namespace" {
        return match object["status"]["phase"].as_str() {
            Some("Active") => State::InForce,
            Some("Terminating") => State::Refused("the namespace is being deleted".to_owned()),
            _ => State::Coming,
        };
    }
    let conditions = object["status"]["conditions"].as_array();
    let is = |kind: &str, status: &str| {
        let conditions = conditions.into_iter().flatten();
        conditions
            .filter(|condition| condition["type"] == kind && condition["status"] == status)
            .map(|condition| condition["message"].as_str().unwrap_or_default().to_owned())
            .next()
    };
    match (is("Established", "True"), is("NamesAccepted", "False")) {
        (_, Some(message)) => State::Refused(format!("its names are not accepted: {message}")),
        (Some(_), None) => State::InForce,
        (None, None) => State::Coming,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states() {
        let definition = |conditions: Value| json!({"kind": "CustomResourceDefinition", "status": {"conditions": conditions}});
        let table = [
            (
                json!({"kind": "Namespace", "status": {"phase": "Active"}}),
                State::InForce,
            ),
            (json!({"kind": "Namespace"}), State::Coming),
            (definition(json!(null)), State::Coming),
            (
                definition(json!([{"type": "Established", "status": "False"}])),
                State::Coming,
            ),
            (
                definition(json!([{"type": "Established", "status": "True"}])),
                State::InForce,
            ),
            (
                definition(
                    json!([{"type": "NamesAccepted", "status": "False", "message": "taken"}]),
                ),
                State::Refused("its names are not accepted: taken".into()),
            ),
        ];
        for (object, expected) in table {
            assert_eq!(state(&object), expected, "{object}");
        }
    }
}
