//! A plain HTTP/1.1 client for what Weir serves.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks `HOST:PORT` for a path; gives the status and the text of the answer, or what went wrong.
pub async fn get(address: &str, path: &str) -> Result<(u16, String), String> {
    let request = Request::get(path)
        .header("Host", address)
        .body(Full::new(Bytes::new()));
    let answer = send(address, request.map_err(|error| error.to_string())?).await?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8(body.to_bytes().into()).map_err(|error| error.to_string())?;
    Ok((status, text))
}

/// Sends a body to a path of `HOST:PORT`; gives the status of the answer, or what went wrong.
pub async fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<u16, String> {
    let mut request = Request::post(path).header("Host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    let answer = send(address, request.map_err(|error| error.to_string())?).await?;
    Ok(answer.status().as_u16())
}

/// Asks `HOST:PORT` anything; gives the status, one header and the body of the answer, or what went wrong.
pub async fn ask(
    address: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
    wanted: &str,
) -> Result<(u16, Option<String>, Bytes), String> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("Host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body)));
    let answer = send(address, request.map_err(|error| error.to_string())?).await?;
    let status = answer.status().as_u16();
    let header = answer
        .headers()
        .get(wanted)
        .and_then(|value| value.to_str().ok());
    let header = header.map(str::to_owned);
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, header, body))
}

async fn send(address: &str, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    answer.map_err(|error| error.to_string())
}
