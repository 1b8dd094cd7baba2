//! Endpoints: one file each.

mod health;
mod jwks;
mod metadata;
mod token;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::{HeaderValue, header};
use serde_json::Value;

use crate::cors;
use crate::server::Shared;

/// Below the issuer.
pub(crate) const TOKEN_PATH: &str = "/token";
pub(crate) const JWKS_PATH: &str = "/jwks";

pub(crate) fn router(server: &Arc<Shared>) -> Router {
    let issuer_path = server.settings.issuer.path();
    let mut router = Router::new()
        .route(&format!("{issuer_path}{TOKEN_PATH}"), post(token::token))
        .route(&format!("{issuer_path}{JWKS_PATH}"), get(jwks::jwks));
    for path in metadata::paths(issuer_path) {
        router = router.route(&path, get(metadata::metadata));
    }
    router.layer(middleware::from_fn_with_state(server.clone(), cors::open)).with_state(server.clone())
}

pub(crate) fn admin_router(server: &Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(server.clone())
}

/// A public document that may be cached for a while.
fn document(document: Value) -> Response {
    let cache = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, cache)], axum::Json(document)).into_response()
}
