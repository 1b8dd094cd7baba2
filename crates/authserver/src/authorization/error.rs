//! Why an authorization request is refused. At the pushing endpoint it is an answer in JSON, in the browser a redirect.

use countersign_dpop::error::ErrorCode;

use super::RequestObjectError;

/// Why an authorization request, from a client that is known and with a redirect URI that is its own, is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AuthorizationError {
    #[error("a parameter stands twice")]
    Repeated,
    #[error("the client is not registered for authorization codes")]
    ClientNotRegistered,
    #[error("response_type is missing")]
    ResponseTypeMissing,
    #[error("response_type is not code")]
    ResponseTypeUnsupported,
    #[error("response_mode is not query")]
    ResponseModeUnsupported,
    #[error("state is longer than the server returns")]
    StateLength,
    #[error("code_challenge is missing")]
    ChallengeMissing,
    #[error("code_challenge is not 43 characters of base64url")]
    ChallengeMalformed,
    #[error("code_challenge_method is not S256")]
    ChallengeMethod,
    #[error("scope is not a list of scope tokens")]
    ScopeMalformed,
    #[error("the scope is more than client and resources have")]
    ScopeNotAllowed,
    #[error("a resource is not registered")]
    ResourceUnknown,
    #[error("there are several resources and the request names none")]
    ResourceNotNamed,
    #[error("dpop_jkt is not 43 characters of base64url")]
    JktMalformed,
    #[error("dpop_jkt is not the key of the proof")]
    JktMismatch,
    #[error("prompt is not known, or not consistent")]
    PromptUnknown,
    #[error("prompt is none and nobody is signed in")]
    LoginRequired,
    #[error("prompt is none and consent is always asked for")]
    ConsentRequired,
    #[error("the request must be pushed")]
    PushRequired,
    #[error("request_uri in a pushed request")]
    RequestUriPushed,
    #[error("a request object outside the pushing endpoint")]
    RequestObjectNotPushed,
    #[error("the client must sign its requests")]
    SignatureRequired,
    #[error("request object: {0}")]
    RequestObject(#[from] RequestObjectError),
    #[error("redirect_uri: {0}")]
    Redirect(#[from] super::RedirectError),
    #[error("authorization_details is not an array of objects with a type that the client may use")]
    Details,
    #[error("the user refused")]
    Denied,
}

impl AuthorizationError {
    /// The code on the wire.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Repeated
            | Self::ResponseTypeMissing
            | Self::ResponseModeUnsupported
            | Self::StateLength
            | Self::ChallengeMissing
            | Self::ChallengeMalformed
            | Self::ChallengeMethod
            | Self::JktMalformed
            | Self::JktMismatch
            | Self::PromptUnknown
            | Self::PushRequired
            | Self::RequestUriPushed
            | Self::RequestObjectNotPushed
            | Self::Redirect(_) => ErrorCode::InvalidRequest,
            Self::SignatureRequired | Self::RequestObject(_) => ErrorCode::InvalidRequestObject,
            Self::ClientNotRegistered => ErrorCode::UnauthorizedClient,
            Self::ResponseTypeUnsupported => ErrorCode::UnsupportedResponseType,
            Self::ScopeMalformed | Self::ScopeNotAllowed => ErrorCode::InvalidScope,
            Self::ResourceUnknown | Self::ResourceNotNamed => ErrorCode::InvalidTarget,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ConsentRequired => ErrorCode::ConsentRequired,
            Self::Details => ErrorCode::InvalidAuthorizationDetails,
            Self::Denied => ErrorCode::AccessDenied,
        }
    }

    /// A fixed sentence for the wire.
    pub(crate) const fn description(&self) -> &'static str {
        match self {
            Self::Repeated => "a parameter stands twice in the request",
            Self::ClientNotRegistered => "the client may not ask for authorization codes",
            Self::ResponseTypeMissing => "response_type is missing",
            Self::ResponseTypeUnsupported => "response_type must be code",
            Self::ResponseModeUnsupported => "response_mode must be query",
            Self::StateLength => "state is too long",
            Self::ChallengeMissing => "code_challenge is missing",
            Self::ChallengeMalformed => "code_challenge is malformed",
            Self::ChallengeMethod => "code_challenge_method must be S256",
            Self::ScopeMalformed => "scope is malformed",
            Self::ScopeNotAllowed => "the scope is not available",
            Self::ResourceUnknown => "a resource is not known here",
            Self::ResourceNotNamed => "resource must name a resource",
            Self::JktMalformed => "dpop_jkt is malformed",
            Self::JktMismatch => "dpop_jkt is not the key of the proof",
            Self::PromptUnknown => "prompt is not known here",
            Self::LoginRequired => "the user has to sign in",
            Self::ConsentRequired => "the user has to be asked",
            Self::PushRequired => "the request must be pushed",
            Self::RequestUriPushed => "request_uri cannot stand in a pushed request",
            Self::RequestObjectNotPushed => "a request object must be pushed",
            Self::SignatureRequired => "the request must be signed",
            Self::RequestObject(_) => "the request object is not acceptable",
            Self::Redirect(_) => "redirect_uri must be one that the client has registered",
            Self::Details => "authorization_details is not acceptable",
            Self::Denied => "the user refused",
        }
    }

    /// The stable name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Repeated => "parameter_repeated",
            Self::ClientNotRegistered => "grant_not_registered",
            Self::ResponseTypeMissing => "response_type_missing",
            Self::ResponseTypeUnsupported => "response_type_unsupported",
            Self::ResponseModeUnsupported => "response_mode_unsupported",
            Self::StateLength => "state_too_long",
            Self::ChallengeMissing => "code_challenge_missing",
            Self::ChallengeMalformed => "code_challenge_malformed",
            Self::ChallengeMethod => "code_challenge_method",
            Self::ScopeMalformed => "scope_malformed",
            Self::ScopeNotAllowed => "scope_not_allowed",
            Self::ResourceUnknown => "resource_unknown",
            Self::ResourceNotNamed => "resource_not_named",
            Self::JktMalformed => "dpop_jkt_malformed",
            Self::JktMismatch => "dpop_jkt_mismatch",
            Self::PromptUnknown => "prompt_unknown",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::PushRequired => "push_required",
            Self::RequestUriPushed => "request_uri_pushed",
            Self::RequestObjectNotPushed => "request_object_not_pushed",
            Self::SignatureRequired => "request_not_signed",
            Self::RequestObject(error) => error.name(),
            Self::Redirect(_) => "redirect_uri_refused",
            Self::Details => "authorization_details",
            Self::Denied => "denied_by_user",
        }
    }
}
