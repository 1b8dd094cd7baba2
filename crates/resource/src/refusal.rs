//! A refusal as it goes on the wire (RFC 6750 §3, RFC 9449 §7.1, §9): short and safe. The evidence stays in the
//! `Rejection`, which is for the log.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::error::ErrorCode;
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::{Challenge, Rejection};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::decision::PresentedScheme;
use crate::server::Challenger;
use crate::stage::Stage;

/// Seconds after which a request that met a store or issuer in trouble may be sent again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Why a request is refused, and the answer that says so. `Debug` does not show the nonce.
#[derive(Clone)]
pub struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) challenger: Arc<Challenger>,
    pub(crate) stage: Stage,
    pub(crate) scheme: PresentedScheme,
    pub(crate) nonce: Option<String>,
}

impl Refusal {
    /// Why.
    pub const fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.rejection.resource_status()
    }

    /// The OAuth error code of the answer, if it has one.
    pub fn code(&self) -> Option<ErrorCode> {
        self.rejection.code()
    }

    /// The challenges of the answer, in order; empty unless it is a 400, 401 or 403.
    pub fn challenges(&self) -> Vec<Challenge> {
        self.challenger.challenges(&self.rejection, self.stage, self.scheme)
    }

    /// The whole answer. An answer to HEAD must go out without the body.
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for challenge in self.challenges() {
            if let Ok(value) = HeaderValue::from_str(&challenge.to_string()) {
                headers.append(header::WWW_AUTHENTICATE, value);
            }
        }
        if let Some(nonce) = self.nonce.as_deref().and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }

    fn body(&self) -> Bytes {
        #[derive(Serialize)]
        struct Body {
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'static str>,
            error_description: &'static str,
        }
        let description = self.rejection.public_description();
        let body = Body { error: self.code().map(ErrorCode::as_str), error_description: description };
        // Two texts always have a JSON form.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("rejection", &self.rejection).finish_non_exhaustive()
    }
}
