//! `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::report::metrics::{self, Metrics};

/// The router.
pub fn router(metrics: Arc<Metrics>) -> Router {
    let text = move || {
        let text = metrics.encode();
        async move { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text) }
    };
    Router::new().route("/metrics", get(text))
}
