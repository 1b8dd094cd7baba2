//! Whether the process lives, and whether it can serve.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::server::Shared;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(server): State<Arc<Shared>>) -> Response {
    match server.storage.probe().await {
        Ok(()) => axum::Json(json!({ "ready": true })).into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({ "ready": false, "waiting_for": ["storage"] })))
                .into_response()
        }
    }
}
