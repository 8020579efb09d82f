//! A registry that lists referrers, as most do by now: what it says is another registry's, but for the lists.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::http_client::ask;
use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

/// The header with the digest of a manifest.
const DIGEST: &str = "docker-content-digest";

/// A server in front of a registry.
#[derive(Debug)]
pub struct ReferrersFront {
    http: Listening,
}

#[derive(Clone)]
struct Front {
    registry: String,
    referrers: Arc<Value>,
}

impl ReferrersFront {
    /// Answers every question for referrers with this list, and all others as the registry at an address does.
    pub fn start(registry: &str, referrers: Value) -> ReferrersFront {
        let front = Front {
            registry: registry.to_owned(),
            referrers: Arc::new(referrers),
        };
        ReferrersFront {
            http: http_server::start(None, front),
        }
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.http.address)
    }
}

impl Handler for Front {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let path = request.uri().path();
        if path.contains("/referrers/") {
            return Ok(answer(StatusCode::OK, self.referrers.to_string()));
        }
        let accept = request.headers().get(ACCEPT);
        let accept = accept
            .and_then(|value| value.to_str().ok())
            .unwrap_or("*/*");
        let asked = (request.method().as_str(), path);
        let said = ask(&self.registry, asked, &[("Accept", accept)], b"", DIGEST).await;
        let (status, digest, body) = said.map_err(io::Error::other)?;
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        let mut response = answer(status, body);
        if let Some(digest) = digest.and_then(|digest| HeaderValue::try_from(digest).ok()) {
            let name = HeaderName::from_static(DIGEST);
            response.headers_mut().insert(name, digest);
        }
        Ok(response)
    }
}
