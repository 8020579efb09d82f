//! Waiting for what a watch shows, without asking again and again: the benchmark must not load the server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::{StreamExt, pin_mut};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// More than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(1200);

/// A watch that runs, and ends when enough of what it waits for was seen.
pub(crate) struct Watching {
    task: JoinHandle<Instant>,
}

impl Watching {
    /// Begins to wait until `count` objects of an API are as a closure wants them. Returns when the first list is
    /// through, so that what happens from now on is measured.
    pub(crate) async fn begin(
        api: Api<DynamicObject>,
        count: usize,
        wanted: impl Fn(&DynamicObject) -> bool + Send + 'static,
    ) -> Watching {
        let (listed, ready) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut listed = Some(listed);
            let mut so = BTreeSet::new();
            let events = watcher(api, watcher::Config::default()).default_backoff();
            pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let name = object.name_any();
                        if wanted(&object) {
                            so.insert(name);
                        } else {
                            so.remove(&name);
                        }
                    }
                    Ok(watcher::Event::InitDone) => {
                        let _ = listed.take().map(|listed| listed.send(()));
                    }
                    Ok(_) => {}
                    Err(error) => eprintln!("bench: watch: {error}"),
                }
                if so.len() == count {
                    break;
                }
            }
            Instant::now()
        });
        // Where the first list already holds what is waited for, the task ends before the list's end is told.
        let _ = ready.await;
        Watching { task }
    }

    /// When it came true.
    pub(crate) async fn end(self) -> Instant {
        let seen = tokio::time::timeout(PATIENCE, self.task).await;
        seen.expect("it comes true in time")
            .expect("the watch runs")
    }
}
