//! The bridge between an HTTP request and `git http-backend`, which speaks CGI.

use std::io;
use std::path::Path;
use std::process::Stdio;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::http_server::Body;
use crate::repository::isolated;

/// Answers one request with what the program says.
pub(super) async fn run(root: &Path, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let mut command = Command::from(isolated());
    command.arg("http-backend").kill_on_drop(true);
    command
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1");
    describe(&mut command, &request);
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    command.env("CONTENT_LENGTH", body.len().to_string());

    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = command.spawn()?;
    let mut input = process.stdin.take().expect("standard input is a pipe");
    // Beside the reading, as either pipe may fill up; a program that has heard enough stops listening.
    let writing = async move { input.write_all(&body).await };
    let (_, output) = tokio::join!(writing, process.wait_with_output());
    parse(output?.stdout)
}

/// Sets the variables that CGI describes a request with.
fn describe(command: &mut Command, request: &Request<Incoming>) {
    command.env("REQUEST_METHOD", request.method().as_str());
    command.env("PATH_INFO", request.uri().path());
    command.env("QUERY_STRING", request.uri().query().unwrap_or_default());
    command.env("REMOTE_ADDR", "127.0.0.1");
    // Without a user the program refuses pushes; who may come in was decided before.
    command.env("REMOTE_USER", "user");
    let protocol = HeaderName::from_static("git-protocol");
    for (header, variable) in [
        (CONTENT_TYPE, "CONTENT_TYPE"),
        (CONTENT_ENCODING, "HTTP_CONTENT_ENCODING"),
        (protocol, "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request
            .headers()
            .get(header)
            .and_then(|value| value.to_str().ok())
        {
            command.env(variable, value);
        }
    }
}

/// Reads a CGI answer: header lines, an empty line, the body.
fn parse(output: Vec<u8>) -> io::Result<Response<Body>> {
    let separator = b"\r\n\r\n";
    let end = output
        .windows(separator.len())
        .position(|window| window == separator)
        .ok_or_else(|| io::Error::other("git http-backend answered without headers"))?;
    let body = Bytes::copy_from_slice(&output[end + separator.len()..]);
    let mut response = Response::new(
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() =
                StatusCode::from_bytes(code.as_bytes()).map_err(io::Error::other)?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
