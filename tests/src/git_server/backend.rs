//! The bridge between an HTTP request and `git http-backend`, which speaks CGI.

use std::io;
use std::path::Path;
use std::process::Stdio;

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::http_server::Body;
use crate::repository::isolated;

/// What a CGI head ends with.
const END: &[u8] = b"\r\n\r\n";

/// As many bytes of an answer as travel together.
const CHUNK: usize = 64 * 1024;

/// Answers one request with what the program says.
pub(super) async fn run(root: &Path, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let mut command = Command::from(isolated());
    command.arg("http-backend").kill_on_drop(true);
    command
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1");
    describe(&mut command, &request);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = command.spawn()?;
    let input = process.stdin.take().expect("standard input is a pipe");
    // Beside the reading, as either pipe may fill up; a program that has heard enough stops listening.
    tokio::spawn(tell(request.into_body(), input));
    let mut output = process.stdout.take().expect("standard output is a pipe");
    let mut head = Vec::new();
    while !head.ends_with(END) {
        match output.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => {
                return Err(io::Error::other(
                    "git http-backend answered without headers",
                ));
            }
        }
    }
    parse(&head, process, output)
}

/// Hands the body of a request to the program, as it comes. Nothing of it is kept: it may be a large push.
async fn tell(mut body: Incoming, mut input: ChildStdin) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data()
            && input.write_all(&data).await.is_err()
        {
            return;
        }
    }
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
        // Without a length the program reads to the end.
        (CONTENT_LENGTH, "CONTENT_LENGTH"),
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

/// The rest of what the program says, as it comes.
fn rest(process: Child, output: ChildStdout) -> Body {
    let frames = stream::unfold((process, output), |(mut process, mut output)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        match output.read_buf(&mut chunk).await {
            Ok(0) => {
                let _ = process.wait().await;
                None
            }
            Ok(_) => Some((Ok(Frame::data(Bytes::from(chunk))), (process, output))),
            Err(error) => Some((Err(error.into()), (process, output))),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Reads the head of a CGI answer; the body follows it.
fn parse(head: &[u8], process: Child, output: ChildStdout) -> io::Result<Response<Body>> {
    let mut response = Response::new(rest(process, output));
    for line in String::from_utf8_lossy(head).lines() {
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
