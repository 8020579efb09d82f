//! `git-receive-pack` over smart HTTP: its refs are one answer, and its report is the answer to one request.

use std::io::{self, Read};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::protocol::Receiver;
use crate::source::failure::Failure;
use crate::source::http::{Exchange, GitHttp, parsed};

/// A server that is asked over HTTP.
pub(super) struct HttpReceiver<'a> {
    exchange: Exchange,
    url: &'a str,
    /// Where it wants to be asked.
    base: String,
    says: Box<dyn Read>,
}

impl<'a> HttpReceiver<'a> {
    /// Asks for the refs.
    pub(super) fn open(exchange: Exchange, url: &'a str) -> Result<Self, Failure> {
        let asked = format!("{url}/info/refs?service=git-receive-pack");
        let mut http = GitHttp::new(exchange.clone());
        let answer = http.advertisement(&asked, url, HeaderMap::new())?;
        Ok(Self {
            exchange,
            url,
            base: answer.moved.unwrap_or_else(|| url.to_owned()),
            says: Box::new(io::Cursor::new(answer.bytes)),
        })
    }
}

impl Read for HttpReceiver<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.says.read(buffer)
    }
}

impl Receiver for HttpReceiver<'_> {
    fn request(&mut self, request: Vec<u8>) -> Result<(), Failure> {
        let to = parsed(&format!("{}/git-receive-pack", self.base))?;
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-git-receive-pack-request");
        headers.insert(CONTENT_TYPE, form);
        let origin = parsed(self.url)?;
        let exchange = &self.exchange;
        let response = exchange.send(Method::POST, &to, &origin, &headers, Some(request))?;
        if response.status().is_redirection() {
            let refusal = "refused a redirect of a request with a body";
            return Err(Failure::Protocol(refusal.to_owned()));
        }
        self.says = Box::new(exchange.body(response));
        Ok(())
    }
}
