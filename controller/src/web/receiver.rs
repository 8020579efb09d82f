//! Calls of Git servers and registries that something is new. Whoever calls can have nothing done but a look at what a
//! Receiver names, as often as it likes.
//!
//! A call is answered in this order: the path, which nobody knows who does not know the token; the size; the proof of who
//! calls, over the bytes as they came; and only then what the bytes say.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc::Sender;
use zeroize::Zeroizing;

/// As many bytes as a call may have.
const LIMIT: usize = 1024 * 1024;

/// How long a caller may take to send them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a kind of caller proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Not at all, but by knowing the path.
    None,
    /// A header with `<hash>=<HMAC of the body>`; the first of these headers that is there counts.
    Signature(&'static [&'static str]),
    /// A header with the HMAC-SHA1 of the body.
    PlainSha1(&'static str),
    /// A header with the token.
    Token(&'static str),
}

/// A kind of caller: its name, its proof, the header that names the event, and a field that its calls must have.
struct Caller {
    name: &'static str,
    proof: Proof,
    event: Option<&'static str>,
    field: Option<&'static str>,
}

const fn caller(
    name: &'static str,
    proof: Proof,
    event: Option<&'static str>,
    field: Option<&'static str>,
) -> Caller {
    Caller {
        name,
        proof,
        event,
        field,
    }
}

/// Gitea and Forgejo call as GitHub does.
const GITHUB: Proof = Proof::Signature(&["x-hub-signature-256", "x-hub-signature"]);

const CALLERS: [Caller; 10] = [
    caller("generic", Proof::None, None, None),
    caller(
        "generic-hmac",
        Proof::Signature(&["x-signature"]),
        None,
        None,
    ),
    caller("github", GITHUB, Some("x-github-event"), None),
    caller(
        "gitlab",
        Proof::Token("x-gitlab-token"),
        Some("x-gitlab-event"),
        None,
    ),
    caller(
        "bitbucket",
        Proof::Signature(&["x-hub-signature"]),
        Some("x-event-key"),
        None,
    ),
    caller("harbor", Proof::Token("authorization"), None, None),
    caller("dockerhub", Proof::None, None, Some("/repository/repo_url")),
    caller("quay", Proof::None, None, Some("/docker_url")),
    caller(
        "nexus",
        Proof::PlainSha1("x-nexus-webhook-signature"),
        None,
        Some("/action"),
    ),
    caller("acr", Proof::None, None, Some("/action")),
];

/// Whether calls of a kind can be checked.
pub fn is_known(kind: &str) -> bool {
    CALLERS.iter().any(|caller| caller.name == kind)
}

/// The path of a Receiver.
pub fn path(token: &[u8], name: &str, namespace: &str) -> String {
    let parts = [token, name.as_bytes(), namespace.as_bytes()].concat();
    let parts = Zeroizing::new(parts);
    format!("/hook/{:x}", Sha256::digest(&*parts))
}

/// What one Receiver waits for.
#[derive(Clone)]
pub struct Hook {
    /// Namespace and name of the Receiver.
    pub receiver: (String, String),
    /// Who calls: `spec.type`.
    pub kind: String,
    /// Events that count; all when empty.
    pub events: Vec<String>,
    /// What callers prove that they know.
    pub token: Zeroizing<Vec<u8>>,
    /// Calls are answered later.
    pub suspended: bool,
}

/// What is waited for, by path.
#[derive(Default)]
pub struct Hooks(RwLock<HashMap<String, Arc<Hook>>>);

impl Hooks {
    /// Waits for calls of a Receiver, under this path and no other; under none without one.
    pub fn set(&self, receiver: &(String, String), hook: Option<(String, Hook)>) {
        let mut hooks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        hooks.retain(|_, old| old.receiver != *receiver);
        if let Some((path, hook)) = hook {
            hooks.insert(path, Arc::new(hook));
        }
    }

    fn get(&self, path: &str) -> Option<Arc<Hook>> {
        let hooks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        hooks.get(path).cloned()
    }
}

/// What the server needs: whom it waits for, and where it tells that somebody has called.
#[derive(Clone)]
struct Desk {
    hooks: Arc<Hooks>,
    calls: Sender<(String, String)>,
}

/// The server of all Receivers.
pub fn router(hooks: Arc<Hooks>, calls: Sender<(String, String)>) -> Router {
    Router::new()
        .route("/hook/{digest}", post(answer))
        .with_state(Desk { hooks, calls })
}

async fn answer(
    State(desk): State<Desk>,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Some(hook) = desk.hooks.get(&format!("/hook/{digest}")) else {
        return StatusCode::NOT_FOUND;
    };
    if hook.suspended {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body = match tokio::time::timeout(PATIENCE, to_bytes(body, LIMIT)).await {
        Err(_) => return StatusCode::REQUEST_TIMEOUT,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
        Ok(Ok(body)) => body,
    };
    let (namespace, name) = hook.receiver.clone();
    if let Err(problem) = check(&hook, &headers, &body) {
        tracing::warn!(
            controllerKind = "Receiver",
            name,
            namespace,
            problem,
            "call refused"
        );
        return StatusCode::BAD_REQUEST;
    }
    // A full queue means that this Receiver, or another, is called faster than looks are begun.
    match desk.calls.try_send((namespace, name)) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Who calls, and then what is said.
fn check(hook: &Hook, headers: &HeaderMap, body: &Bytes) -> Result<(), &'static str> {
    let caller = CALLERS
        .iter()
        .find(|caller| caller.name == hook.kind)
        .ok_or("calls of this kind are not known")?;
    prove(caller.proof, &hook.token, headers, body)?;
    if let Some(header) = caller.event.filter(|_| !hook.events.is_empty()) {
        let event = text(headers, header).unwrap_or_default();
        let counts = |counted: &String| counted.eq_ignore_ascii_case(event);
        if !hook.events.iter().any(counts) {
            return Err("the event does not count");
        }
    }
    let Some(field) = caller.field else {
        return Ok(());
    };
    let said: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    match said.pointer(field).and_then(|value| value.as_str()) {
        Some(_) => Ok(()),
        None => Err("the body is not that of such a caller"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn prove(proof: Proof, token: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    const WRONG: &str = "the signature is missing or wrong";
    let right = match proof {
        Proof::None => true,
        Proof::Token(header) => headers
            .get(header)
            .is_some_and(|given| bool::from(given.as_bytes().ct_eq(token))),
        Proof::Signature(names) => names
            .iter()
            .find_map(|name| text(headers, name))
            .and_then(|value| value.split_once('='))
            .is_some_and(|(hash, digits)| signs(hash, digits, token, body)),
        Proof::PlainSha1(header) => {
            text(headers, header).is_some_and(|digits| signs("sha1", digits, token, body))
        }
    };
    if right { Ok(()) } else { Err(WRONG) }
}

/// Whether the digits are the HMAC of the body.
fn signs(hash: &str, digits: &str, token: &[u8], body: &[u8]) -> bool {
    let Some(given) = bytes(digits) else {
        return false;
    };
    macro_rules! verify {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(token)
                .is_ok_and(|mac| mac.chain_update(body).verify_slice(&given).is_ok())
        };
    }
    match hash {
        "sha1" => verify!(Sha1),
        "sha256" => verify!(Sha256),
        "sha512" => verify!(Sha512),
        _ => false,
    }
}

/// Bytes from hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16);
    if digits.len() % 2 == 1 {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &[u8] = b"secret-token";

    fn hook(kind: &str, events: &[&str]) -> Hook {
        Hook {
            receiver: ("ns".to_owned(), "name".to_owned()),
            kind: kind.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            token: Zeroizing::new(TOKEN.to_owned()),
            suspended: false,
        }
    }

    fn checked(hook: &Hook, headers: &[(&'static str, String)], body: &str) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        check(hook, &map, &Bytes::copy_from_slice(body.as_bytes())).is_ok()
    }

    fn hmac_256(body: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(TOKEN).expect("any length will do");
        format!(
            "sha256={:x}",
            mac.chain_update(body).finalize().into_bytes()
        )
    }

    fn hmac_1(body: &str) -> String {
        let mac = Hmac::<Sha1>::new_from_slice(TOKEN).expect("any length will do");
        format!("{:x}", mac.chain_update(body).finalize().into_bytes())
    }

    /// What a router answers a call of one kind.
    fn answered(
        kind: &str,
        path: &str,
        headers: &[(String, Vec<u8>)],
        body: Vec<u8>,
    ) -> (StatusCode, usize) {
        let hooks = Arc::new(Hooks::default());
        let known = super::path(TOKEN, "name", "ns");
        let hook = hook(kind, &["push"]);
        hooks.set(&hook.receiver.clone(), Some((known.clone(), hook)));
        let (calls, mut heard) = tokio::sync::mpsc::channel(1);
        let path = if path.is_empty() { &known } else { path };
        let mut request = axum::http::Request::post(path);
        for (name, value) in headers {
            request = request.header(name, value.as_slice());
        }
        let Ok(request) = request.body(Body::from(body)) else {
            return (StatusCode::BAD_REQUEST, 0);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let answer = tower::ServiceExt::oneshot(router(hooks, calls), request);
        let answer = runtime
            .expect("a runtime")
            .block_on(answer)
            .expect("an answer");
        (answer.status(), usize::from(heard.try_recv().is_ok()))
    }

    /// Names of headers that are looked at, and others.
    fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
        let names = [
            "x-signature",
            "x-hub-signature-256",
            "x-hub-signature",
            "x-gitlab-token",
        ];
        let more = [
            "authorization",
            "x-nexus-webhook-signature",
            "x-github-event",
            "x-event-key",
            "a",
        ];
        let names = [&names[..], &more[..]].concat();
        let digits = "(sha1|sha256|sha512|)=?[0-9a-fA-F]{0,70}".prop_map(String::into_bytes);
        let value = prop_oneof![proptest::collection::vec(any::<u8>(), 0..80), digits];
        (
            proptest::sample::select(names).prop_map(str::to_owned),
            value,
        )
    }

    proptest! {
        #[test]
        fn a_stranger_is_heard_by_nobody_whatever_is_sent(
            caller in proptest::sample::select(CALLERS.map(|caller| (caller.name, caller.proof)).to_vec()),
            path in prop_oneof![Just(String::new()), "/hook/[0-9a-f%/.]{0,70}", "/[ -~&&[^ \"<>\\\\^`{|}#?]]{0,40}"],
            headers in proptest::collection::vec(header(), 0..6),
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                Just(br#"{"action":"x","docker_url":"y","repository":{"repo_url":"z"}}"#.to_vec()),
            ],
        ) {
            let (kind, proof) = caller;
            let is_known = path.is_empty();
            let (status, heard) = answered(kind, &path, &headers, body);
            prop_assert_eq!(heard == 1, status == StatusCode::OK);
            if proof != Proof::None || !is_known {
                prop_assert_eq!(heard, 0, "{} {:?}", status, headers);
            }
        }
    }

    #[test]
    fn each_kind_of_caller_has_its_proof() {
        let token = String::from_utf8(TOKEN.to_vec()).expect("text");
        let (body, other) = (
            r#"{"action":"x","docker_url":"y","repository":{"repo_url":"z"}}"#,
            "{}",
        );
        let sha1 = format!("sha1={}", hmac_1(body));
        let cases: [(&str, &'static str, String, Option<String>); 10] = [
            (
                "generic-hmac",
                "x-signature",
                hmac_256(body),
                Some(hmac_256(other)),
            ),
            (
                "generic-hmac",
                "x-signature",
                sha1.clone(),
                Some("sha9=00".to_owned()),
            ),
            (
                "github",
                "x-hub-signature-256",
                hmac_256(body),
                Some(hmac_256(other)),
            ),
            (
                "github",
                "x-hub-signature",
                sha1.clone(),
                Some(hmac_1(body)),
            ),
            (
                "bitbucket",
                "x-hub-signature",
                hmac_256(body),
                Some("sha256=0".to_owned()),
            ),
            (
                "gitlab",
                "x-gitlab-token",
                token.clone(),
                Some("secret-tokeN".to_owned()),
            ),
            (
                "harbor",
                "authorization",
                token.clone(),
                Some(format!("Bearer {token}")),
            ),
            (
                "nexus",
                "x-nexus-webhook-signature",
                hmac_1(body),
                Some(hmac_1(other)),
            ),
            ("generic", "x-nothing", String::new(), None),
            ("dockerhub", "x-nothing", String::new(), None),
        ];
        for (kind, header, right, wrong) in cases {
            let hook = hook(kind, &[]);
            assert!(checked(&hook, &[(header, right)], body), "{kind}");
            if let Some(wrong) = wrong {
                assert!(!checked(&hook, &[(header, wrong)], body), "{kind}");
                assert!(!checked(&hook, &[], body), "{kind} without any");
            }
        }
    }

    #[test]
    fn events_and_bodies_that_do_not_count_are_refused() {
        let hook_of_pushes = hook("github", &["push", "ping"]);
        for (event, counts) in [
            ("push", true),
            ("Ping", true),
            ("issues", false),
            ("", false),
        ] {
            let headers = [
                ("x-hub-signature-256", hmac_256("{}")),
                ("x-github-event", event.to_owned()),
            ];
            assert_eq!(checked(&hook_of_pushes, &headers, "{}"), counts, "{event}");
        }
        for body in ["", "{", "{}", r#"{"docker_url":7}"#] {
            assert!(!checked(&hook("quay", &[]), &[], body), "{body}");
        }
        assert!(!checked(&hook("gcr", &[]), &[], "{}"));
    }

    #[test]
    fn a_path_is_the_digest_of_token_name_and_namespace() {
        let expected = format!("/hook/{:x}", Sha256::digest("tokennamenamespace"));
        assert_eq!(path(b"token", "name", "namespace"), expected);
    }
}
