//! Answers without managed fields, as servers give them that keep none.

use std::io;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Request, Response};
use serde_json::Value;

use crate::http_server::Body;

/// The same request, answered with nothing packed.
pub(super) fn plain(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    request.headers_mut().remove(ACCEPT_ENCODING);
    request
}

/// The same answer without them. JSON documents come one a line: an answer is one, a watch has one an event.
pub(super) async fn left_out(response: Response<Body>) -> io::Result<Response<Body>> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(TRANSFER_ENCODING);
    let frames = BodyStream::new(body);
    let lines = stream::unfold((frames, Vec::new()), |(mut frames, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let more = rest.split_off(end + 1);
                return Some((Ok(without(&rest)), (frames, more)));
            }
            match frames.next().await {
                Some(Ok(frame)) => rest.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Some((Err(error), (frames, rest))),
                None if rest.is_empty() => return None,
                None => return Some((Ok(without(&rest)), (frames, Vec::new()))),
            }
        }
    });
    let body = StreamBody::new(lines.map(|line| line.map(Frame::data)));
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// A document without them; what is no JSON stays as it is.
fn without(line: &[u8]) -> Bytes {
    let Ok(mut document) = serde_json::from_slice(line) else {
        return Bytes::copy_from_slice(line);
    };
    strip(&mut document);
    Bytes::from(format!("{document}\n"))
}

/// Takes them out of an object, of all in a list, and of that in an event.
fn strip(document: &mut Value) {
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(object) = document.get_mut("object") {
        strip(object);
    }
    let items = document.get_mut("items").and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(strip);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_lists_and_events_lose_them() {
        for (line, expected) in [
            (
                r#"{"metadata":{"managedFields":[1],"name":"a"}}"#,
                r#"{"metadata":{"name":"a"}}"#,
            ),
            (
                r#"{"items":[{"metadata":{"managedFields":[]}}]}"#,
                r#"{"items":[{"metadata":{}}]}"#,
            ),
            (
                r#"{"object":{"metadata":{"managedFields":[]}}}"#,
                r#"{"object":{"metadata":{}}}"#,
            ),
        ] {
            assert_eq!(without(line.as_bytes()), format!("{expected}\n"));
        }
        assert_eq!(without(b"no JSON"), "no JSON");
    }
}
