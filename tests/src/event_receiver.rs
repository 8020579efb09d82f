//! What stands where notification-controller does: it takes events and keeps them for the test to look at.

use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

/// A server that takes events.
#[derive(Debug)]
pub struct EventReceiver {
    http: Listening,
    events: Events,
}

#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<Value>>>);

impl EventReceiver {
    /// Starts on a free port.
    pub fn start() -> EventReceiver {
        let events = Events::default();
        let http = http_server::start(None, events.clone());
        EventReceiver { http, events }
    }

    /// The address to post to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.http.address)
    }

    /// All events that came so far, in order.
    pub fn events(&self) -> Vec<Value> {
        self.events.0.lock().unwrap().clone()
    }
}

impl Handler for Events {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        let event = serde_json::from_slice(&body.to_bytes())?;
        self.0.lock().unwrap().push(event);
        Ok(answer(StatusCode::ACCEPTED, ""))
    }
}
