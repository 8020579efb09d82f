//! What a server has just said of its refs: the fetch that follows a look-up asks the same again, and need not wait for
//! the same answer.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A question about refs begins so, after its length.
const QUESTION: &[u8] = b"command=ls-refs";

/// Longer answers are of other questions than a fetch asks: it wants one ref.
const SIZE_LIMIT: usize = 8 * 1024;

/// Where an answer ends.
const FLUSH: &[u8] = b"0000";

/// An answer, as it came.
#[derive(Clone)]
pub(super) struct Answer {
    /// The headers, one a line.
    pub(super) headers: Vec<u8>,
    /// The body.
    pub(super) bytes: Bytes,
}

/// The last answer about refs in one visit to a server.
#[derive(Clone, Default)]
pub(super) struct Listing(Arc<Mutex<Option<(Question, Answer)>>>);

/// What was asked: the address and the body.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Question {
    url: String,
    body: Vec<u8>,
}

impl Question {
    /// What a request asks, if that is about refs.
    pub(super) fn of(url: &str, body: &[u8]) -> Option<Self> {
        let is_one = body.get(4..).is_some_and(|rest| rest.starts_with(QUESTION));
        is_one.then(|| Self {
            url: url.to_owned(),
            body: body.to_vec(),
        })
    }
}

impl Listing {
    /// What was answered, if this was what was asked last.
    pub(super) fn get(&self, question: &Question) -> Option<Answer> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref().filter(|(asked, _)| asked == question);
        last.map(|(_, answer)| answer.clone())
    }

    /// Listens to the answer to a question.
    pub(super) fn listen(&self, question: Question, headers: Vec<u8>) -> Listener {
        Listener {
            listing: self.clone(),
            question,
            headers,
            heard: Vec::new(),
        }
    }
}

/// Hears an answer as it is read, and keeps it when it was read to its end.
pub(super) struct Listener {
    listing: Listing,
    question: Question,
    headers: Vec<u8>,
    heard: Vec<u8>,
}

impl Listener {
    /// A piece of the answer.
    pub(super) fn hear(&mut self, piece: &[u8]) {
        if self.heard.len() <= SIZE_LIMIT {
            self.heard.extend_from_slice(piece);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.heard.len() > SIZE_LIMIT || !self.heard.ends_with(FLUSH) {
            return;
        }
        let answer = Answer {
            headers: std::mem::take(&mut self.headers),
            bytes: std::mem::take(&mut self.heard).into(),
        };
        let last = &self.listing.0;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((self.question.clone(), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(body: &str) -> Question {
        let body = format!("0014command=ls-refs\n{body}");
        Question::of("https://git.example.org/fleet", body.as_bytes()).expect("it is one")
    }

    #[test]
    fn a_whole_answer_is_given_again_to_the_same_question() {
        let listing = Listing::default();
        let mut listener = listing.listen(question("main"), b"a: b\n".to_vec());
        listener.hear(b"003d...");
        listener.hear(b"0000");
        assert!(listing.get(&question("main")).is_none(), "it is still read");
        drop(listener);
        let answer = listing.get(&question("main")).expect("it was answered");
        assert_eq!(answer.bytes, "003d...0000");
        assert_eq!(answer.headers, b"a: b\n");
        assert!(listing.get(&question("other")).is_none());
    }

    #[test]
    fn half_an_answer_and_a_long_one_are_not_kept() {
        let listing = Listing::default();
        let heard = |text: &str| {
            listing
                .listen(question("main"), Vec::new())
                .hear(text.as_bytes())
        };
        heard("003d");
        heard(&format!("{}0000", "x".repeat(SIZE_LIMIT)));
        assert!(listing.get(&question("main")).is_none());
    }

    #[test]
    fn other_commands_are_no_questions_about_refs() {
        assert!(Question::of("https://git.example.org/fleet", b"0012command=fetch0001").is_none());
        assert!(Question::of("https://git.example.org/fleet", b"").is_none());
    }
}
