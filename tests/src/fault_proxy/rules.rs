//! Which requests are broken, and how.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::oneshot;

use super::{Held, RequestLine};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It goes on after a while.
    Delay(Duration),
    /// The connection ends without an answer, and the server never hears of it.
    Cut,
    /// It is answered with this status, and the server never hears of it.
    Answer(StatusCode),
    /// It goes on, and the answer breaks off after a while: how a watch is lost.
    Break(Duration),
    /// It goes on, and the answer, or each event of the watch, comes without managed fields: how kinds look whose server
    /// keeps none.
    NoManagedFields,
    /// It goes on twice, and the second answer counts: how a network that repeats looks to the server.
    Twice,
}

/// What a rule does: a fault, or waiting for the test.
#[derive(Debug)]
pub(super) enum Act {
    Fault(Fault),
    Hold(Option<oneshot::Sender<Held>>),
}

/// Some requests, and what happens to them.
pub(super) struct Rule {
    matches: Box<dyn Fn(&RequestLine) -> bool + Send>,
    which: Range<usize>,
    seen: usize,
    act: Act,
}

impl Rule {
    pub(super) fn new(
        matches: impl Fn(&RequestLine) -> bool + Send + 'static,
        which: Range<usize>,
        act: Act,
    ) -> Rule {
        Rule {
            matches: Box::new(matches),
            which,
            seen: 0,
            act,
        }
    }

    /// Counts a request and says what happens to it, if this rule is about it.
    pub(super) fn apply(&mut self, line: &RequestLine) -> Option<Act> {
        if !(self.matches)(line) {
            return None;
        }
        let number = self.seen;
        self.seen += 1;
        self.which.contains(&number).then(|| match &mut self.act {
            Act::Fault(fault) => Act::Fault(fault.clone()),
            Act::Hold(caught) => Act::Hold(caught.take()),
        })
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} for {:?}, {} seen",
            self.act, self.which, self.seen
        )
    }
}

/// The body that the API server gives with a status.
pub(super) fn status(code: StatusCode) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code.as_u16(),
        "reason": code.canonical_reason().unwrap_or_default().replace(' ', ""),
        "message": "injected by the fault proxy",
    })
    .to_string()
}
