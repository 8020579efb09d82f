//! Many requests, so many at a time, begun one after another: a future that has not begun takes no memory.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

/// Awaits futures, at most so many at a time; gives back what they gave, in their order. Each is taken from the
/// iterator when there is a place for it, whether or not those before it are done.
///
/// The iterator is boxed because a closure over references that lives across an await is not provably Send
/// (rust-lang/rust#102211).
pub(super) async fn in_order<Work: Future>(
    works: Box<dyn Iterator<Item = Work> + Send + '_>,
    at_once: usize,
) -> Vec<Work::Output> {
    let mut works = works.enumerate();
    let mut begun = FuturesUnordered::new();
    let mut outputs = Vec::new();
    loop {
        while begun.len() < at_once
            && let Some((number, work)) = works.next()
        {
            begun.push(async move { (number, work.await) });
        }
        match begun.next().await {
            Some(output) => outputs.push(output),
            None => break,
        }
    }
    outputs.sort_unstable_by_key(|(number, _)| *number);
    outputs.into_iter().map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn so_many_at_a_time_and_in_order() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let works = (0..10).map(|number| {
            let (running, most) = (&running, &most);
            async move {
                most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                // Later ones are done sooner.
                for _ in number..10 {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Relaxed);
                number
            }
        });
        let outputs = in_order(Box::new(works), 3).await;
        assert_eq!(outputs, (0..10).collect::<Vec<_>>());
        assert_eq!(most.load(Relaxed), 3);
    }
}
