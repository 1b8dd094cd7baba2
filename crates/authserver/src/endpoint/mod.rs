//! Endpoints: one file each.

mod account;
mod authorize;
mod device;
mod device_authorization;
mod exchange;
mod health;
mod introspection;
mod jwks;
mod metadata;
mod par;
mod registration;
mod revocation;
mod token;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::{HeaderValue, header};
use serde_json::Value;

use crate::decision::PageDecision;
use crate::operation::Metrics;
use crate::people::PageError;
use crate::server::Shared;
use crate::{cors, operation};

pub(crate) use self::exchange::Exchange;

/// An endpoint that takes requests of clients, perhaps with proofs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Endpoint {
    DeviceAuthorization,
    Introspection,
    PushedRequest,
    Revocation,
    #[default]
    Token,
}

impl Endpoint {
    pub(crate) const ALL: &'static [Self] =
        &[Self::DeviceAuthorization, Self::Introspection, Self::PushedRequest, Self::Revocation, Self::Token];

    /// Where it is, below the issuer.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::DeviceAuthorization => "/device_authorization",
            Self::Introspection => "/introspect",
            Self::PushedRequest => "/par",
            Self::Revocation => "/revoke",
            Self::Token => "/token",
        }
    }

    /// Its name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DeviceAuthorization => "device_authorization",
            Self::Introspection => "introspection",
            Self::PushedRequest => "par",
            Self::Revocation => "revocation",
            Self::Token => "token",
        }
    }
}

/// Below the issuer.
pub(crate) const ACCOUNT_PATH: &str = "/account";
pub(crate) const AUTHORIZE_PATH: &str = "/authorize";
pub(crate) const DEVICE_PATH: &str = "/device";
pub(crate) const JWKS_PATH: &str = "/jwks";
const REGISTRATION_PATH: &str = "/register";

/// The name, in logs and metrics, of what is at `path`, which begins with the issuer's.
pub(crate) fn name_of(path: &str, issuer_path: &str) -> &'static str {
    let below = path.strip_prefix(issuer_path).unwrap_or(path);
    if let Some(endpoint) = Endpoint::ALL.iter().find(|endpoint| endpoint.path() == below) {
        return endpoint.name();
    }
    match below {
        ACCOUNT_PATH => "account",
        AUTHORIZE_PATH => "authorize",
        DEVICE_PATH => "device",
        JWKS_PATH => "jwks",
        REGISTRATION_PATH => "registration",
        _ if metadata::paths(issuer_path).iter().any(|other| other == path) => "metadata",
        _ => "none",
    }
}

pub(crate) fn router(server: &Arc<Shared>) -> Router {
    let issuer_path = server.settings.issuer.path();
    let mut router = Router::new()
        .route(&format!("{issuer_path}{}", Endpoint::Token.path()), post(token::token))
        .route(&format!("{issuer_path}{}", Endpoint::Introspection.path()), post(introspection::introspect))
        .route(&format!("{issuer_path}{}", Endpoint::Revocation.path()), post(revocation::revoke))
        .route(&format!("{issuer_path}{}", Endpoint::PushedRequest.path()), post(par::push))
        .route(&format!("{issuer_path}{AUTHORIZE_PATH}"), get(authorize::authorize).post(authorize::authorize))
        .route(&format!("{issuer_path}{}", Endpoint::DeviceAuthorization.path()), post(device_authorization::authorize))
        .route(&format!("{issuer_path}{DEVICE_PATH}"), get(device::device).post(device::device))
        .route(&format!("{issuer_path}{ACCOUNT_PATH}"), get(account::account).post(account::account))
        .route(&format!("{issuer_path}{JWKS_PATH}"), get(jwks::jwks));
    if server.settings.registration.is_some() {
        router = router.route(&format!("{issuer_path}{REGISTRATION_PATH}"), post(registration::register));
    }
    for path in metadata::paths(issuer_path) {
        router = router.route(&path, get(metadata::metadata));
    }
    router
        .layer(middleware::from_fn_with_state(server.clone(), operation::watch))
        .layer(middleware::from_fn_with_state(server.clone(), cors::open))
        .with_state(server.clone())
}

pub(crate) fn admin_router(server: &Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(server.clone())
}

/// Serves a page and leaves one line of what became of it.
async fn judged(
    endpoint: &'static str,
    metrics: &Arc<Metrics>,
    serve: impl AsyncFnOnce(&mut PageDecision) -> Result<Response, PageError>,
) -> Response {
    let mut decision = PageDecision::at(endpoint, metrics);
    match serve(&mut decision).await {
        Ok(response) => {
            decision.log(response.status());
            response
        }
        Err(error) => {
            decision.refuse(error.name(), &error);
            decision.log(error.status());
            error.into_response()
        }
    }
}

/// A public document that may be cached for a while.
fn document(document: Value) -> Response {
    let cache = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, cache)], axum::Json(document)).into_response()
}
