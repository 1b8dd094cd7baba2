//! What can go wrong with a call.

use std::sync::Arc;

use countersign_dpop::MakeError;
use http::HeaderName;

use crate::flows::TokenError;
use crate::http::{EndpointError, TransportError};
use crate::prover::{ClockOff, NonceError};

/// Why a call got no answer that could be given back. Carries nothing secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The server's clock is too far away.
    #[error(transparent)]
    Clock(#[from] ClockOff),
    /// The request brings a field that the client sets itself.
    #[error("the request brings its own {field} field; the client sets it")]
    CredentialsGiven {
        /// Which.
        field: HeaderName,
    },
    /// The URL may not be called.
    #[error("the URL: {0}")]
    Endpoint(#[from] EndpointError),
    /// Nothing says where the token may be sent.
    #[error("the client's configuration names no resource, so no URL may get its token; set `resource`")]
    NoResource,
    /// The URL does not belong to the resource that the token is for.
    #[error("{url} does not belong to {resource}, which the token is for; it gets no token")]
    OutsideResource {
        /// The URL without its query.
        url: String,
        /// The resource.
        resource: String,
    },
    /// The demand for a nonce could not be met.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The proof could not be made.
    #[error(transparent)]
    Proof(Arc<MakeError>),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No answer could be had.
    #[error("{url}: {fault}")]
    Transport {
        /// The URL without its query.
        url: String,
        /// What happened.
        fault: TransportError,
    },
}

impl From<MakeError> for CallError {
    fn from(fault: MakeError) -> Self {
        Self::Proof(Arc::new(fault))
    }
}
