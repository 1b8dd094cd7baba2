//! Whether the process lives, whether it can serve, and what it has counted.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::server::Shared;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(server): State<Arc<Shared>>) -> Response {
    let mut waiting_for = Vec::new();
    if server.metrics.is_draining() {
        waiting_for.push("the end: it was told to stop");
    }
    if let Err(error) = server.storage.probe().await {
        tracing::warn!(%error, "not ready");
        waiting_for.push("storage");
    }
    if waiting_for.is_empty() {
        return axum::Json(json!({ "ready": true })).into_response();
    }
    let body = axum::Json(json!({ "ready": false, "waiting_for": waiting_for }));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

pub(super) async fn metrics(State(server): State<Arc<Shared>>) -> Response {
    let (live, capacity) = server.shares.live_and_capacity();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], server.metrics.render(live, capacity)).into_response()
}
