//! A request that stands still until the test decides.

use hyper::StatusCode;
use tokio::sync::oneshot;

use super::RequestLine;

/// A request that has come to the proxy and goes no further. Letting go of this value drops it.
#[derive(Debug)]
pub struct Held {
    /// The request.
    pub request: RequestLine,
    decide: oneshot::Sender<Verdict>,
}

/// What the test decided.
#[derive(Debug)]
pub(super) enum Verdict {
    Forward(oneshot::Sender<Option<StatusCode>>),
    Drop,
    Answer(StatusCode),
}

impl Held {
    pub(super) fn new(request: RequestLine) -> (Held, oneshot::Receiver<Verdict>) {
        let (decide, decision) = oneshot::channel();
        (Held { request, decide }, decision)
    }

    /// Lets it through, whether or not its sender still lives, and waits until the server has
    /// answered. Returns the answer's status, or nothing if there was no answer.
    pub async fn forward(self) -> Option<StatusCode> {
        let (done, answered) = oneshot::channel();
        self.decide.send(Verdict::Forward(done)).ok()?;
        answered.await.ok().flatten()
    }

    /// Ends its connection without an answer; the server never hears of it.
    pub fn discard(self) {
        let _ = self.decide.send(Verdict::Drop);
    }

    /// Answers it with a status; the server never hears of it.
    pub fn answer(self, status: StatusCode) {
        let _ = self.decide.send(Verdict::Answer(status));
    }
}
