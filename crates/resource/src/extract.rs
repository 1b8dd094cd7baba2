//! [`Access`] as an axum extractor.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use std::convert::Infallible;

use crate::access::Access;
use crate::layer::Observed;

/// There is no [`Access`] to extract.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoAccess {
    /// The stage is `observe` and the request did not pass: 401. Handlers that can serve it all the same take
    /// `Option<Access>`.
    #[error("the request could not be verified")]
    NotVerified,
    /// The route is not behind a [`crate::DpopLayer`]: 500.
    #[error("this route is not guarded")]
    NotGuarded,
}

impl IntoResponse for NoAccess {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotVerified => StatusCode::UNAUTHORIZED,
            Self::NotGuarded => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = NoAccess;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let guarded =
            if parts.extensions.get::<Observed>().is_some() { NoAccess::NotVerified } else { NoAccess::NotGuarded };
        parts.extensions.get::<Self>().cloned().ok_or(guarded)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Access {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
