//! Whether an account may apply objects of a kind in a namespace: asked of the server once it has refused one, as a
//! refusal of admission is told with the same code and is another matter.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

use super::client::Client;
use super::discovery::Resource;
use super::error::Error;

/// Where reviews are asked for; every account may.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What an apply takes: it makes what is not there.
const VERBS: [&str; 2] = ["patch", "create"];

/// What has been answered so far, by kind and namespace.
#[derive(Default)]
pub(super) struct MayApply {
    known: Mutex<HashMap<(Resource, String), bool>>,
}

impl MayApply {
    /// What is known without asking.
    pub(super) fn recall(&self, resource: &Resource, namespace: &str) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(resource.clone(), namespace.to_owned()))
            .copied()
    }

    /// Asks the server.
    pub(super) async fn ask(
        &self,
        client: &Client,
        resource: &Resource,
        namespace: &str,
    ) -> Result<bool, Error> {
        let mut may = true;
        for verb in VERBS {
            may &= review(client, resource, namespace, verb).await?;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((resource.clone(), namespace.to_owned()), may);
        Ok(may)
    }
}

async fn review(
    client: &Client,
    resource: &Resource,
    namespace: &str,
    verb: &str,
) -> Result<bool, Error> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": verb, "group": resource.group, "version": resource.version,
            "resource": resource.plural, "namespace": namespace,
        } },
    });
    let headers = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    let body = review.to_string().into_bytes();
    let answer = client
        .send(Method::POST, REVIEWS.to_owned(), &headers, body)
        .await?;
    let answer: Value =
        serde_json::from_slice(answer.body()).map_err(|source| Error::Unreadable {
            request: REVIEWS.to_owned(),
            source,
        })?;
    Ok(answer["status"]["allowed"] == true)
}
