//! Calls of Receivers for the target: who is heard has proved that it may be, and is heard once.
//!
//! An input has three lines, headers, an empty line and a body:
//!
//! ```text
//! github            the kind of caller
//!                   the path; the right one when the line is empty
//! signed long       `signed`: the right proof comes along; `long`: the body is more than a body may be
//! X-GitHub-Event: push
//!
//! {}
//! ```

#[path = "../../src/web/receiver.rs"]
pub mod receiver;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hmac::{Hmac, Mac};
use receiver::{Hook, Hooks, is_known, path, router};
use sha1::Sha1;
use sha2::Sha256;
use tokio::sync::mpsc;
use tower::ServiceExt;
use zeroize::Zeroizing;

const TOKEN: &[u8] = b"a token that no input has by chance";

/// More than a body may be.
const LONG: usize = 1024 * 1024 + 1;

/// Kinds of callers: the header of their proof, and whether the path and a proof are all that it takes.
const KINDS: [(&str, Option<&str>, bool); 10] = [
    ("generic", None, true),
    ("generic-hmac", Some("x-signature"), true),
    ("github", Some("x-hub-signature-256"), false),
    ("gitlab", Some("x-gitlab-token"), false),
    ("bitbucket", Some("x-hub-signature"), false),
    ("harbor", Some("authorization"), true),
    ("dockerhub", None, false),
    ("quay", None, false),
    ("nexus", Some("x-nexus-webhook-signature"), false),
    ("acr", None, false),
];

/// What an input says.
struct Call<'a> {
    kind: &'a str,
    path: &'a str,
    is_signed: bool,
    is_long: bool,
    headers: Vec<(&'a str, &'a [u8])>,
    body: Vec<u8>,
}

/// Makes one call.
pub fn call(input: &[u8]) {
    let Some(call) = Call::read(input) else {
        return;
    };
    assert!(is_known(call.kind));
    let known = path(TOKEN, "name", "ns");
    let Some(request) = call.request(&known) else {
        return;
    };
    let (status, heard) = answered(call.kind, &known, request);
    assert_eq!(heard, usize::from(status == StatusCode::OK), "heard once, or not at all");
    let (_, proof, is_all) = kind(call.kind).expect("a known kind");
    let is_there = call.path.is_empty();
    if call.is_long {
        assert_eq!(heard, 0, "{status}");
    } else if !is_there {
        // A path that is no text is not even looked for.
        let not_there = [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
        assert!(not_there.contains(&status), "{status}");
    } else if call.is_signed && is_all {
        assert_eq!(status, StatusCode::OK);
    } else if !call.is_signed && proof.is_some() {
        assert_eq!(status, StatusCode::BAD_REQUEST, "nobody guesses a token");
    }
}

fn kind(name: &str) -> Option<(&'static str, Option<&'static str>, bool)> {
    KINDS.into_iter().find(|(known, _, _)| *known == name)
}

impl<'a> Call<'a> {
    fn read(input: &'a [u8]) -> Option<Self> {
        let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
            Some(at) => (&input[..at], &input[at + 2..]),
            None => (input, &[][..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).ok();
        let (name, path, words) = (text()?, text()?, text()?);
        let headers = lines.filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, line[at + 1..].trim_ascii()))
        });
        let says = |word| words.split(' ').any(|said| said == word);
        let mut body = body.to_vec();
        if says("long") {
            body.resize(LONG, b' ');
        }
        Some(Self {
            kind: kind(name)?.0,
            path,
            is_signed: says("signed"),
            is_long: says("long"),
            headers: headers.collect(),
            body,
        })
    }

    /// The request; none when HTTP has no such.
    fn request(&self, known: &str) -> Option<Request<Body>> {
        let path = if self.path.is_empty() { known } else { self.path };
        let mut request = Request::post(path);
        // The first header of a name counts.
        if let Some(header) = kind(self.kind)?.1.filter(|_| self.is_signed) {
            request = request.header(header, self.proof());
        }
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(self.body.clone())).ok()
    }

    fn proof(&self) -> Vec<u8> {
        let body = &self.body;
        match self.kind {
            "gitlab" | "harbor" => TOKEN.to_vec(),
            "nexus" => {
                let mac = Hmac::<Sha1>::new_from_slice(TOKEN).expect("keys of any length");
                format!("{:x}", mac.chain_update(body).finalize().into_bytes()).into_bytes()
            }
            _ => {
                let mac = Hmac::<Sha256>::new_from_slice(TOKEN).expect("keys of any length");
                let digits = mac.chain_update(body).finalize().into_bytes();
                format!("sha256={digits:x}").into_bytes()
            }
        }
    }
}

/// What the server of a Receiver answers, and how many calls it tells of.
fn answered(kind: &str, known: &str, request: Request<Body>) -> (StatusCode, usize) {
    let hooks = Arc::new(Hooks::default());
    let hook = Hook {
        receiver: ("ns".to_owned(), "name".to_owned()),
        kind: kind.to_owned(),
        events: vec!["push".to_owned(), "Push Hook".to_owned()],
        token: Zeroizing::new(TOKEN.to_vec()),
        suspended: false,
    };
    hooks.set(&hook.receiver.clone(), Some((known.to_owned(), hook)));
    let (calls, mut heard) = mpsc::channel(2);
    let answer = router(hooks, calls).oneshot(request);
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
    }
    let answer = RUNTIME.with(|runtime| runtime.block_on(answer)).expect("an answer");
    let mut count = 0;
    while let Ok(receiver) = heard.try_recv() {
        assert_eq!(receiver, ("ns".to_owned(), "name".to_owned()));
        count += 1;
    }
    (answer.status(), count)
}
