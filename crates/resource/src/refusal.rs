//! A refusal as it goes on the wire (RFC 6750 §3, RFC 9449 §7.1, §9): short and safe. The evidence stays in the
//! `Rejection`, which is for the log.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use countersign_dpop::error::{ConfirmationError, CredentialsError, ErrorCode, PolicyError, ReplayError, TokenError};
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::{Challenge, Rejection};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// Seconds after which a request that met a store or issuer in trouble may be sent again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Why a request is refused, and the answer that says so. `Debug` does not show the nonce.
#[derive(Clone)]
pub struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) nonce: Option<String>,
}

impl Refusal {
    /// Why.
    pub const fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        status(&self.rejection)
    }

    /// The OAuth error code of the answer, if it has one.
    pub fn code(&self) -> Option<ErrorCode> {
        code(&self.rejection)
    }

    /// The challenges of the answer, in order; empty unless it is a 400, 401 or 403.
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// The whole answer. An answer to HEAD must go out without the body.
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for challenge in &self.challenges {
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
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'static str>,
            error_description: &'a str,
        }
        let description = description(&self.rejection);
        let body = Body { error: self.code().map(ErrorCode::as_str), error_description: &description };
        // Two texts always have a JSON form.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("rejection", &self.rejection).finish_non_exhaustive()
    }
}

/// The status at a resource server.
pub(crate) fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::Credentials(CredentialsError::AuthorizationRepeated | CredentialsError::TokenOutsideHeader)
        | Rejection::Policy(PolicyError::BadTarget) => StatusCode::BAD_REQUEST,
        Rejection::Credentials(
            CredentialsError::Missing
            | CredentialsError::ProofMissing
            | CredentialsError::ProofNotText
            | CredentialsError::ProofRepeated
            | CredentialsError::TokenMalformed,
        )
        | Rejection::Malformed(_)
        | Rejection::Key(_)
        | Rejection::Proof(_)
        | Rejection::Nonce(_)
        | Rejection::Confirmation(_)
        | Rejection::Replay(ReplayError::Replayed) => StatusCode::UNAUTHORIZED,
        Rejection::Token(fault) => token_status(fault),
        Rejection::Policy(PolicyError::InsufficientScope { .. }) => StatusCode::FORBIDDEN,
        Rejection::Policy(PolicyError::ForeignAuthority { .. }) => StatusCode::MISDIRECTED_REQUEST,
        // The client's own doing: its share of the memory is used up.
        Rejection::Replay(ReplayError::Store(ReplayStoreError::QuotaExhausted { .. })) => StatusCode::TOO_MANY_REQUESTS,
        Rejection::Replay(ReplayError::Store(ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. })) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn token_status(fault: &TokenError) -> StatusCode {
    match fault {
        TokenError::Malformed { .. }
        | TokenError::TypMismatch { .. }
        | TokenError::AlgNotAccepted { .. }
        | TokenError::IssuerUnknown { .. }
        | TokenError::KeyUnknown { .. }
        | TokenError::BadSignature
        | TokenError::Expired { .. }
        | TokenError::NotYetValid { .. }
        | TokenError::AudienceMismatch { .. }
        | TokenError::BadClaim { .. }
        | TokenError::Inactive => StatusCode::UNAUTHORIZED,
        TokenError::IssuerUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The OAuth error code at a resource server. None where nothing was presented (RFC 6750 §3.1), where the trouble is
/// the server's own, and where it is not one of OAuth.
pub(crate) fn code(rejection: &Rejection) -> Option<ErrorCode> {
    match rejection {
        Rejection::Credentials(fault) => match fault {
            CredentialsError::Missing => None,
            CredentialsError::AuthorizationRepeated | CredentialsError::TokenOutsideHeader => {
                Some(ErrorCode::InvalidRequest)
            }
            CredentialsError::ProofMissing | CredentialsError::ProofNotText | CredentialsError::ProofRepeated => {
                Some(ErrorCode::InvalidDpopProof)
            }
            CredentialsError::TokenMalformed => Some(ErrorCode::InvalidToken),
        },
        Rejection::Malformed(_)
        | Rejection::Key(_)
        | Rejection::Proof(_)
        | Rejection::Replay(ReplayError::Replayed) => Some(ErrorCode::InvalidDpopProof),
        Rejection::Nonce(_) => Some(ErrorCode::UseDpopNonce),
        Rejection::Token(TokenError::IssuerUnavailable { .. })
        | Rejection::Replay(ReplayError::Store(_))
        | Rejection::Policy(PolicyError::ForeignAuthority { .. }) => None,
        Rejection::Token(_) | Rejection::Confirmation(_) => Some(ErrorCode::InvalidToken),
        Rejection::Policy(PolicyError::InsufficientScope { .. }) => Some(ErrorCode::InsufficientScope),
        Rejection::Policy(PolicyError::BadTarget) => Some(ErrorCode::InvalidRequest),
    }
}

/// One sentence for the person at the client. Never holds anything that came with the request, and nothing of how
/// the server is built.
pub(crate) fn description(rejection: &Rejection) -> Cow<'static, str> {
    match rejection {
        Rejection::Credentials(fault) => fault.to_string().into(),
        Rejection::Malformed(fault) => fault.to_string().into(),
        Rejection::Key(fault) => fault.to_string().into(),
        Rejection::Proof(fault) => fault.to_string().into(),
        Rejection::Nonce(fault) => fault.to_string().into(),
        Rejection::Token(TokenError::IssuerUnavailable { .. }) => "the access token cannot be judged at present".into(),
        Rejection::Token(fault) => fault.to_string().into(),
        // Its name came with the token.
        Rejection::Confirmation(ConfirmationError::MethodNotSupported { .. }) => {
            "the token is bound by a method that cannot be confirmed here".into()
        }
        Rejection::Confirmation(fault) => fault.to_string().into(),
        Rejection::Policy(fault) => fault.to_string().into(),
        Rejection::Replay(ReplayError::Replayed) => "the proof was used before; make a new one for each request".into(),
        Rejection::Replay(ReplayError::Store(ReplayStoreError::QuotaExhausted { .. })) => {
            "too many requests by this client at present".into()
        }
        Rejection::Replay(ReplayError::Store(ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. })) => {
            "the request cannot be judged at present".into()
        }
    }
}
