//! How many requests are in flight: fewer once the server says that it has too much to do, more again as it copes.
//! First come, first served, so that one who has thousands to send does not delay one who has three.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// All that were in flight when the server had too much to do say so; they count once.
const SETTLING: Duration = Duration::from_secs(1);

/// A limit that follows the server's answers.
pub(super) struct Limit {
    places: Semaphore,
    state: Mutex<State>,
}

struct State {
    most: usize,
    allowed: usize,
    /// Places to be taken away as soon as somebody leaves one.
    surplus: usize,
    /// Good answers since the limit last changed.
    good: usize,
    lowered: Option<Instant>,
}

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            places: Semaphore::new(most),
            state: Mutex::new(State {
                most,
                allowed: most,
                surplus: 0,
                good: 0,
                lowered: None,
            }),
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.places.acquire().await.ok()
    }

    /// Leaves a place, and says how the server took the request.
    pub(super) fn leave(&self, place: Option<SemaphorePermit<'_>>, overloaded: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if overloaded {
            state.lower(Instant::now());
        } else if state.raise() {
            self.places.add_permits(1);
        }
        if state.surplus > 0
            && let Some(place) = place
        {
            state.surplus -= 1;
            place.forget();
        }
    }

    /// How many places there are now.
    pub(super) fn allowed(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allowed
    }
}

impl State {
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
        let allowed = (self.allowed / 2).max(1);
        self.surplus += self.allowed - allowed;
        self.allowed = allowed;
    }

    /// One more after as many good answers as are allowed at a time; true when there is one more place to give.
    fn raise(&mut self) -> bool {
        self.good += 1;
        if self.good < self.allowed || self.allowed == self.most {
            return false;
        }
        self.good = 0;
        self.allowed += 1;
        if self.surplus > 0 {
            self.surplus -= 1;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_overloaded_server_gets_half_and_then_slowly_more() {
        let limit = Limit::new(8);
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(limit.enter().await);
        }
        // All eight are refused at the same time: that counts once.
        places
            .into_iter()
            .for_each(|place| limit.leave(place, true));
        assert_eq!((limit.allowed(), limit.places.available_permits()), (4, 4));
        for _ in 0..4 {
            limit.leave(limit.enter().await, false);
        }
        assert_eq!((limit.allowed(), limit.places.available_permits()), (5, 5));
        for _ in 0..100 {
            limit.leave(limit.enter().await, false);
        }
        assert_eq!((limit.allowed(), limit.places.available_permits()), (8, 8));
    }
}
