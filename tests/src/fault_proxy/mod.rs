//! A proxy before the API server that passes everything on until it is told to break something.
//!
//! A client talks plain HTTP to it, with the kubeconfig that it writes; it talks TLS to the server.
//! Faults are rules: which requests, which ones in the row of these, and what happens to them.

mod held;
mod managed_fields;
mod rules;
mod upstream;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::ControlPlane;
use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

pub use held::Held;
use held::Verdict;
pub use rules::Fault;
use rules::{Act, Rule};
use upstream::Upstream;

/// A proxy for one user of a control plane.
#[derive(Debug)]
pub struct FaultProxy {
    _http: Listening,
    road: Road,
    folder: TempDir,
}

/// What a request is chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query; empty if there is none.
    pub query: String,
}

impl RequestLine {
    /// Whether the request changes something: not a read, and not a dry-run.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
            && self.method != Method::HEAD
            && !self.query.contains("dryRun=All")
    }
}

impl FaultProxy {
    /// Starts a proxy on a free port. Requests keep the token that they come with.
    pub fn start(control_plane: &ControlPlane, user: &str) -> FaultProxy {
        let road = Road {
            upstream: Upstream::new(control_plane),
            rules: Arc::default(),
            passed: Arc::default(),
        };
        let http = http_server::start(None, road.clone());
        let folder = tempfile::tempdir().expect("create a folder for a kubeconfig");
        let kubeconfig = kubeconfig(&http.address.to_string(), control_plane.token(user));
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).expect("write a kubeconfig");
        FaultProxy {
            _http: http,
            road,
            folder,
        }
    }

    /// A kubeconfig file that leads through the proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The folder with the kubeconfig.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All requests that came so far, in order.
    pub fn requests(&self) -> Vec<RequestLine> {
        let passed = self.road.passed.lock().unwrap();
        passed.iter().map(|passed| passed.line.clone()).collect()
    }

    /// Breaks some requests: of those that match from now on, the ones whose number (from 0) is
    /// in the range. The first rule that has something to say decides.
    pub fn inject(
        &self,
        fault: Fault,
        matches: impl Fn(&RequestLine) -> bool + Send + 'static,
        which: Range<usize>,
    ) {
        self.road.add(Rule::new(matches, which, Act::Fault(fault)));
    }

    /// Holds the n-th (from 0) of the requests that match from now on. The future ends when the
    /// request is there; it goes no further until the test says so.
    pub fn hold(
        &self,
        matches: impl Fn(&RequestLine) -> bool + Send + 'static,
        n: usize,
    ) -> oneshot::Receiver<Held> {
        let (caught, arrival) = oneshot::channel();
        self.road
            .add(Rule::new(matches, n..n + 1, Act::Hold(Some(caught))));
        arrival
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.road.rules.lock().unwrap().clear();
    }
}

impl Drop for FaultProxy {
    /// Shows in a failing test what came last.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let passed = self.road.passed.lock().unwrap();
            eprintln!("--- the last requests at the proxy");
            for Passed { line, status } in &passed[passed.len().saturating_sub(SHOWN)..] {
                let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
                eprintln!("{} {}?{}: {answer}", line.method, line.path, line.query);
            }
        }
    }
}

/// How many requests a failing test shows.
const SHOWN: usize = 40;

/// The part of the proxy that handles requests.
#[derive(Clone, Debug)]
struct Road {
    upstream: Upstream,
    rules: Arc<Mutex<Vec<Rule>>>,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// A request that came, and what it was answered; nothing yet, or no more because its sender has gone.
#[derive(Debug)]
struct Passed {
    line: RequestLine,
    status: Option<StatusCode>,
}

impl Handler for Road {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = RequestLine {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        };
        let number = self.note(&line);
        // The whole body first: what is held must be complete when its sender is killed.
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let request = Request::from_parts(parts, Full::new(body));
        let response = match self.verdict(&line) {
            None => self.upstream.send(request).await,
            Some(Act::Fault(fault)) => self.suffer(fault, request).await,
            Some(Act::Hold(caught)) => self.wait(caught, line, request).await,
        };
        self.passed.lock().unwrap()[number].status = response.as_ref().ok().map(Response::status);
        response
    }
}

impl Road {
    /// Notes a request; gives its number.
    fn note(&self, line: &RequestLine) -> usize {
        let mut passed = self.passed.lock().unwrap();
        passed.push(Passed {
            line: line.clone(),
            status: None,
        });
        passed.len() - 1
    }

    fn add(&self, rule: Rule) {
        self.rules.lock().unwrap().push(rule);
    }

    /// What the rules say about a request. Each rule sees, and counts, each request.
    fn verdict(&self, line: &RequestLine) -> Option<Act> {
        let mut rules = self.rules.lock().unwrap();
        let acts: Vec<Act> = rules
            .iter_mut()
            .filter_map(|rule| rule.apply(line))
            .collect();
        acts.into_iter().next()
    }

    async fn suffer(
        &self,
        fault: Fault,
        request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Body>> {
        match fault {
            Fault::Cut => Err(io::Error::other("cut")),
            Fault::Answer(status) => Ok(answer(status, rules::status(status))),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.upstream.send(request).await
            }
            Fault::NoManagedFields => {
                managed_fields::left_out(self.upstream.send(managed_fields::plain(request)).await?)
                    .await
            }
            Fault::Break(time) => Ok(broken_after(time, self.upstream.send(request).await?)),
            Fault::Twice => {
                let first = self.upstream.send(request.clone()).await?;
                first
                    .into_body()
                    .collect()
                    .await
                    .map_err(io::Error::other)?;
                self.upstream.send(request).await
            }
        }
    }

    /// Waits for the test's decision in a task of its own, which goes on when the sender is gone.
    async fn wait(
        &self,
        caught: Option<oneshot::Sender<Held>>,
        line: RequestLine,
        request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Body>> {
        let (held, decision) = Held::new(line);
        let Some(Ok(())) = caught.map(|caught| caught.send(held)) else {
            return self.upstream.send(request).await;
        };
        let upstream = self.upstream.clone();
        let task = tokio::spawn(async move {
            match decision.await {
                Ok(Verdict::Forward(done)) => {
                    let response = upstream.send(request).await;
                    let _ = done.send(response.as_ref().ok().map(Response::status));
                    response
                }
                Ok(Verdict::Answer(status)) => Ok(answer(status, rules::status(status))),
                Ok(Verdict::Drop) | Err(_) => Err(io::Error::other("dropped")),
            }
        });
        task.await.map_err(io::Error::other)?
    }
}

/// The same answer, whose body ends in an error after a while.
fn broken_after(time: Duration, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        let broken = stream::once(async { Err("broken off".into()) });
        let frames = BodyStream::new(body).take_until(tokio::time::sleep(time));
        StreamBody::new(frames.chain(broken)).boxed_unsync()
    })
}

fn kubeconfig(address: &str, token: &str) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "proxy", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "user" } }],
        "current-context": "proxy",
    })
    .to_string()
}
