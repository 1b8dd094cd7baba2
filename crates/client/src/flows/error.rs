//! What can go wrong on the way to a token.

use std::sync::Arc;

use countersign_dpop::jose::SignError;
use countersign_dpop::{ErrorCode, MakeError};

use crate::discovery::DiscoveryError;
use crate::http::TransportError;
use crate::prover::{ClockOff, NonceError};
use crate::sessions::SessionError;

/// Why there is no token. Carries nothing secret; what the server says is shown bounded and printable, and not at
/// all where it repeats a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The client's assertion could not be signed.
    #[error("the client's assertion could not be made: {0}")]
    Assertion(Arc<SignError>),
    /// The server's clock is too far away.
    #[error(transparent)]
    Clock(#[from] ClockOff),
    /// The person did not decide in time.
    #[error("the code was not used in time; start again")]
    DeviceCodeExpired,
    /// The issuer's metadata cannot be used.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A bound token was asked for with a proof, and an unbound one came. It was thrown away.
    #[error(
        "the issuer gave a token of type '{token_type}' where a DPoP-bound one was asked for; it was not used (is \
         DPoP switched on for this client? --allow-bearer goes on with an unbound one)"
    )]
    Downgraded {
        /// The type that came.
        token_type: String,
    },
    /// An answer with status 200 that is no token answer (RFC 6749 §5.1).
    #[error("the token endpoint's answer: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The demand for a nonce could not be met.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The proof could not be made.
    #[error(transparent)]
    Proof(Arc<MakeError>),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The task that renewed the token was ended with the program.
    #[error("the token was being renewed when the program ended")]
    Interrupted,
    /// The session is at its end: there is no refresh token, or the server takes it no more.
    #[error("the session at {issuer} has ended: {reason}")]
    LoginNeeded {
        /// The issuer.
        issuer: String,
        /// Why.
        reason: &'static str,
    },
    /// The session could not be read or kept. A new token that cannot be kept is not used.
    #[error(transparent)]
    Session(Arc<SessionError>),
    /// The server said no.
    #[error("{endpoint} refused: {}", said(*status, *error, description.as_deref()))]
    Refused {
        /// Which endpoint.
        endpoint: String,
        /// The status.
        status: u16,
        /// The code, if it is one that is known.
        error: Option<ErrorCode>,
        /// What the server says about it.
        description: Option<String>,
    },
    /// No answer could be had.
    #[error("{endpoint}: {fault}")]
    Transport {
        /// The token endpoint.
        endpoint: String,
        /// What happened.
        fault: TransportError,
    },
}

impl From<MakeError> for TokenError {
    fn from(fault: MakeError) -> Self {
        Self::Proof(Arc::new(fault))
    }
}

impl From<SessionError> for TokenError {
    fn from(fault: SessionError) -> Self {
        Self::Session(Arc::new(fault))
    }
}

impl From<SignError> for TokenError {
    fn from(fault: SignError) -> Self {
        Self::Assertion(Arc::new(fault))
    }
}

fn said(status: u16, error: Option<ErrorCode>, description: Option<&str>) -> String {
    let code = error.map_or_else(|| "no known error code".to_owned(), |error| error.to_string());
    match description {
        Some(description) => format!("{code} (status {status}): {description}"),
        None => format!("{code} (status {status})"),
    }
}
