//! What is said of one request in the decision log: an allow-list of fields, none of them secret.

use countersign_dpop::Rejection;
use countersign_dpop::error::{
    ConfirmationError, CredentialsError, KeyError, NonceError, PolicyError, ProofError, ReplayError, TokenError,
};
use countersign_dpop::replay::ReplayStoreError;
use serde::Serialize;

use crate::stage::Stage;

/// One verdict as data. Its JSON form is one line of the decision log.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Decision {
    /// The version of this form.
    pub version: u8,
    /// When, in seconds since 1970, by the clock that the request was judged with.
    pub time: i64,
    /// What became of the request.
    pub outcome: DecisionOutcome,
    /// The stable name of the fault; `ok` when there is none.
    pub code: &'static str,
    /// The OAuth error code that the fault has on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The status of the refusal, in `observe` the one that it would have had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault in words, with evidence that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The checks that were passed, in order.
    pub checks: Vec<Check>,
    /// Seconds by which the client's clock is ahead of ours (negative: behind), by its proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The key that signed the proof, once the signature was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// The route, by its label in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The client, from a verified token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The issuer of the verified token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The stage that was applied.
    pub stage: Stage,
    /// The scheme that the token was presented under.
    pub scheme: PresentedScheme,
    /// Whether the verified token is bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<bool>,
}

impl Decision {
    /// The version that this crate writes.
    pub const VERSION: u8 = 1;

    /// The decision as one line of JSON, without a line break at its end.
    pub fn to_json(&self) -> String {
        // Numbers, texts and lists of them always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionOutcome {
    /// Every check was passed.
    Granted,
    /// Let through although a check failed: the stage is `observe`.
    Observed,
    /// Refused.
    Refused,
}

/// One step of judging.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The request is for this resource and has a usable target.
    Target,
    /// Token and proof were found in the header, once each.
    Credentials,
    /// The proof is good for this request and this token.
    Proof,
    /// The access token is good for this resource.
    Token,
    /// Token and proof belong together.
    Confirmation,
    /// The token allows what the route asks for.
    Policy,
    /// The proof was never seen before.
    Replay,
}

/// The scheme of `Authorization`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PresentedScheme {
    /// No token, or fields that could not be read.
    #[default]
    None,
    /// `Bearer`.
    Bearer,
    /// `DPoP`.
    Dpop,
}

/// The stable name of a fault, for logs and metrics.
pub(crate) const fn fault_name(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Credentials(fault) => credentials_name(*fault),
        Rejection::Malformed(_) => "proof_malformed",
        Rejection::Key(fault) => key_name(fault),
        Rejection::Proof(fault) => proof_name(fault),
        Rejection::Nonce(fault) => nonce_name(*fault),
        Rejection::Token(fault) => token_name(fault),
        Rejection::Confirmation(fault) => confirmation_name(fault),
        Rejection::Policy(fault) => match fault {
            PolicyError::InsufficientScope { .. } => "insufficient_scope",
            PolicyError::ForeignAuthority { .. } => "foreign_authority",
            PolicyError::BadTarget => "bad_target",
        },
        Rejection::Replay(fault) => match fault {
            ReplayError::Replayed => "replayed",
            ReplayError::Store(ReplayStoreError::Full { .. }) => "replay_store_full",
            ReplayError::Store(ReplayStoreError::QuotaExhausted { .. }) => "replay_quota_exhausted",
            ReplayError::Store(ReplayStoreError::Unavailable { .. }) => "replay_store_unavailable",
        },
    }
}

const fn credentials_name(fault: CredentialsError) -> &'static str {
    match fault {
        CredentialsError::AuthorizationRepeated => "authorization_repeated",
        CredentialsError::Missing => "no_credentials",
        CredentialsError::ProofMissing => "proof_missing",
        CredentialsError::ProofNotText => "proof_not_text",
        CredentialsError::ProofRepeated => "proof_repeated",
        CredentialsError::TokenMalformed => "token_not_text",
        CredentialsError::TokenOutsideHeader => "token_outside_header",
    }
}

const fn key_name(fault: &KeyError) -> &'static str {
    match fault {
        KeyError::Missing => "jwk_missing",
        KeyError::NotAnObject => "jwk_malformed",
        KeyError::PrivateMember { .. } => "jwk_private",
        KeyError::UnsupportedType => "jwk_unsupported",
        KeyError::BadMember { .. } => "jwk_bad_member",
        KeyError::AlgMismatch => "jwk_alg_mismatch",
        KeyError::Weak { .. } => "jwk_weak",
        KeyError::NotOnCurve => "jwk_not_on_curve",
    }
}

const fn proof_name(fault: &ProofError) -> &'static str {
    match fault {
        ProofError::TypMismatch { .. } => "proof_typ_mismatch",
        ProofError::AlgNotAccepted { .. } => "proof_alg_not_accepted",
        ProofError::CritNotUnderstood => "proof_crit",
        ProofError::BadSignature => "proof_bad_signature",
        ProofError::HtmMismatch { .. } => "htm_mismatch",
        ProofError::HtuMalformed { .. } => "htu_malformed",
        ProofError::HtuMismatch { .. } => "htu_mismatch",
        ProofError::Stale { .. } => "proof_stale",
        ProofError::Expired { .. } => "proof_expired",
        ProofError::FromFuture { .. } => "proof_from_future",
        ProofError::BeforeEpoch => "proof_before_epoch",
        ProofError::AthMissing => "ath_missing",
        ProofError::AthMismatch => "ath_mismatch",
        ProofError::AthUnexpected => "ath_unexpected",
    }
}

const fn nonce_name(fault: NonceError) -> &'static str {
    match fault {
        NonceError::Missing => "nonce_missing",
        NonceError::EpochDemandsNonce => "nonce_demanded",
        NonceError::Unknown => "nonce_unknown",
        NonceError::Expired { .. } => "nonce_expired",
    }
}

const fn token_name(fault: &TokenError) -> &'static str {
    match fault {
        TokenError::Malformed { .. } => "token_malformed",
        TokenError::TypMismatch { .. } => "token_typ_mismatch",
        TokenError::AlgNotAccepted { .. } => "token_alg_not_accepted",
        TokenError::IssuerUnknown { .. } => "issuer_unknown",
        TokenError::KeyUnknown { .. } => "issuer_key_unknown",
        TokenError::BadSignature => "token_bad_signature",
        TokenError::Expired { .. } => "token_expired",
        TokenError::NotYetValid { .. } => "token_not_yet_valid",
        TokenError::AudienceMismatch { .. } => "audience_mismatch",
        TokenError::BadClaim { .. } => "token_bad_claim",
        TokenError::Inactive => "token_inactive",
        TokenError::IssuerUnavailable { .. } => "issuer_unavailable",
    }
}

const fn confirmation_name(fault: &ConfirmationError) -> &'static str {
    match fault {
        ConfirmationError::Malformed => "cnf_malformed",
        ConfirmationError::JktMismatch { .. } => "jkt_mismatch",
        ConfirmationError::NotBound => "token_not_bound",
        ConfirmationError::MethodNotSupported { .. } => "cnf_method_not_supported",
        ConfirmationError::BoundAsBearer => "bound_as_bearer",
        ConfirmationError::BearerNotAccepted => "bearer_not_accepted",
    }
}
