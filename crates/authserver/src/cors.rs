//! Cross-origin requests of browsers (Fetch standard, RFC 9449 §8): pages of configured origins may call every
//! endpoint and read what DPoP puts into the fields of an answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign_dpop::{PublicOrigin, PublicOriginError};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::server::Shared;

/// The origins whose pages may call this server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
}

/// Why a text is no origin of pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OriginError {
    /// Not a usable URL.
    #[error("{0}")]
    Url(#[from] PublicOriginError),
    /// A URL, but not what browsers send: scheme, host and port only, in lower case.
    #[error("not an origin as browsers send it; write scheme, host and, unless it is the scheme's own, port")]
    NotAnOrigin,
}

impl Cors {
    /// Allows these origins as well as those already allowed.
    pub(crate) fn allow(&mut self, origin: &str) -> Result<(), OriginError> {
        let parsed = PublicOrigin::parse(origin)?;
        let host = origin.find("://").map_or(0, |at| at + 3);
        if parsed.as_str() != origin || origin[host..].contains('/') {
            return Err(OriginError::NotAnOrigin);
        }
        self.origins.push(HeaderValue::from_str(origin).map_err(|_| OriginError::NotAnOrigin)?);
        Ok(())
    }

    fn allowed_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let mut fields = request.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (fields.next(), fields.next()) else { return None };
        self.origins.iter().find(|allowed| *allowed == origin).cloned()
    }
}

/// Answers preflights and opens other answers to the pages that may read them.
pub(crate) async fn open(State(server): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let cors = &server.settings.cors;
    let Some(origin) = cors.allowed_origin(request.headers()) else {
        let mut response = next.run(request).await;
        if !cors.origins.is_empty() {
            response.headers_mut().append(header::VARY, VARY);
        }
        return response;
    };
    // A preflight carries no credentials, so it is answered before any are asked for (row 451).
    let mut response = match requested_method(&request) {
        Some(method) => preflight(method),
        None => next.run(request).await,
    };
    let fields = response.headers_mut();
    fields.append(header::VARY, VARY);
    fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

const VARY: HeaderValue = HeaderValue::from_static("Origin");
const ALLOWED: HeaderValue = HeaderValue::from_static("Authorization, DPoP, Content-Type");
const EXPOSED: HeaderValue = HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

fn requested_method(request: &Request) -> Option<HeaderValue> {
    let is_preflight = request.method() == Method::OPTIONS;
    request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| is_preflight).cloned()
}

fn preflight(method: HeaderValue) -> Response {
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, method),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, fields).into_response()
}
