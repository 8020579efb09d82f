//! The road to one API server, shared by all identities: one connection pool, one limit on requests in flight,
//! a deadline for each request, retries with jitter where a repeat is safe.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use kube::client::Body;

use super::connect::connect;
use super::error::Error;
use super::fence::Fence;
use super::limit::Limit;
use super::traffic::{Traffic, Verb};

/// How hard an API server may be leaned on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests in flight, watches not counted. kube speaks HTTP/1.1, so this is also the number of connections.
    pub concurrency: usize,
    /// How long a request may take, its answer included; watches not counted.
    pub timeout: Duration,
    /// A write that takes longer says that the server has too much to do.
    pub slow: Duration,
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The wait before the second attempt; doubles with each further one.
    pub first_delay: Duration,
    /// The longest wait between attempts.
    pub longest_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 20,
            timeout: Duration::from_secs(30),
            slow: Duration::from_secs(3),
            attempts: 5,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(5),
        }
    }
}

/// One API server's connection pool and its limits.
#[derive(Clone)]
pub(super) struct Transport {
    kube: kube::Client,
    limits: Arc<Limits>,
    in_flight: Arc<Limit>,
    traffic: Traffic,
    fence: Fence,
}

/// An answer, read to its end.
pub(super) type Answer = Response<bytes::Bytes>;

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: bytes::Bytes,
}

impl Transport {
    pub(super) fn new(config: kube::Config, limits: Limits) -> Result<Self, Error> {
        let mut config = config;
        // kube's own policy repeats 15 times and waits up to 1,000 s; ours is below.
        config.default_retry = false;
        config.headers.push((header::USER_AGENT, USER_AGENT));
        let kube = connect(config).map_err(|error| Error::Connect(Box::new(error)))?;
        Ok(Self {
            kube,
            in_flight: Arc::new(Limit::new(limits.concurrency)),
            limits: Arc::new(limits),
            traffic: Traffic::default(),
            fence: Fence::default(),
        })
    }

    /// The same road, which ends when these leases do.
    pub(super) fn fenced(self, fence: Fence) -> Self {
        Self { fence, ..self }
    }

    /// The leases that end it.
    pub(super) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// What has been sent.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// How many requests may be in flight now.
    pub(super) fn allowed(&self) -> usize {
        self.in_flight.allowed()
    }

    pub(super) fn default_namespace(&self) -> &str {
        self.kube.default_namespace()
    }

    /// Opens a stream: no deadline, no limit, no repeat; whoever reads it watches over it.
    pub(super) async fn open(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        self.traffic.send(Verb::Watch);
        let opening = self.kube.send(request);
        let answer = tokio::time::timeout(self.limits.timeout, opening).await;
        let answer = answer.map_err(|_| Error::Timeout(self.limits.timeout))?;
        answer.map_err(|error| Error::Unreachable(innermost(&error)))
    }

    /// Sends a request until it is answered for good.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let mut attempt = 1;
        loop {
            let result = self.send_once(call).await;
            let last = attempt >= self.limits.attempts;
            if last || !worth_repeating(&call.method, &call.headers, &result) {
                return result;
            }
            tokio::time::sleep(self.delay(attempt, &result)).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, call: &Call) -> Result<Answer, Error> {
        if is_lease(&call.target) {
            return self.exchange(call, self.limits.timeout).await;
        }
        let waits = self.traffic.wait();
        let place = self.in_flight.enter().await;
        drop(waits);
        let begin = Instant::now();
        let result = match self.time_left(call) {
            Ok(timeout) => self.exchange(call, timeout).await,
            Err(error) => Err(error),
        };
        // A list may be long; a write that takes so long says that the server has too much to do.
        let is_slow = call.method != Method::GET && begin.elapsed() >= self.limits.slow;
        let overloaded = match &result {
            Ok(answer) => is_slow || answer.status() == StatusCode::TOO_MANY_REQUESTS,
            Err(error) => matches!(error, Error::Timeout(_)),
        };
        self.in_flight.leave(place, overloaded);
        result
    }

    /// How long a request may take: less than the leases last, and no write at all once they are over.
    fn time_left(&self, call: &Call) -> Result<Duration, Error> {
        match self.fence.remaining() {
            Some(remaining) if call.method != Method::GET => {
                let may = !remaining.is_zero();
                may.then(|| remaining.min(self.limits.timeout))
                    .ok_or(Error::Fenced)
            }
            _ => Ok(self.limits.timeout),
        }
    }

    async fn exchange(&self, call: &Call, timeout: Duration) -> Result<Answer, Error> {
        self.traffic.send(Verb::of(&call.method, &call.target));
        let exchange = async {
            let response = self.kube.send(call.request()?).await;
            let response = response.map_err(|error| Error::Unreachable(innermost(&error)))?;
            let (parts, body) = response.into_parts();
            let body = body.collect_bytes().await;
            let body = body.map_err(|error| Error::Unreachable(innermost(&error)))?;
            Ok(Response::from_parts(parts, body))
        };
        let answer = tokio::time::timeout(timeout, exchange).await;
        let answer = answer.unwrap_or(Err(Error::Timeout(timeout)));
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        self.traffic.end(status);
        answer
    }

    /// What the server asks for, or a doubling delay; in both cases with up to half as much again, at random, so
    /// that those who were refused together do not come back together.
    fn delay(&self, attempt: u32, result: &Result<Answer, Error>) -> Duration {
        let doubled = self.limits.first_delay.saturating_mul(1 << attempt.min(10));
        let asked = result
            .as_ref()
            .ok()
            .and_then(|answer| retry_after(answer.headers()));
        let base = asked.unwrap_or(doubled).min(self.limits.longest_delay);
        base + base.mul_f64(0.5 * random_fraction())
    }
}

impl Call {
    fn request(&self) -> Result<Request<Body>, Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.target)
            .body(Body::from(self.body.clone()))
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

/// A lease whose renewal waited behind thousands of applies would be lost.
fn is_lease(target: &str) -> bool {
    target.starts_with("/apis/coordination.k8s.io/")
}

/// A 429 was not carried out and may always be repeated; what may have been carried out, only where doing it
/// twice is doing it once. Server-side apply is such a request, a JSON patch is not.
fn worth_repeating(method: &Method, headers: &HeaderMap, result: &Result<Answer, Error>) -> bool {
    let idempotent = match *method {
        Method::GET | Method::DELETE | Method::PUT => true,
        Method::PATCH => headers.get(header::CONTENT_TYPE) == Some(&APPLY),
        _ => false,
    };
    match result {
        Ok(answer) => match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => idempotent,
            StatusCode::INTERNAL_SERVER_ERROR => {
                idempotent && retry_after(answer.headers()).is_some()
            }
            _ => false,
        },
        Err(Error::Unreachable(_) | Error::Timeout(_)) => idempotent,
        Err(_) => false,
    }
}

/// How audit logs name us.
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("weir/", env!("CARGO_PKG_VERSION")));

/// The content type of a server-side apply.
pub(super) const APPLY: HeaderValue = HeaderValue::from_static("application/apply-patch+yaml");

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// A number from 0 to 1, from the randomness that the standard library seeds its hash maps with.
fn random_fraction() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// The text at the end of an error's chain, which names the cause (`connection refused`); kube's own texts add
/// only the names of its layers.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: bool) -> Result<Answer, Error> {
        let mut answer = Response::builder().status(status);
        if retry_after {
            answer = answer.header(header::RETRY_AFTER, "1");
        }
        Ok(answer.body(bytes::Bytes::new()).expect("valid"))
    }

    fn call(method: Method) -> Call {
        Call {
            method,
            target: "/api/v1/namespaces/ns/configmaps/one".to_owned(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_write_is_sent_or_lasts_beyond_the_leases() {
        super::super::install_crypto();
        let nowhere = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        let limits = Limits {
            concurrency: 1,
            ..Limits::default()
        };
        let timeout = limits.timeout;
        let fence = Fence::default();
        let transport = Transport::new(nowhere, limits).expect("a road");
        let transport = transport.fenced(fence.clone());
        let (read, write) = (call(Method::GET), call(Method::PATCH));
        let left = |call| transport.time_left(call).ok();
        assert_eq!(left(&write), Some(timeout), "there is no lease to hold");
        let lease = Duration::from_secs(10);
        fence.extend("lease", tokio::time::Instant::now() + lease);
        assert_eq!((left(&write), left(&read)), (Some(lease), Some(timeout)));

        // Its time ends while a write waits for the place that another request has.
        let place = transport.in_flight.enter().await;
        let waiting = tokio::spawn({
            let (transport, write) = (transport.clone(), write.clone());
            async move { transport.send(&write).await }
        });
        tokio::time::sleep(lease).await;
        transport.in_flight.leave(place, false);
        let sent = waiting.await.expect("it ends");
        assert!(matches!(sent, Err(Error::Fenced)), "{sent:?}");
        assert_eq!(
            transport
                .traffic()
                .by_verb()
                .map(|(_, count)| count)
                .sum::<u64>(),
            0
        );
        assert_eq!((left(&write), left(&read)), (None, Some(timeout)));
    }

    #[test]
    fn what_may_be_sent_again() {
        let apply = HeaderMap::from_iter([(header::CONTENT_TYPE, APPLY)]);
        let plain = HeaderMap::new();
        let lost = || Err(Error::Unreachable("connection reset".to_owned()));
        let table = [
            (Method::POST, &plain, answer(429, false), true),
            (Method::POST, &plain, answer(503, false), false),
            (Method::POST, &plain, lost(), false),
            (Method::PATCH, &plain, lost(), false),
            (Method::PATCH, &apply, lost(), true),
            (Method::PATCH, &apply, answer(503, false), true),
            (Method::PATCH, &apply, answer(500, false), false),
            (Method::PATCH, &apply, answer(500, true), true),
            (Method::PATCH, &apply, answer(409, false), false),
            (Method::DELETE, &plain, answer(504, false), true),
            (
                Method::GET,
                &plain,
                Err(Error::Timeout(Duration::ZERO)),
                true,
            ),
            (Method::GET, &plain, answer(404, false), false),
            (Method::GET, &plain, answer(200, false), false),
        ];
        for (method, headers, result, expected) in table {
            let repeats = worth_repeating(&method, headers, &result);
            assert_eq!(repeats, expected, "{method} {headers:?} {result:?}");
        }
    }
}
