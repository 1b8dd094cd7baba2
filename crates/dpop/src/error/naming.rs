//! The stable name of every fault, for logs and metrics. Names never change their meaning.

use super::{
    ConfirmationError, CredentialsError, KeyError, McpError, NonceError, PolicyError, ProofError, Rejection,
    ReplayError, TokenError,
};
use crate::replay::ReplayStoreError;

impl Rejection {
    /// The fault's name, in lower case with underscores: the same in every log line and metric.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Credentials(fault) => credentials_name(*fault),
            Self::Malformed(_) => "proof_malformed",
            Self::Key(fault) => key_name(fault),
            Self::Proof(fault) => proof_name(fault),
            Self::Nonce(fault) => nonce_name(*fault),
            Self::Token(fault) => token_name(fault),
            Self::Confirmation(fault) => confirmation_name(fault),
            Self::Policy(fault) => match fault {
                PolicyError::InsufficientScope { .. } => "insufficient_scope",
                PolicyError::ForeignAuthority { .. } => "foreign_authority",
                PolicyError::BadTarget => "bad_target",
                PolicyError::Mcp(fault) => mcp_name(*fault),
            },
            Self::Replay(fault) => match fault {
                ReplayError::Replayed => "replayed",
                ReplayError::Store(ReplayStoreError::Full { .. }) => "replay_store_full",
                ReplayError::Store(ReplayStoreError::QuotaExhausted { .. }) => "replay_quota_exhausted",
                ReplayError::Store(ReplayStoreError::Unavailable { .. }) => "replay_store_unavailable",
            },
        }
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

const fn mcp_name(fault: McpError) -> &'static str {
    match fault {
        McpError::NotAllowed => "mcp_not_allowed",
        McpError::FieldMismatch { .. } => "mcp_field_mismatch",
        McpError::Unreadable { .. } => "mcp_unreadable",
        McpError::ContentType => "mcp_content_type",
        McpError::TooLarge { .. } => "mcp_too_large",
        McpError::BodyBroken => "mcp_body_broken",
        McpError::BodySlow { .. } => "mcp_body_slow",
        McpError::VersionTooOld => "mcp_version_too_old",
        McpError::HttpMethod => "mcp_http_method",
        McpError::SessionUnknown => "mcp_session_unknown",
        McpError::ShareExhausted => "mcp_share_exhausted",
        McpError::Busy => "mcp_busy",
    }
}
