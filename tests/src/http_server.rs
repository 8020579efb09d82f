//! A plain HTTP/1.1 server on a free port.

use std::io;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::listening::Listening;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A handler answers a request, or breaks the connection with an error.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = io::Result<Response<Body>>> + Send;
}

/// Serves until the value is dropped.
pub(crate) fn start(tls: Option<TlsAcceptor>, handler: impl Handler) -> Listening {
    Listening::start(move |listener| accept(listener, tls, handler))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, handler: impl Handler) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (tls, handler) = (tls.clone(), handler.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, handler).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, handler).await;
                    }
                }
            }
        });
    }
}

/// Serves one connection. Its errors are the client's business: it sees the connection end.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: impl Handler,
) {
    let service = service_fn(|request| {
        let handler = handler.clone();
        async move { handler.handle(request).await }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An answer with a short text.
pub(crate) fn answer(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
