//! The total mappings of a rejection: code, blame, status, and the few words that go on the wire. No `_` arm, so that
//! a new variant has to be thought about here.

use http::StatusCode;

use super::{
    Blame, ConfirmationError, CredentialsError, ErrorCode, KeyError, MalformedProof, McpError, NonceError, PolicyError,
    ProofError, Rejection, ReplayError, TokenError,
};
use crate::replay::ReplayStoreError;

/// Where a server answers a rejection, and what it says there.
struct Answer {
    code: Option<ErrorCode>,
    blame: Blame,
    resource: StatusCode,
    token_endpoint: StatusCode,
    words: &'static str,
}

/// What is said of a proof that is good in form but must not be told from another such: a thief who sends a stolen
/// one again is not told that nothing but its age in use was wrong.
const REFUSED: &str = "the DPoP proof was refused";

impl Rejection {
    /// The code for `error`; `None` where OAuth has none: nothing was presented, or the server is at fault.
    pub fn code(&self) -> Option<ErrorCode> {
        self.answer().code
    }

    /// Who has to act for the next request to succeed.
    pub fn blame(&self) -> Blame {
        self.answer().blame
    }

    /// The status at a resource server (RFC 6750 §3.1, RFC 9449 §7.1).
    pub fn resource_status(&self) -> StatusCode {
        self.answer().resource
    }

    /// The status at the token endpoint and its like (RFC 6749 §5.2, RFC 9449 §5): 400 unless the server is at fault
    /// or the client asks too much.
    pub fn token_endpoint_status(&self) -> StatusCode {
        self.answer().token_endpoint
    }

    /// Words for `error_description`: short, printable ASCII, the same whatever the request held, and of no help to
    /// a thief. Evidence stays in the [`Display`](std::fmt::Display) text, which is for logs.
    pub fn public_description(&self) -> &'static str {
        self.answer().words
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Credentials(error) => credentials(*error),
            Self::Malformed(error) => Answer::bad_proof(malformed(error)),
            Self::Key(error) => Answer::bad_proof(key(error)),
            Self::Proof(error) => Answer::bad_proof(proof(error)),
            Self::Nonce(error) => nonce(*error),
            Self::Token(error) => token(error),
            Self::Confirmation(error) => Answer::bad_token(confirmation(error)),
            Self::Policy(error) => policy(error),
            Self::Replay(error) => replay(error),
        }
    }
}

impl Answer {
    const fn client(code: Option<ErrorCode>, resource: StatusCode, words: &'static str) -> Self {
        Self { code, blame: Blame::Client, resource, token_endpoint: StatusCode::BAD_REQUEST, words }
    }

    const fn bad_proof(words: &'static str) -> Self {
        Self::client(Some(ErrorCode::InvalidDpopProof), StatusCode::UNAUTHORIZED, words)
    }

    const fn bad_token(words: &'static str) -> Self {
        Self::client(Some(ErrorCode::InvalidToken), StatusCode::UNAUTHORIZED, words)
    }

    const fn bad_request(words: &'static str) -> Self {
        Self::client(Some(ErrorCode::InvalidRequest), StatusCode::BAD_REQUEST, words)
    }

    /// A client's fault that no other token would mend.
    const fn of_client(status: StatusCode, words: &'static str) -> Self {
        Self::without_code(Blame::Client, status, words)
    }

    /// No OAuth code: those are for what a client can mend.
    const fn without_code(blame: Blame, status: StatusCode, words: &'static str) -> Self {
        Self { code: None, blame, resource: status, token_endpoint: status, words }
    }
}

const fn credentials(error: CredentialsError) -> Answer {
    match error {
        CredentialsError::AuthorizationRepeated => Answer::bad_request("more than one Authorization field"),
        CredentialsError::Missing => Answer::client(None, StatusCode::UNAUTHORIZED, "no access token was presented"),
        CredentialsError::ProofMissing => Answer::bad_proof("the DPoP proof is missing"),
        CredentialsError::ProofNotText => Answer::bad_proof("the DPoP field does not hold one proof"),
        CredentialsError::ProofRepeated => Answer::bad_proof("more than one DPoP field"),
        CredentialsError::TokenMalformed => Answer::bad_token("the access token is malformed"),
        CredentialsError::TokenOutsideHeader => {
            Answer::bad_request("the access token must be sent in the Authorization field only")
        }
    }
}

const fn malformed(error: &MalformedProof) -> &'static str {
    match error {
        MalformedProof::Jws(_) => "the DPoP proof is not a compact JWS",
        MalformedProof::Json { .. } => "the DPoP proof does not hold acceptable JSON",
        MalformedProof::ClaimMissing { .. } => "the DPoP proof lacks a claim",
        MalformedProof::ClaimWrongType { .. } => "a claim of the DPoP proof has the wrong type",
        MalformedProof::ClaimLength { .. } => "a claim of the DPoP proof is empty or too long",
    }
}

const fn key(error: &KeyError) -> &'static str {
    match error {
        KeyError::Missing => "the DPoP proof has no jwk",
        KeyError::PrivateMember { .. } => "the jwk of the DPoP proof is not a public key",
        KeyError::AlgMismatch
        | KeyError::BadMember { .. }
        | KeyError::NotAnObject
        | KeyError::NotOnCurve
        | KeyError::UnsupportedType
        | KeyError::Weak { .. } => "the jwk of the DPoP proof is not acceptable",
    }
}

const fn proof(error: &ProofError) -> &'static str {
    match error {
        ProofError::TypMismatch { .. } => "typ of the DPoP proof is not dpop+jwt",
        ProofError::AlgNotAccepted { .. } => "alg of the DPoP proof is not accepted here",
        ProofError::CritNotUnderstood => "the DPoP proof has critical header parameters",
        ProofError::HtmMismatch { .. } => "htm is not the method of the request",
        ProofError::HtuMalformed { .. } | ProofError::HtuMismatch { .. } => "htu is not the URI of the request",
        ProofError::Stale { .. } | ProofError::Expired { .. } => "the DPoP proof is too old",
        ProofError::FromFuture { .. } => "the DPoP proof is from the future",
        ProofError::AthMissing => "the DPoP proof has no ath",
        ProofError::AthUnexpected => "the DPoP proof has an ath where there is no access token",
        ProofError::BadSignature | ProofError::BeforeEpoch | ProofError::AthMismatch => REFUSED,
    }
}

const fn nonce(error: NonceError) -> Answer {
    let words = match error {
        NonceError::Missing | NonceError::EpochDemandsNonce | NonceError::Unknown | NonceError::Expired { .. } => {
            "use the nonce of this answer in the next DPoP proof"
        }
    };
    Answer::client(Some(ErrorCode::UseDpopNonce), StatusCode::UNAUTHORIZED, words)
}

const fn token(error: &TokenError) -> Answer {
    match error {
        TokenError::Expired { .. } => Answer::bad_token("the access token has expired"),
        TokenError::NotYetValid { .. } => Answer::bad_token("the access token is not valid yet"),
        TokenError::AudienceMismatch { .. } => Answer::bad_token("the access token is for another audience"),
        TokenError::AlgNotAccepted { .. }
        | TokenError::BadClaim { .. }
        | TokenError::BadSignature
        | TokenError::Inactive
        | TokenError::IssuerUnknown { .. }
        | TokenError::KeyUnknown { .. }
        | TokenError::Malformed { .. }
        | TokenError::TypMismatch { .. } => Answer::bad_token("the access token was refused"),
        TokenError::IssuerUnavailable { .. } => Answer::without_code(
            Blame::Server,
            StatusCode::SERVICE_UNAVAILABLE,
            "the access token cannot be judged now",
        ),
    }
}

const fn confirmation(error: &ConfirmationError) -> &'static str {
    match error {
        ConfirmationError::Malformed | ConfirmationError::MethodNotSupported { .. } => {
            "the binding of the access token cannot be confirmed here"
        }
        ConfirmationError::JktMismatch { .. } => "the access token is bound to another key",
        ConfirmationError::NotBound | ConfirmationError::BearerNotAccepted => "the access token is not bound to a key",
        ConfirmationError::BoundAsBearer => "the access token must be sent with the DPoP scheme and a proof",
    }
}

const fn policy(error: &PolicyError) -> Answer {
    match error {
        PolicyError::InsufficientScope { .. } => Answer::client(
            Some(ErrorCode::InsufficientScope),
            StatusCode::FORBIDDEN,
            "the access token lacks a scope that is needed",
        ),
        PolicyError::ForeignAuthority { .. } => {
            Answer::without_code(Blame::Client, StatusCode::MISDIRECTED_REQUEST, "the request is for another authority")
        }
        PolicyError::BadTarget => Answer::bad_request("the target of the request is malformed"),
        PolicyError::Mcp(error) => mcp(*error),
    }
}

/// None has an OAuth code: another token would not help.
const fn mcp(error: McpError) -> Answer {
    match error {
        McpError::NotAllowed => Answer::of_client(StatusCode::FORBIDDEN, "the MCP operation is not allowed here"),
        McpError::FieldMismatch { .. } => {
            Answer::of_client(StatusCode::BAD_REQUEST, "an MCP field does not say what the body says")
        }
        McpError::Unreadable { .. } => {
            Answer::of_client(StatusCode::BAD_REQUEST, "the body is no acceptable MCP message")
        }
        McpError::ContentType => {
            Answer::of_client(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json in UTF-8")
        }
        McpError::TooLarge { .. } => Answer::of_client(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"),
        McpError::BodyBroken => Answer::of_client(StatusCode::BAD_REQUEST, "the body broke off"),
        McpError::BodySlow { .. } => Answer::of_client(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        McpError::VersionTooOld => Answer::of_client(StatusCode::BAD_REQUEST, "the MCP protocol version is too old"),
        McpError::HttpMethod => {
            Answer::of_client(StatusCode::METHOD_NOT_ALLOWED, "the HTTP method is not allowed here")
        }
        McpError::SessionUnknown => Answer::of_client(StatusCode::NOT_FOUND, "the MCP session is unknown"),
        McpError::ShareExhausted => Answer::of_client(StatusCode::TOO_MANY_REQUESTS, "too many requests at once"),
        McpError::Busy => {
            Answer::without_code(Blame::Server, StatusCode::SERVICE_UNAVAILABLE, "too many requests are being read")
        }
    }
}

const fn replay(error: &ReplayError) -> Answer {
    let busy = "the server cannot judge the request now";
    match error {
        ReplayError::Replayed => Answer::bad_proof(REFUSED),
        ReplayError::Store(ReplayStoreError::QuotaExhausted { .. }) => {
            Answer::without_code(Blame::Client, StatusCode::TOO_MANY_REQUESTS, "too many requests at once")
        }
        ReplayError::Store(ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. }) => {
            Answer::without_code(Blame::Server, StatusCode::SERVICE_UNAVAILABLE, busy)
        }
    }
}
