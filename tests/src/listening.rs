//! A port that is listened on in a thread of its own, for as long as a value lives.
//!
//! The thread is what lets a test block, for example in `git push`, while the server answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Somebody who listens on a free port.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Hands the port to `serve`, which goes on until it is dropped.
    pub(crate) fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Listening {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
        let address = listener.local_addr().expect("a listener has an address");
        listener
            .set_nonblocking(true)
            .expect("make a listener asynchronous");
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("make a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("take over a listener");
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener) => {}
                }
            });
        });
        Listening {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
