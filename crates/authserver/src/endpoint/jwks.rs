//! The keys that verify tokens (RFC 7517 §5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::document;
use crate::server::Shared;

pub(super) async fn jwks(State(server): State<Arc<Shared>>) -> Response {
    server.keys.renew(server.storage.as_ref(), &server.seal, server.clock.now()).await;
    document(server.keys.current().jwk_set())
}
