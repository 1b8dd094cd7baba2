//! What happens around every request, whatever it asks for: it is counted, and one too many of an address is refused.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign_dpop::headers::DPOP_NONCE;

use super::{Limited, Peer, Source};
use crate::error::Refusal;
use crate::server::Shared;
use crate::{decision, endpoint};

pub(crate) async fn watch(State(server): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let _in_flight = server.metrics.request();
    let response = match admit(&server, &request) {
        Ok(()) => next.run(request).await,
        Err((source, limited)) => refuse(&server, request.uri().path(), source, limited),
    };
    server.metrics.answer(response.status(), response.headers().contains_key(DPOP_NONCE));
    response
}

/// Requests that come over no connection, as in tests, come from nowhere and are not counted.
fn admit(server: &Shared, request: &Request) -> Result<(), (Source, Limited)> {
    let Some(peer) = request.extensions().get::<Peer>() else { return Ok(()) };
    let source = Source::of(*peer, request.headers(), &server.settings.trusted_proxies);
    server.limits.admit_source(source, server.clock.now()).map_err(|limited| (source, limited))
}

fn refuse(server: &Shared, path: &str, source: Source, limited: Limited) -> Response {
    let endpoint = endpoint::name_of(path, server.settings.issuer.path());
    let refusal = Refusal::from(limited);
    let answer = refusal.to_oauth_error();
    server.metrics.limited(limited);
    server.metrics.decision(endpoint, "refused", refusal.name());
    decision::log_limited(endpoint, source.address(), &refusal, &answer);
    answer.into_response()
}
