//! A forge as far as its pull requests and comments go: it answers in the words of GitHub, GitLab or Gitea, page by
//! page, to those who bring the token.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue, LINK};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

/// The repository.
pub const REPOSITORY: &str = "acme/fleet";
/// The token of the account that Weir has.
pub const TOKEN: &str = "forge-token-0815";
/// That account.
pub const ACCOUNT: &str = "weir-bot";

/// How many entries of a list are given at a time.
const PAGE: usize = 2;

/// Whose words are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GitHub's.
    GitHub,
    /// GitLab's.
    GitLab,
    /// Gitea's.
    Gitea,
}

/// A forge with one repository.
#[derive(Debug)]
pub struct ForgeServer {
    http: Listening,
    desk: Desk,
}

/// A pull request.
#[derive(Clone, Debug, Default)]
pub struct PullRequest {
    /// The branches.
    pub source: String,
    /// Where it is to be merged.
    pub target: String,
    /// The commit of the first.
    pub commit: String,
    /// The repository of the first.
    pub repository: String,
    /// The words.
    pub title: String,
    /// More words.
    pub body: String,
}

/// What people see there.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Open ones, the first has number 1.
    pub requests: Vec<PullRequest>,
    /// Number of the pull request, author and text.
    pub comments: Vec<(usize, String, String)>,
    /// Methods and paths of what was asked.
    pub calls: Vec<String>,
    /// Whether the token may not ask whose it is, as in GitHub's own actions.
    pub is_nobody: bool,
}

#[derive(Clone, Debug)]
struct Desk {
    kind: Kind,
    state: Arc<Mutex<State>>,
}

impl ForgeServer {
    /// Starts a server on a free port.
    pub fn start(kind: Kind) -> ForgeServer {
        let desk = Desk {
            kind,
            state: Arc::default(),
        };
        ForgeServer {
            http: http_server::start(None, desk.clone()),
            desk,
        }
    }

    /// Where its API begins.
    pub fn api(&self) -> String {
        let root = match self.desk.kind {
            Kind::GitHub => "/api/v3",
            Kind::GitLab => "/api/v4",
            Kind::Gitea => "/api/v1",
        };
        format!("http://{}{root}", self.http.address)
    }

    /// What people see there, to read and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.desk.state.lock().unwrap()
    }
}

impl Handler for Desk {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let bearer = format!("Bearer {TOKEN}");
        if parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) != Some(bearer.as_bytes()) {
            let words = json!({ "message": "Bad credentials" });
            return Ok(answer(StatusCode::UNAUTHORIZED, words.to_string()));
        }
        let path = parts.uri.path().to_owned();
        let mut state = self.state.lock().unwrap();
        state.calls.push(format!("{} {path}", parts.method));
        let query = parts.uri.query().unwrap_or_default();
        let (status, given) = self.told(&mut state, &parts.method, &path, query, &body);
        Ok(match (status, given) {
            (StatusCode::OK, Value::Array(all)) => page(&all, query),
            (status, given) => answer(status, given.to_string()),
        })
    }
}

/// One page of a list, and whether another follows.
fn page(all: &[Value], query: &str) -> Response<Body> {
    let number = value(query, "page").and_then(|page| page.parse::<usize>().ok());
    let begin = (number.unwrap_or(1) - 1) * PAGE;
    let end = all.len().min(begin + PAGE);
    let shown: Vec<&Value> = all.iter().take(end).skip(begin).collect();
    let mut page = answer(StatusCode::OK, json!(shown).to_string());
    if end < all.len() {
        let next = HeaderValue::from_static("<http://elsewhere.invalid/?page=2>; rel=\"next\"");
        page.headers_mut().insert(LINK, next);
    }
    page
}

fn value(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found
        .next()
        .map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/"))
}

impl Desk {
    fn told(
        &self,
        state: &mut State,
        method: &Method,
        path: &str,
        query: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let parts: Vec<&str> = path.split('/').skip(3).collect();
        let parts = match (self.kind, parts.as_slice()) {
            (_, ["user"]) => return self.user(state),
            (Kind::GitLab, ["projects", "acme%2Ffleet", rest @ ..]) => rest,
            (Kind::GitHub | Kind::Gitea, ["repos", "acme", "fleet", rest @ ..]) => rest,
            _ => return (StatusCode::NOT_FOUND, json!({ "message": "Not Found" })),
        };
        let number = |text: &str| text.parse::<usize>().unwrap_or_default();
        let update = if self.kind == Kind::GitLab {
            Method::PUT
        } else {
            Method::PATCH
        };
        match (method, parts) {
            (&Method::GET, ["pulls" | "merge_requests"]) => {
                (StatusCode::OK, self.listed(state, query))
            }
            (&Method::POST, ["pulls" | "merge_requests"]) => {
                state.requests.push(self.proposed(body));
                (StatusCode::CREATED, self.shown(state, state.requests.len()))
            }
            (&Method::GET, ["pulls" | "merge_requests", at]) => {
                (StatusCode::OK, self.shown(state, number(at)))
            }
            (method, ["pulls" | "merge_requests", at]) if *method == update => {
                let new = self.proposed(body);
                let request = &mut state.requests[number(at) - 1];
                (request.title, request.body) = (new.title, new.body);
                (StatusCode::OK, self.shown(state, number(at)))
            }
            (&Method::GET, ["issues" | "merge_requests", at, "comments" | "notes"]) => {
                (StatusCode::OK, self.comments(state, number(at)))
            }
            (&Method::POST, ["issues" | "merge_requests", at, "comments" | "notes"]) => {
                let text = body["body"].as_str().unwrap_or_default().to_owned();
                state.comments.push((number(at), ACCOUNT.to_owned(), text));
                (StatusCode::CREATED, json!({ "id": state.comments.len() }))
            }
            (method, ["issues", "comments", id] | ["merge_requests", _, "notes", id])
                if *method == update =>
            {
                self.change(state, number(id), body)
            }
            _ => (StatusCode::NOT_FOUND, json!({ "message": "Not Found" })),
        }
    }

    fn user(&self, state: &State) -> (StatusCode, Value) {
        if state.is_nobody {
            let words = json!({ "message": "Resource not accessible by integration" });
            return (StatusCode::FORBIDDEN, words);
        }
        let name = if self.kind == Kind::GitLab {
            "username"
        } else {
            "login"
        };
        (StatusCode::OK, json!({ name: ACCOUNT }))
    }

    /// GitHub and GitLab list the pull requests of the branches that are named; Gitea lists all.
    fn listed(&self, state: &State, query: &str) -> Value {
        let asked = |name: &str| value(query, name);
        let is_meant = |request: &PullRequest| match self.kind {
            Kind::Gitea => true,
            Kind::GitHub => {
                let owner = request.repository.split('/').next().unwrap_or_default();
                asked("head") == Some(format!("{owner}:{}", request.source))
                    && asked("base").as_ref() == Some(&request.target)
            }
            Kind::GitLab => {
                asked("source_branch").as_ref() == Some(&request.source)
                    && asked("target_branch").as_ref() == Some(&request.target)
            }
        };
        let all = 1..=state.requests.len();
        let meant = all.filter(|number| is_meant(&state.requests[number - 1]));
        meant.map(|number| self.shown(state, number)).collect()
    }

    fn proposed(&self, body: &Value) -> PullRequest {
        let names = match self.kind {
            Kind::GitLab => ["source_branch", "target_branch", "title", "description"],
            _ => ["head", "base", "title", "body"],
        };
        let [source, target, title, text] =
            names.map(|name| body[name].as_str().unwrap_or_default().to_owned());
        PullRequest {
            source,
            target,
            title,
            body: text,
            commit: "1".repeat(40),
            repository: REPOSITORY.to_owned(),
        }
    }

    fn shown(&self, state: &State, number: usize) -> Value {
        let Some(request) = state.requests.get(number.wrapping_sub(1)) else {
            return Value::Null;
        };
        match self.kind {
            Kind::GitLab => json!({
                "id": 9000 + number, "iid": number, "web_url": format!("https://forge/{number}"),
                "title": request.title, "description": request.body, "sha": request.commit,
                "source_branch": request.source, "target_branch": request.target,
                "source_project_id": if request.repository == REPOSITORY { 7 } else { 8 },
                "target_project_id": 7,
            }),
            _ => json!({
                "id": 9000 + number, "number": number, "html_url": format!("https://forge/{number}"),
                "title": request.title, "body": request.body,
                "head": { "ref": request.source, "sha": request.commit, "repo": { "full_name": request.repository } },
                "base": { "ref": request.target, "repo": { "full_name": REPOSITORY } },
            }),
        }
    }

    fn comments(&self, state: &State, number: usize) -> Value {
        let author = if self.kind == Kind::GitLab {
            "author"
        } else {
            "user"
        };
        let name = if self.kind == Kind::GitLab {
            "username"
        } else {
            "login"
        };
        let all = state.comments.iter().enumerate();
        all.filter(|(_, (of, ..))| *of == number)
            .map(
                |(at, (_, who, text))| json!({ "id": at + 1, "body": text, author: { name: who } }),
            )
            .collect()
    }

    fn change(&self, state: &mut State, id: usize, body: &Value) -> (StatusCode, Value) {
        let comment = &mut state.comments[id - 1];
        if comment.1 != ACCOUNT {
            return (StatusCode::FORBIDDEN, json!({ "message": "not yours" }));
        }
        comment.2 = body["body"].as_str().unwrap_or_default().to_owned();
        (StatusCode::OK, json!({ "id": id }))
    }
}
