//! `/healthz`: the process lives. `/readyz`: it leads, and has seen all resources once. Who stands by is not ready, as
//! only the leader serves artifacts.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// The router; `ready` says whether the process can do its work.
pub fn router(ready: watch::Receiver<bool>) -> Router {
    let readiness = move || {
        let ready = *ready.borrow();
        async move {
            if ready {
                (StatusCode::OK, "ok")
            } else {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "this process does not lead, or has not seen all resources yet",
                )
            }
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readiness))
}
