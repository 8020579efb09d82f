//! Git's smart HTTP over the process's one HTTP client: pooled connections, a deadline, credentials that never
//! leave their host, and the server's capabilities remembered from one look-up to the next.
//!
//! gix asks for a blocking client, so every exchange runs on a blocking thread and waits there for the async one.

use std::any::Any;
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::advertisement::{Advertisement, Advertisements};
use super::client::innermost;
use super::failure::{Failure, Noted};
use super::listing::{Listener, Listing, Question};

/// As many hops as a server may send us on.
const REDIRECTS: usize = 10;

/// Servers without protocol version 2 list all their refs; whoever sends more than this sends rubbish.
const ADVERTISEMENT_LIMIT: usize = 64 * 1024 * 1024;

/// What a request needs besides its address.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) client: reqwest::Client,
    pub(super) runtime: Handle,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) deadline: Instant,
    pub(super) advertisements: Arc<Advertisements>,
    pub(super) listing: Listing,
    pub(super) failure: Noted,
}

/// gix's HTTP backend for one repository.
pub(super) struct GitHttp {
    exchange: Exchange,
    /// Where redirects have led; requests go there from then on.
    redirected: Option<String>,
}

impl GitHttp {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            redirected: None,
        }
    }

    /// The address to ask in place of `url`, which begins with `base`.
    fn effective(&self, url: &str, base: &str) -> String {
        match &self.redirected {
            Some(moved) => format!("{moved}{}", &url[base.len().min(url.len())..]),
            None => url.to_owned(),
        }
    }

    /// Asks for the capabilities, following the server to where it sends us.
    pub(super) fn advertisement(
        &mut self,
        url: &str,
        base: &str,
        headers: HeaderMap,
    ) -> Result<Advertisement, Failure> {
        let tail = url[base.len().min(url.len())..].to_owned();
        let origin = parsed(url)?;
        let mut at = parsed(&self.effective(url, base))?;
        for _ in 0..REDIRECTS {
            let response = self
                .exchange
                .send(Method::GET, &at, &origin, &headers, None)?;
            let Some(next) = redirect(&response, &at, &tail)? else {
                let moved = at.as_str().strip_suffix(&tail).map(str::to_owned);
                self.redirected = moved.filter(|moved| moved != base);
                return self
                    .exchange
                    .read_advertisement(response, self.redirected.clone());
            };
            at = next;
        }
        Err(Failure::Protocol("too many redirects".to_owned()))
    }
}

/// Where a response sends us; `None` when it is the answer. Never from https to http, never to another kind of URL.
fn redirect(response: &Response, at: &Url, tail: &str) -> Result<Option<Url>, Failure> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let next = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| at.join(location).ok())
        .ok_or_else(|| Failure::Protocol("redirect without an address".to_owned()))?;
    let downgraded = at.scheme() == "https" && next.scheme() != "https";
    if downgraded || !matches!(next.scheme(), "http" | "https") || !next.as_str().ends_with(tail) {
        return Err(Failure::Protocol(format!(
            "refused a redirect to {}",
            shown(&next)
        )));
    }
    Ok(Some(next))
}

/// An address without user, password and query.
fn shown(url: &Url) -> String {
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

pub(super) fn parsed(url: &str) -> Result<Url, Failure> {
    Url::parse(url).map_err(|error| Failure::Protocol(format!("invalid address: {error}")))
}

/// Scheme, host and port: credentials stay within.
fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

impl Exchange {
    /// One request, answered with success or a redirect.
    pub(super) fn send(
        &self,
        method: Method,
        url: &Url,
        origin: &Url,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Response, Failure> {
        let mut request = self
            .client
            .request(method, url.clone())
            .headers(headers.clone());
        if let Some(authorization) = self
            .authorization
            .as_ref()
            .filter(|_| same_origin(url, origin))
        {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = self
            .runtime
            .block_on(tokio::time::timeout_at(self.deadline, request.send()))
            .map_err(|_| Failure::Timeout)?
            .map_err(|error| Failure::Network(innermost(&error)))?;
        match response.status() {
            status if status.is_success() || status.is_redirection() => Ok(response),
            StatusCode::UNAUTHORIZED => Err(Failure::Unauthorized),
            StatusCode::FORBIDDEN => Err(Failure::Forbidden),
            StatusCode::NOT_FOUND => Err(Failure::NotFound),
            status => Err(Failure::Status(status.as_u16())),
        }
    }

    /// The body of an answer, as it comes in.
    pub(super) fn body(&self, response: Response) -> Body {
        let mut body = Body::new(self.clone());
        body.response = Some(response);
        body
    }

    fn read_advertisement(
        &self,
        response: Response,
        moved: Option<String>,
    ) -> Result<Advertisement, Failure> {
        let headers = header_lines(response.headers());
        let mut bytes = Vec::new();
        self.body(response)
            .take(ADVERTISEMENT_LIMIT as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::Network(error.to_string()))?;
        Ok(Advertisement {
            headers,
            bytes: bytes.into(),
            moved,
        })
    }
}

/// The headers as gix wants them: one a line.
fn header_lines(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}

fn header_map(headers: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    headers
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.as_ref().split_once(':')?;
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        })
        .filter(|(name, _)| *name != reqwest::header::USER_AGENT)
        .collect()
}

impl Http for GitHttp {
    type Headers = Reply;
    type ResponseBody = Body;
    type PostBody = Posted;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Reply, Body>> {
        let headers = header_map(headers);
        let known = self.exchange.advertisements.get(url);
        let advertisement = match known {
            Some(known) => {
                self.redirected = known.moved.clone();
                known
            }
            None => {
                let fresh = self
                    .advertisement(url, base_url, headers)
                    .map_err(|failure| {
                        gix::Error::from_error(self.exchange.failure.note(failure))
                    })?;
                self.exchange.advertisements.put(url, &fresh);
                fresh
            }
        };
        let mut body = Body::new(self.exchange.clone());
        body.chunk = advertisement.bytes;
        Ok(GetResponse {
            headers: Reply::known(advertisement.headers),
            body,
        })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Reply, Body, Posted>> {
        let request = Arc::new(Mutex::new(Request {
            exchange: self.exchange.clone(),
            url: self.effective(url, base_url),
            origin: url.to_owned(),
            headers: header_map(headers),
            body: Vec::new(),
            response: None,
            known: bytes::Bytes::new(),
            listener: None,
        }));
        let mut body = Body::new(self.exchange.clone());
        body.request = Some(request.clone());
        Ok(PostResponse {
            post_body: Posted(request.clone()),
            headers: Reply::awaited(request),
            body,
        })
    }

    fn configure(&mut self, _: &dyn Any) -> gix::Result {
        Ok(())
    }
}

/// A request whose body is still being written, or whose answer has come.
pub(super) struct Request {
    exchange: Exchange,
    url: String,
    origin: String,
    headers: HeaderMap,
    body: Vec<u8>,
    response: Option<Response>,
    /// The answer, where it is known already.
    known: bytes::Bytes,
    listener: Option<Listener>,
}

impl Request {
    /// Sends the request, unless what it asks was just answered; its headers come back at once, its body stays to be
    /// read.
    fn send(&mut self) -> io::Result<Vec<u8>> {
        let question = Question::of(&self.url, &self.body);
        let listing = self.exchange.listing.clone();
        if let Some(known) = question.as_ref().and_then(|question| listing.get(question)) {
            self.known = known.bytes;
            return Ok(known.headers);
        }
        let answer = self
            .answer()
            .map_err(|failure| self.exchange.failure.note(failure))?;
        let headers = header_lines(answer.headers());
        self.response = Some(answer);
        self.listener = question.map(|question| listing.listen(question, headers.clone()));
        Ok(headers)
    }

    fn answer(&mut self) -> Result<Response, Failure> {
        let (url, origin) = (parsed(&self.url)?, parsed(&self.origin)?);
        let body = std::mem::take(&mut self.body);
        let answer = self
            .exchange
            .send(Method::POST, &url, &origin, &self.headers, Some(body));
        // A server that has moved or changed its mind is asked anew next time.
        if answer
            .as_ref()
            .map_or(true, |answer| !answer.status().is_success())
        {
            self.exchange.advertisements.forget(&self.origin);
        }
        match answer {
            Ok(answer) if answer.status().is_redirection() => Err(Failure::Protocol(
                "refused a redirect of a request with a body".to_owned(),
            )),
            other => other,
        }
    }
}

/// The body of a request, gathered in memory: a fetch asks with a few kilobytes.
pub(super) struct Posted(Arc<Mutex<Request>>);

impl Write for Posted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut request = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        request.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers of a response; reading them sends the request.
pub(super) struct Reply {
    awaited: Option<Arc<Mutex<Request>>>,
    lines: io::Cursor<Vec<u8>>,
}

impl Reply {
    fn known(lines: Vec<u8>) -> Self {
        Self {
            awaited: None,
            lines: io::Cursor::new(lines),
        }
    }

    fn awaited(request: Arc<Mutex<Request>>) -> Self {
        Self {
            awaited: Some(request),
            lines: io::Cursor::default(),
        }
    }
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill_buf()?;
        self.lines.read(buffer)
    }
}

impl BufRead for Reply {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(request) = self.awaited.take() {
            let lines = request
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .send()?;
            self.lines = io::Cursor::new(lines);
        }
        self.lines.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.lines.consume(amount);
    }
}

/// The body of a response, as it comes in.
pub(super) struct Body {
    exchange: Exchange,
    request: Option<Arc<Mutex<Request>>>,
    response: Option<Response>,
    chunk: bytes::Bytes,
    listener: Option<Listener>,
}

impl Body {
    fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            request: None,
            response: None,
            chunk: bytes::Bytes::new(),
            listener: None,
        }
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> io::Result<bytes::Bytes> {
        if let Some(request) = self.request.take() {
            let mut request = request.lock().unwrap_or_else(PoisonError::into_inner);
            (self.response, self.listener) = (request.response.take(), request.listener.take());
            let known = std::mem::take(&mut request.known);
            if !known.is_empty() {
                return Ok(known);
            }
        }
        let Some(response) = self.response.as_mut() else {
            return Ok(bytes::Bytes::new());
        };
        let exchange = &self.exchange;
        exchange
            .runtime
            .block_on(tokio::time::timeout_at(exchange.deadline, response.chunk()))
            .map_err(|_| exchange.failure.note(Failure::Timeout))?
            .map(Option::unwrap_or_default)
            .map_err(|error| exchange.failure.note(Failure::Network(innermost(&error))))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            let chunk = self.next()?;
            if chunk.is_empty() {
                (self.response, self.listener) = (None, None);
                break;
            }
            if let Some(listener) = &mut self.listener {
                listener.hear(&chunk);
            }
            self.chunk = chunk;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.chunk.split_to(amount.min(self.chunk.len()));
    }
}
