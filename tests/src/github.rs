//! GitHub's answers to an app, as far as they lead to a token: the claim that the app signs is checked.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::http_server::{self, Body, Handler, answer};
use crate::key_service::gcp;
use crate::listening::Listening;

/// The app's ID.
pub const APP: &str = "1234";
/// The ID of its one installation, which is that of a person.
pub const INSTALLATION: &str = "56";
/// The person.
pub const OWNER: &str = "ada";
/// The app's key, made for these tests alone.
pub const PRIVATE_KEY: &str = gcp::PRIVATE_KEY;
/// The token of the installation.
pub const TOKEN: &str = "ghs_installation";

/// A server that knows one app with one installation.
#[derive(Debug)]
pub struct GitHub {
    http: Listening,
    desk: Desk,
}

#[derive(Clone, Debug)]
struct Desk {
    /// When its tokens end.
    until: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl GitHub {
    /// Starts the server on a free port. Its tokens end at this time, as RFC 3339 writes it.
    pub fn start(until: &str) -> GitHub {
        let desk = Desk {
            until: until.to_owned(),
            requests: Arc::default(),
        };
        GitHub {
            http: http_server::start(None, desk.clone()),
            desk,
        }
    }

    /// The address of its API.
    pub fn url(&self) -> String {
        format!("http://{}/api/v3", self.http.address)
    }

    /// What was asked so far, as method and path.
    pub fn requests(&self) -> Vec<String> {
        self.desk.requests.lock().unwrap().clone()
    }
}

impl Handler for Desk {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = format!("{} {}", request.method(), request.uri().path());
        self.requests.lock().unwrap().push(line);
        if !is_from_app(&request) {
            return Ok(answer(StatusCode::UNAUTHORIZED, "who are you?\n"));
        }
        let token = format!("/api/v3/app/installations/{INSTALLATION}/access_tokens");
        let of_person = format!("/api/v3/users/{OWNER}/installation");
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::POST, path) if path == token => {
                let issued = json!({ "token": TOKEN, "expires_at": self.until });
                (StatusCode::CREATED, issued.to_string())
            }
            (&Method::GET, path) if path == of_person => {
                let id: u64 = INSTALLATION.parse().expect("a number");
                (StatusCode::OK, json!({ "id": id }).to_string())
            }
            _ => (StatusCode::NOT_FOUND, "{}".to_owned()),
        };
        Ok(answer(status, text))
    }
}

fn is_from_app(request: &Request<Incoming>) -> bool {
    let claim = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let claim = claim.and_then(|value| value.strip_prefix("Bearer "));
    let Some((head, claims)) = claim.and_then(gcp::signed) else {
        return false;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    let now = i64::try_from(now.as_secs()).expect("not so late");
    let (from, until) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    // GitHub refuses claims of more than ten minutes, and those from the future.
    let timely = from
        .zip(until)
        .is_some_and(|(from, until)| from <= now && now < until && until - from <= 600);
    head["alg"] == "RS256" && claims["iss"] == APP && timely
}
