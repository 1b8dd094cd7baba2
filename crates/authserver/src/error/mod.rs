//! Why a request is refused, as data, with a total mapping to what goes on the wire. What goes on the wire is one of
//! a few fixed sentences; the reason is for the log.

mod naming;
mod subject;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use countersign_dpop::error::ErrorCode;
use countersign_dpop::jose::SignError;
use countersign_dpop::{NoRandomness, Rejection, headers};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

pub(crate) use self::subject::SubjectError;
use crate::authentication::ClientError;
use crate::authorization::AuthorizationError;
use crate::form::FormError;
use crate::operation::Limited;
use crate::seal::SealError;
use crate::storage::StorageError;

/// Why a request is refused, by the stage that refused it. `Display` is for the log and carries no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Form(#[from] FormError),
    #[error(transparent)]
    Proof(Rejection),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The subject or actor token of an exchange.
    #[error("subject token: {0}")]
    Exchange(SubjectError),
    /// The assertion of a JWT bearer grant.
    #[error("assertion: {0}")]
    Assertion(SubjectError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Limited(#[from] Limited),
}

/// The request is authentic but asks for what it cannot have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the approval has ended")]
    ApprovalEnded,
    #[error("the code was redeemed before; what was issued by it has ended")]
    CodeReused,
    #[error("the code is older than codes may become")]
    CodeExpired,
    #[error("the code is another client's")]
    CodeOfAnotherClient,
    #[error("the code is not known")]
    CodeUnknown,
    #[error("the device code is another client's")]
    DeviceOfAnotherClient,
    #[error("the device code is not known")]
    DeviceUnknown,
    #[error("the device code was redeemed before")]
    DeviceRedeemed,
    #[error("the user refused the device")]
    DeviceDenied,
    #[error("nobody has decided in time")]
    DeviceExpired,
    #[error("the user has not decided yet")]
    DevicePending,
    #[error("the device polls too often")]
    DeviceSlowDown,
    #[error("redirect_uri is not that of the authorization request")]
    RedirectUriMismatch,
    #[error("code_verifier is missing")]
    VerifierMissing,
    #[error("code_verifier is not what code_challenge was made of")]
    VerifierWrong,
    #[error("the refresh token has not been used for too long, or its time is over")]
    RefreshExpired,
    #[error("the refresh token is another client's")]
    RefreshOfAnotherClient,
    #[error("the refresh token was used after its successor; the grant has ended")]
    RefreshReused,
    #[error("the refresh token is not known")]
    RefreshUnknown,
    #[error("the resource was not approved")]
    ResourceNotApproved,
    #[error("the client is not registered for this grant")]
    ClientNotRegisteredForGrant,
    #[error("grant_type names a grant that is not offered here")]
    GrantTypeUnknown,
    #[error("the client gets bound tokens only and sent no proof")]
    ProofRequired,
    #[error("there are several resources and the request names none")]
    ResourceNotNamed,
    #[error("the resource is not one that the token is for")]
    ResourceBeyondToken,
    #[error("the resource is not registered")]
    ResourceUnknown,
    #[error("scope is not a list of scope tokens")]
    ScopeMalformed,
    #[error("the scope is more than client and resource have")]
    ScopeNotAllowed,
    #[error("the request names several resources")]
    SeveralResources,
}

/// A token could not be made, which is not the client's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the token cannot be sealed: {0}")]
    Seal(#[from] SealError),
    #[error("the token cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

impl From<NoRandomness> for Refusal {
    fn from(error: NoRandomness) -> Self {
        Self::Issue(error.into())
    }
}

/// A refusal as it goes on the wire (RFC 6749 §5.2).
#[derive(Debug)]
pub(crate) struct OAuthError {
    pub(crate) status: StatusCode,
    /// Absent where no OAuth code fits: the server, not the request, is at fault.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) description: &'static str,
    /// Whether the client tried the `Authorization` field, which obliges to a challenge.
    pub(crate) challenge: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) nonce: Option<String>,
}

impl Refusal {
    /// What goes on the wire. The caller adds the nonce.
    pub(crate) fn to_oauth_error(&self) -> OAuthError {
        match self {
            Self::Form(error) => bad_request(ErrorCode::InvalidRequest, form_description(*error)),
            Self::Proof(rejection) => proof_error(rejection),
            Self::Client(error) => client_error(error),
            Self::Authorization(error) => bad_request(error.code(), error.description()),
            Self::Grant(error) => grant_error(*error),
            // RFC 8693 §2.2.2, RFC 7521 §4.1.1.
            Self::Exchange(error) => subject_error(error, ErrorCode::InvalidRequest),
            Self::Assertion(error) => subject_error(error, ErrorCode::InvalidGrant),
            Self::Limited(Limited::Source | Limited::Client) => OAuthError {
                status: StatusCode::TOO_MANY_REQUESTS,
                ..unavailable("too many requests; come back later")
            },
            Self::Storage(StorageError::Unavailable { .. }) => unavailable("the server cannot judge requests now"),
            Self::Issue(
                IssueError::NoRandomness(_) | IssueError::Sign(_) | IssueError::Seal(_) | IssueError::Write(_),
            ) => unavailable("the server cannot issue tokens now"),
        }
    }
}

fn form_description(error: FormError) -> &'static str {
    match error {
        FormError::MediaType => "the body must be application/x-www-form-urlencoded",
        FormError::TooLong => "the body is too long",
        FormError::Incomplete => "the body did not arrive whole",
        FormError::Encoding => "the form is not percent-encoded UTF-8",
        FormError::TooManyParameters => "the form has too many parameters",
        FormError::ParameterRepeated => "a parameter stands twice in the form",
        FormError::Missing(_) => "a required parameter is missing",
    }
}

/// As the proof core says, but for one: what a grant is bound to is judged here, and that is the grant's fault.
fn proof_error(rejection: &Rejection) -> OAuthError {
    if let Rejection::Confirmation(_) = rejection {
        return bad_request(ErrorCode::InvalidGrant, "the grant is bound to another key");
    }
    let status = rejection.token_endpoint_status();
    let wait = match status {
        StatusCode::TOO_MANY_REQUESTS => Some(SHARE_WAIT),
        StatusCode::SERVICE_UNAVAILABLE => Some(SERVER_WAIT),
        _ => None,
    };
    let (code, description) = (rejection.code(), rejection.public_description());
    OAuthError { status, code, description, challenge: false, retry_after: wait, nonce: None }
}

/// When to come back if the client's share is used up: entries end every few seconds.
const SHARE_WAIT: Duration = Duration::from_secs(10);
/// When to come back if the server is at fault.
const SERVER_WAIT: Duration = Duration::from_secs(1);

fn client_error(error: &ClientError) -> OAuthError {
    match error {
        ClientError::SeveralMethods | ClientError::AuthorizationRepeated => {
            bad_request(ErrorCode::InvalidRequest, "the client authenticates in more than one way")
        }
        ClientError::AssertionIncomplete => {
            bad_request(ErrorCode::InvalidRequest, "client_assertion and client_assertion_type belong together")
        }
        ClientError::Missing
        | ClientError::Public
        | ClientError::AssertionTypeUnknown
        | ClientError::ClientIdMismatch
        | ClientError::ClientUnknown { basic: false }
        | ClientError::MethodNotRegistered { basic: false, .. }
        | ClientError::SecretWrong { basic: false }
        | ClientError::Assertion(_) => client_refused(false),
        ClientError::SchemeUnknown
        | ClientError::BasicMalformed
        | ClientError::SecretWrong { basic: true }
        | ClientError::ClientUnknown { basic: true }
        | ClientError::MethodNotRegistered { basic: true, .. } => client_refused(true),
        ClientError::KeysAway(_) => unavailable("the client's keys cannot be fetched now"),
    }
}

fn client_refused(challenge: bool) -> OAuthError {
    OAuthError {
        status: StatusCode::UNAUTHORIZED,
        challenge,
        ..bad_request(ErrorCode::InvalidClient, "client authentication failed")
    }
}

fn grant_error(error: GrantError) -> OAuthError {
    match error {
        GrantError::ApprovalEnded
        | GrantError::CodeReused
        | GrantError::CodeExpired
        | GrantError::CodeOfAnotherClient
        | GrantError::CodeUnknown
        | GrantError::RedirectUriMismatch
        | GrantError::VerifierMissing
        | GrantError::VerifierWrong => bad_request(ErrorCode::InvalidGrant, "the code is not good for this request"),
        GrantError::RefreshExpired
        | GrantError::RefreshOfAnotherClient
        | GrantError::RefreshReused
        | GrantError::RefreshUnknown => {
            bad_request(ErrorCode::InvalidGrant, "the refresh token is not good for this request")
        }
        GrantError::ResourceNotApproved => bad_request(ErrorCode::InvalidTarget, "the resource was not approved"),
        GrantError::ClientNotRegisteredForGrant => {
            bad_request(ErrorCode::UnauthorizedClient, "the client may not use this grant")
        }
        GrantError::GrantTypeUnknown => bad_request(ErrorCode::UnsupportedGrantType, "this grant is not offered here"),
        GrantError::DeviceOfAnotherClient | GrantError::DeviceUnknown | GrantError::DeviceRedeemed => {
            bad_request(ErrorCode::InvalidGrant, "the device code is not good")
        }
        GrantError::DeviceDenied => bad_request(ErrorCode::AccessDenied, "the user refused"),
        GrantError::DeviceExpired => bad_request(ErrorCode::ExpiredToken, "the device code has expired"),
        GrantError::DevicePending => bad_request(ErrorCode::AuthorizationPending, "the user has not decided yet"),
        GrantError::DeviceSlowDown => bad_request(ErrorCode::SlowDown, "wait five seconds longer between two requests"),
        GrantError::ProofRequired => bad_request(ErrorCode::InvalidDpopProof, "a DPoP proof is required"),
        GrantError::ResourceNotNamed => bad_request(ErrorCode::InvalidTarget, "resource must name one resource"),
        GrantError::ResourceBeyondToken => {
            bad_request(ErrorCode::InvalidTarget, "the resource is not one that the token is for")
        }
        GrantError::ResourceUnknown => bad_request(ErrorCode::InvalidTarget, "the resource is not known here"),
        GrantError::SeveralResources => bad_request(ErrorCode::InvalidTarget, "resource may name one resource only"),
        GrantError::ScopeMalformed => bad_request(ErrorCode::InvalidScope, "scope is malformed"),
        GrantError::ScopeNotAllowed => bad_request(ErrorCode::InvalidScope, "the scope is not available"),
    }
}

fn subject_error(error: &SubjectError, code: ErrorCode) -> OAuthError {
    match error {
        SubjectError::KeysAway(_) => unavailable("the issuer's keys cannot be fetched now"),
        SubjectError::ProofRequired => bad_request(ErrorCode::InvalidDpopProof, "a DPoP proof is required"),
        SubjectError::TypeUnknown | SubjectError::ActorTokenMissing => {
            bad_request(ErrorCode::InvalidRequest, "the token types are not ones that are offered here")
        }
        SubjectError::BoundToAnotherKey(_) | SubjectError::BoundOtherwise => {
            bad_request(code, "the token is bound to another key")
        }
        SubjectError::Exhausted { .. } => bad_request(code, "the token was presented too often"),
        SubjectError::Malformed
        | SubjectError::TypMismatch
        | SubjectError::AlgNotAccepted
        | SubjectError::CritNotUnderstood
        | SubjectError::NotOurs
        | SubjectError::Revoked
        | SubjectError::IssuerNotTrusted
        | SubjectError::ClientNotAllowed
        | SubjectError::AudienceMismatch
        | SubjectError::Expired { .. }
        | SubjectError::FromFuture { .. }
        | SubjectError::SubjectNotAllowed
        | SubjectError::KeyUnknown
        | SubjectError::BadSignature
        | SubjectError::ActorTokenOfAnother
        | SubjectError::ActorsTooDeep => bad_request(code, "the token is not acceptable"),
    }
}

fn bad_request(code: ErrorCode, description: &'static str) -> OAuthError {
    OAuthError {
        status: StatusCode::BAD_REQUEST,
        code: Some(code),
        description,
        challenge: false,
        retry_after: None,
        nonce: None,
    }
}

fn unavailable(description: &'static str) -> OAuthError {
    OAuthError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: None,
        description,
        challenge: false,
        retry_after: Some(SERVER_WAIT),
        nonce: None,
    }
}

#[derive(Serialize)]
struct ErrorBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    error_description: &'static str,
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.code.map(ErrorCode::as_str), error_description: self.description };
        let mut response = (self.status, axum::Json(body)).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        if self.challenge {
            fields.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Basic realm="token endpoint", charset="UTF-8""#),
            );
        }
        if let Some(wait) = self.retry_after {
            fields.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if let Some(nonce) = self.nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            fields.insert(headers::DPOP_NONCE, nonce);
        }
        response
    }
}
