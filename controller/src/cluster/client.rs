//! Talking to one API server in somebody's name: read, apply, patch, delete, watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use kube::client::Body;
use serde_json::Value;
use zeroize::Zeroizing;

use super::discovery::Discovery;
use super::error::{Cause, Error, Refusal};
use super::fence::Fence;
use super::identity::Identity;
use super::managed_fields::{FIELD_MANAGER, TakenOver, taken_over, taken_over_besides};
use super::traffic::Traffic;
use super::transport::{APPLY, Answer, Call, Limits, Transport};
use super::undeclared::is_untyped;

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_PATCH: HeaderValue = HeaderValue::from_static("application/json-patch+json");
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// Makes ring the process's TLS provider. kube and gix leave the choice open, and rustls panics at the first
/// connection when nobody has chosen; so `main` and every test call this first. Calling it again does nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// One API server. It hands out clients, one an identity; all share its connections and its limits.
#[derive(Clone)]
pub struct Cluster {
    /// Host and port of the API server.
    address: Arc<str>,
    transport: Transport,
    discovery: Arc<Discovery>,
    managers: Arc<[TakenOver]>,
    impersonates: Option<String>,
    clients: Arc<Mutex<HashMap<Identity, Client>>>,
}

/// Speaks to one API server in one name.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    discovery: Arc<Discovery>,
    managers: Arc<[TakenOver]>,
    identity: Identity,
    user: Option<HeaderValue>,
    kube: kube::Client,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// Nothing is written; conflicts are overridden.
    DryRun,
    /// Conflicts are overridden.
    Force,
    /// A conflict is refused with 409.
    Yield,
}

/// The object as a write left it.
#[derive(Clone, Debug)]
pub struct Written {
    /// Whether it was made by this request.
    pub created: bool,
    /// The object.
    pub object: Value,
    /// No later than the server began with it, by its own clock in seconds since 1970; managed fields are dated by
    /// the same clock.
    pub begun: Option<i64>,
    /// The server's warnings.
    pub warnings: Vec<String>,
}

/// What has to be true of an object for its deletion to be carried out.
#[derive(Clone, Debug)]
pub struct Preconditions {
    /// Its unique id.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

impl Cluster {
    /// Prepares the way to an API server; nothing is sent yet.
    pub fn new(config: kube::Config, limits: Limits) -> Result<Self, Error> {
        let address = config.cluster_url.authority().map(ToString::to_string);
        Ok(Self {
            address: address.unwrap_or_default().into(),
            impersonates: config.auth_info.impersonate.clone(),
            transport: Transport::new(config, limits)?,
            discovery: Arc::default(),
            managers: taken_over().into(),
            clients: Arc::default(),
        })
    }

    /// The same cluster, where the fields of more managers are taken over.
    #[must_use]
    pub fn overriding(self, managers: &[String]) -> Self {
        Self {
            managers: taken_over_besides(managers).into(),
            clients: Arc::default(),
            ..self
        }
    }

    /// The same cluster, where nothing is written once these leases are over.
    #[must_use]
    pub fn fenced(self, fence: Fence) -> Self {
        Self {
            transport: self.transport.fenced(fence),
            clients: Arc::default(),
            ..self
        }
    }

    /// Another cluster, for which the same leases and managers count.
    pub fn beside(&self, config: kube::Config, limits: Limits) -> Result<Self, Error> {
        let other = Self::new(config, limits)?;
        let managers = self.managers.clone();
        let transport = other.transport.fenced(self.transport.fence());
        Ok(Self {
            managers,
            transport,
            ..other
        })
    }

    /// Host and port of its API server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was sent to it.
    pub fn traffic(&self) -> &Traffic {
        self.transport.traffic()
    }

    /// How many requests may be in flight now.
    pub fn allowed(&self) -> usize {
        self.transport.allowed()
    }

    /// The client that speaks in somebody's name.
    pub fn client(&self, identity: &Identity) -> Result<Client, Error> {
        let user = identity.impersonated_user()?;
        if let (Some(already), Some(_)) = (&self.impersonates, &user) {
            return Err(Error::ImpersonatesAlready {
                user: already.clone(),
                identity: identity.to_string(),
            });
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(identity) {
            return Ok(client.clone());
        }
        let client = Client::new(self, identity.clone(), user.as_deref());
        clients.insert(identity.clone(), client.clone());
        Ok(client)
    }
}

impl Client {
    fn new(cluster: &Cluster, identity: Identity, user: Option<&str>) -> Self {
        // Checked to be letters, digits, dots, dashes and colons.
        let user = user.and_then(|user| HeaderValue::from_str(user).ok());
        let kube = kube_client(cluster.transport.clone(), user.clone());
        Self {
            transport: cluster.transport.clone(),
            discovery: cluster.discovery.clone(),
            managers: cluster.managers.clone(),
            identity,
            user,
            kube,
        }
    }

    /// In whose name it speaks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same way to the same server in the same name, for kube's typed calls and watches.
    pub fn kube(&self) -> kube::Client {
        self.kube.clone()
    }

    /// The managers whose fields are taken over.
    pub(super) fn taken_over(&self) -> Arc<[TakenOver]> {
        self.managers.clone()
    }

    /// What the server serves, as far as it is known.
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Reads what is at a path.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        read(
            &self
                .send(Method::GET, path.to_owned(), &[], Vec::new())
                .await?,
            path,
        )
    }

    /// Reads the metadata of the object at a path.
    pub async fn get_metadata(&self, path: &str) -> Result<Value, Error> {
        let accept = [(header::ACCEPT, METADATA_ONLY)];
        read(
            &self
                .send(Method::GET, path.to_owned(), &accept, Vec::new())
                .await?,
            path,
        )
    }

    /// Applies an object, given as JSON, at its path; the text is wiped when it was sent.
    pub async fn apply(
        &self,
        path: &str,
        body: Zeroizing<Vec<u8>>,
        mode: ApplyMode,
    ) -> Result<Written, Error> {
        let options = match mode {
            ApplyMode::DryRun => "&force=true&dryRun=All",
            ApplyMode::Force => "&force=true",
            ApplyMode::Yield => "",
        };
        let target = format!("{path}?fieldManager={FIELD_MANAGER}{options}");
        let headers = [(header::CONTENT_TYPE, APPLY)];
        let begin = Instant::now();
        let body = bytes::Bytes::from_owner(body);
        let answer = self.send(Method::PATCH, target, &headers, body).await?;
        Ok(Written {
            created: answer.status() == StatusCode::CREATED,
            begun: begun(&answer, begin.elapsed()),
            warnings: warnings(&answer),
            object: read(&answer, path)?,
        })
    }

    /// Patches the object at a path with JSON patch operations.
    pub async fn json_patch(&self, path: &str, operations: &[Value]) -> Result<Value, Error> {
        let target = format!("{path}?fieldManager={FIELD_MANAGER}");
        let body = Value::from(operations).to_string().into_bytes();
        let headers = [(header::CONTENT_TYPE, JSON_PATCH)];
        read(
            &self.send(Method::PATCH, target, &headers, body).await?,
            path,
        )
    }

    /// Deletes the object at a path if it still is the one that was looked at. Its dependents are deleted after it.
    pub async fn delete(&self, path: &str, preconditions: &Preconditions) -> Result<(), Error> {
        let options = serde_json::json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {
                "uid": preconditions.uid,
                "resourceVersion": preconditions.resource_version,
            },
        });
        let headers = [(header::CONTENT_TYPE, JSON)];
        let body = options.to_string().into_bytes();
        self.send(Method::DELETE, path.to_owned(), &headers, body)
            .await?;
        Ok(())
    }

    /// Sends a request and turns refusals into errors.
    pub(super) async fn send(
        &self,
        method: Method,
        target: String,
        headers: &[(HeaderName, HeaderValue)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, Error> {
        let mut all: HeaderMap = headers.iter().cloned().collect();
        add_user(&mut all, self.user.as_ref());
        let call = Call {
            method,
            target,
            headers: all,
            body: body.into(),
        };
        let answer = self.transport.send(&call).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Error::Refused(refusal(&answer)))
    }
}

fn add_user(headers: &mut HeaderMap, user: Option<&HeaderValue>) {
    if let Some(user) = user {
        headers.insert(IMPERSONATE_USER, user.clone());
    }
}

/// A kube client whose every request takes our road, in one name.
fn kube_client(transport: Transport, user: Option<HeaderValue>) -> kube::Client {
    let namespace = transport.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (transport, user) = (transport.clone(), user.clone());
        async move { forward(&transport, user.as_ref(), request).await }
    });
    kube::Client::new(service, namespace)
}

async fn forward(
    transport: &Transport,
    user: Option<&HeaderValue>,
    request: Request<Body>,
) -> Result<http::Response<Body>, tower::BoxError> {
    let (mut parts, body) = request.into_parts();
    add_user(&mut parts.headers, user);
    if is_stream(parts.uri.query()) {
        return Ok(transport.open(Request::from_parts(parts, body)).await?);
    }
    let call = Call {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: body.collect_bytes().await?,
    };
    Ok(transport.send(&call).await?.map(Body::from))
}

fn is_stream(query: Option<&str>) -> bool {
    let streams = |pair: &str| matches!(pair, "watch=true" | "watch=1" | "follow=true");
    query.unwrap_or_default().split('&').any(streams)
}

fn read(answer: &Answer, path: &str) -> Result<Value, Error> {
    serde_json::from_slice(answer.body()).map_err(|source| Error::Unreadable {
        request: path.to_owned(),
        source,
    })
}

/// The server dates its answers to the second, so one more second is taken off besides the time it took.
fn begun(answer: &Answer, took: Duration) -> Option<i64> {
    let date = answer.headers().get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(date)
        .ok()?
        .timestamp()
        .as_second();
    Some(date - 1 - i64::try_from(took.as_secs()).ok()?)
}

/// `299 - "text"`, quotes and backslashes inside escaped (RFC 7234, 5.5).
fn warnings(answer: &Answer) -> Vec<String> {
    let text = |value: &HeaderValue| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        let (_, quoted) = value.split_once('"')?;
        Some(
            quoted
                .strip_suffix('"')?
                .replace("\\\"", "\"")
                .replace("\\\\", "\\"),
        )
    };
    answer
        .headers()
        .get_all(header::WARNING)
        .iter()
        .filter_map(text)
        .collect()
}

fn refusal(answer: &Answer) -> Refusal {
    let code = answer.status().as_u16();
    let Ok(status) = serde_json::from_slice::<kube::core::Status>(answer.body()) else {
        // A proxy, or a server on its way up or down, answers in plain text.
        return Refusal {
            code,
            reason: answer
                .status()
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
            message: format!("the server answered {}", answer.status()),
            causes: Vec::new(),
        };
    };
    let causes = status
        .details
        .map(|details| causes(details.causes))
        .unwrap_or_default();
    if is_untyped(&status.message) {
        // The server calls it an error of its own, but no repetition helps.
        return Refusal {
            code: 422,
            reason: "Invalid".to_owned(),
            message: status.message,
            causes,
        };
    }
    Refusal {
        code,
        reason: status.reason,
        message: status.message,
        causes,
    }
}

fn causes(causes: Vec<kube::core::response::StatusCause>) -> Vec<Cause> {
    let cause = |cause: kube::core::response::StatusCause| Cause {
        reason: cause.reason,
        field: cause.field,
        message: cause.message,
    };
    causes.into_iter().map(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(impersonate: Option<&str>) -> Cluster {
        install_crypto();
        let mut config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        config.auth_info.impersonate = impersonate.map(str::to_owned);
        Cluster::new(config, Limits::default()).expect("a plain address")
    }

    fn account(name: &str) -> Identity {
        Identity::ServiceAccount {
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    #[tokio::test]
    async fn no_client_without_a_usable_identity() {
        assert!(cluster(None).client(&account("deployer")).is_ok());
        assert!(matches!(
            cluster(None).client(&account("")),
            Err(Error::Identity(_))
        ));
        let twice = cluster(Some("me")).client(&account("deployer"));
        assert!(matches!(twice, Err(Error::ImpersonatesAlready { .. })));
        assert!(cluster(Some("me")).client(&Identity::Caller).is_ok());
    }

    #[test]
    fn warnings_are_unquoted() {
        let answer = http::Response::builder()
            .header(
                header::WARNING,
                r#"299 - "annotation \"a/b\" is deprecated""#,
            )
            .body(bytes::Bytes::new())
            .expect("valid");
        assert_eq!(warnings(&answer), ["annotation \"a/b\" is deprecated"]);
    }

    #[test]
    fn streams_are_told_by_their_query() {
        for (query, expected) in [
            (None, false),
            (Some("limit=500"), false),
            (Some("&watch=true&timeoutSeconds=290"), true),
            (Some("labelSelector=watch%3Dtrue"), false),
        ] {
            assert_eq!(is_stream(query), expected, "{query:?}");
        }
    }
}
