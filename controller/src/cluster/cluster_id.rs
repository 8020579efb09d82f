//! Which cluster an API server serves, however it is reached: one server has many addresses, and one address (of a
//! proxy before many clusters) leads to many servers.

use super::client::Client;
use super::error::Error;

/// A namespace that every cluster has, and whose unique id no other one has.
const NAMESPACE: &str = "/api/v1/namespaces/kube-system";

/// What tells a cluster from all others; none where the account may not ask.
pub async fn cluster_id(client: &Client) -> Result<Option<String>, Error> {
    match client.get_metadata(NAMESPACE).await {
        Ok(namespace) => Ok(namespace["metadata"]["uid"].as_str().map(str::to_owned)),
        Err(error) if is_final(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_final(error: &Error) -> bool {
    error.is_not_found()
        || error
            .refusal()
            .is_some_and(|refusal| refusal.is_forbidden())
}
