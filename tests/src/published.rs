//! What environments publish of themselves, written by hand.

use serde_json::Value;

use crate::repository::Repository;
use crate::signer::Signer;

/// Publishes the state of an environment in a repository of a server, as its controller would: one commit with one file,
/// signed or not.
pub fn publish_state(url: &str, signer: Option<&Signer>, state: &Value) {
    let own = Repository::create(url, None);
    own.write("state.json", state.to_string());
    match signer {
        Some(signer) => drop(signer.commit(&own, "state")),
        None => drop(own.commit("state")),
    }
    let environment = state["environment"].as_str();
    let name = environment.expect("a state says whose it is");
    let spec = format!("HEAD:refs/weir/state/{name}");
    own.git(&["push", "--quiet", "--force", "origin", &spec]);
}
