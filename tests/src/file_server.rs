//! Files over HTTP, as the storage of another controller serves them: what is put there is there, and nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;

/// A server of files that lie in memory.
#[derive(Debug)]
pub struct FileServer {
    http: Listening,
    files: Files,
}

#[derive(Clone, Debug, Default)]
struct Files(Arc<Mutex<HashMap<String, Bytes>>>);

impl FileServer {
    /// Starts a server without files on a free port.
    pub fn start() -> FileServer {
        let files = Files::default();
        FileServer {
            http: http_server::start(None, files.clone()),
            files,
        }
    }

    /// Puts a file there, or another in its place.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.files
            .0
            .lock()
            .unwrap()
            .insert(path.to_owned(), bytes.into());
    }

    /// The URL of a path, whether anything is there or not.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http.address)
    }
}

impl Handler for Files {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let file = self.0.lock().unwrap().get(request.uri().path()).cloned();
        Ok(match file {
            None => answer(StatusCode::NOT_FOUND, "no such file\n"),
            Some(bytes) => {
                let body = Full::new(bytes).map_err(|never| match never {});
                Response::new(body.boxed_unsync())
            }
        })
    }
}
