//! `/healthz`: the process lives. `/readyz`: it leads or stands by, and its watches are in place.

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
                    "the watches are not in place yet",
                )
            }
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readiness))
}
