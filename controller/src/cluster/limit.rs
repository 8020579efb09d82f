//! How many requests are in flight: fewer once the server says that it has too much to do, more again as it copes.
//!
//! A place goes to the run that has the fewest requests in flight, so that one who has thousands to send does not
//! delay one who has three; among those, to the run that began first, so that what is begun is finished before more is
//! begun: others may wait for it, and controllers in the cluster have something to do from the start. What can wait has
//! a place when nobody else wants it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// All that were in flight when the server had too much to do say so; they count once.
const SETTLING: Duration = Duration::from_secs(1);

/// The next turn to begin.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// The place of a run in the queue. In the order in which they are served where all else is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    can_wait: bool,
    number: u64,
}

tokio::task_local! {
    static TURN: Turn;
}

/// Does work whose requests count as one run's: they wait together, behind those of turns that began before.
/// A request outside of any has a turn of its own.
pub async fn in_turn<Work: Future>(turn: Turn, work: Work) -> Work::Output {
    TURN.scope(turn, work).await
}

/// Does work whose requests let those of all others pass.
pub async fn when_nobody_else_asks<Work: Future>(work: Work) -> Work::Output {
    let turn = Turn {
        can_wait: true,
        ..Turn::current()
    };
    TURN.scope(turn, work).await
}

impl Turn {
    /// Behind all others.
    pub fn begin() -> Self {
        Self {
            can_wait: false,
            number: TURNS.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn current() -> Self {
        TURN.try_with(|turn| *turn)
            .unwrap_or_else(|_| Self::begin())
    }
}

/// A limit that follows the server's answers.
pub(super) struct Limit {
    state: Mutex<State>,
}

struct State {
    most: usize,
    allowed: usize,
    in_flight: usize,
    /// Good answers since the limit last changed.
    good: usize,
    lowered: Option<Instant>,
    /// By turn: those that have something in flight, or that wait.
    lines: BTreeMap<Turn, Line>,
}

/// The requests of one turn.
#[derive(Default)]
struct Line {
    in_flight: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A request may be sent; whoever drops it makes place for another.
pub(super) struct Place {
    limit: Arc<Limit>,
    turn: Turn,
}

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            state: Mutex::new(State {
                most,
                allowed: most,
                in_flight: 0,
                good: 0,
                lowered: None,
                lines: BTreeMap::new(),
            }),
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let (give, given) = oneshot::channel();
        self.lock().line(Turn::current()).waiting.push_back(give);
        self.admit();
        // Nobody who waits is sent away.
        given.await.ok()
    }

    /// Leaves a place, and says how the server took the request.
    pub(super) fn leave(&self, place: Option<Place>, overloaded: bool) {
        match overloaded {
            true => self.lock().lower(Instant::now()),
            false => self.lock().raise(),
        }
        drop(place);
    }

    /// How many places there are now.
    pub(super) fn allowed(&self) -> usize {
        self.lock().allowed
    }

    /// Gives away the places that are free.
    fn admit(self: &Arc<Self>) {
        while let Some((turn, waiting)) = self.next() {
            let limit = self.clone();
            // One who no longer waits drops the place.
            drop(waiting.send(Place { limit, turn }));
        }
    }

    fn next(&self) -> Option<(Turn, oneshot::Sender<Place>)> {
        self.lock().next()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limit.lock().release(self.turn);
        self.limit.admit();
    }
}

impl State {
    fn line(&mut self, turn: Turn) -> &mut Line {
        self.lines.entry(turn).or_default()
    }

    /// Takes a place for whoever is the next to have one.
    fn next(&mut self) -> Option<(Turn, oneshot::Sender<Place>)> {
        if self.in_flight >= self.allowed {
            return None;
        }
        let waiting = self
            .lines
            .iter()
            .filter(|(_, line)| !line.waiting.is_empty());
        let first = |(turn, line): &(&Turn, &Line)| (turn.can_wait, line.in_flight, turn.number);
        let (turn, _) = waiting.min_by_key(first)?;
        let turn = *turn;
        let line = self.line(turn);
        let first = line.waiting.pop_front()?;
        line.in_flight += 1;
        self.in_flight += 1;
        Some((turn, first))
    }

    fn release(&mut self, turn: Turn) {
        self.in_flight -= 1;
        let line = self.line(turn);
        line.in_flight -= 1;
        if line.in_flight == 0 && line.waiting.is_empty() {
            self.lines.remove(&turn);
        }
    }

    /// Half as many.
    fn lower(&mut self, now: Instant) {
        self.good = 0;
        if self
            .lowered
            .is_some_and(|lowered| now.duration_since(lowered) < SETTLING)
        {
            return;
        }
        self.lowered = Some(now);
        self.allowed = (self.allowed / 2).max(1);
    }

    /// One more after as many good answers as are allowed at a time.
    fn raise(&mut self) {
        self.good += 1;
        if self.good >= self.allowed && self.allowed < self.most {
            self.good = 0;
            self.allowed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A turn that lets others pass.
    const LAST: u64 = 0;

    /// Places that are waited for in a turn.
    fn wait(limit: &Arc<Limit>, number: u64, count: usize) -> Vec<oneshot::Receiver<Place>> {
        let turn = Turn {
            can_wait: number == LAST,
            number,
        };
        let ask = |_| {
            let (give, given) = oneshot::channel();
            limit.lock().line(turn).waiting.push_back(give);
            given
        };
        (0..count).map(ask).collect()
    }

    /// Who has places, in order, where each is left at once.
    fn order(limit: &Arc<Limit>, mut all: Vec<(&str, Vec<oneshot::Receiver<Place>>)>) -> String {
        let mut order = String::new();
        limit.admit();
        loop {
            let mut given = Vec::new();
            for (name, waiting) in &mut all {
                waiting.retain_mut(|place| match place.try_recv() {
                    Ok(place) => {
                        given.push((*name, place));
                        false
                    }
                    Err(_) => true,
                });
            }
            if given.is_empty() {
                return order;
            }
            given.iter().for_each(|(name, _)| order += name);
        }
    }

    #[tokio::test]
    async fn an_overloaded_server_gets_half_and_then_slowly_more() {
        let limit = Arc::new(Limit::new(8));
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(limit.enter().await);
        }
        // All eight are refused at the same time: that counts once.
        places
            .into_iter()
            .for_each(|place| limit.leave(place, true));
        assert_eq!(limit.allowed(), 4);
        for _ in 0..4 {
            limit.leave(limit.enter().await, false);
        }
        assert_eq!(limit.allowed(), 5);
        for _ in 0..100 {
            limit.leave(limit.enter().await, false);
        }
        assert_eq!(limit.allowed(), 8);
    }

    #[test]
    fn what_was_begun_is_finished_first() {
        let limit = Arc::new(Limit::new(1));
        let (second, first) = (wait(&limit, 2, 2), wait(&limit, 1, 2));
        assert_eq!(order(&limit, vec![("b", second), ("a", first)]), "aabb");
    }

    #[test]
    fn one_who_has_many_to_send_delays_nobody() {
        let limit = Arc::new(Limit::new(3));
        let (many, few) = (wait(&limit, 1, 5), wait(&limit, 2, 2));
        // One place is the older one's, the others are shared.
        assert_eq!(order(&limit, vec![("a", many), ("b", few)]), "aabaaba");
    }

    #[test]
    fn what_can_wait_waits() {
        let limit = Arc::new(Limit::new(1));
        let (late, soon) = (wait(&limit, LAST, 2), wait(&limit, 1, 2));
        assert_eq!(order(&limit, vec![("z", late), ("a", soon)]), "aazz");
    }

    #[tokio::test]
    async fn whoever_no_longer_waits_holds_no_place() {
        let limit = Arc::new(Limit::new(1));
        let place = limit.enter().await;
        let mut gone = Box::pin(limit.enter());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        limit.leave(place, false);
        assert!(limit.enter().now_or_never().is_some());
        assert!(limit.lock().lines.is_empty());
    }
}
