//! From a rejection to the code of its diagnosis. No `_` arm, so that a new variant has to be given one.

use crate::diagnosis::DiagnosisCode;
use crate::error::{
    ConfirmationError, CredentialsError, KeyError, MalformedProof, McpError, NonceError, PolicyError, ProofError,
    Rejection, ReplayError, TokenError,
};
use crate::htu::HtuDifference;
use crate::replay::ReplayStoreError;

impl Rejection {
    /// The code of [`Rejection::diagnosis`], without gathering the evidence.
    pub const fn diagnosis_code(&self) -> DiagnosisCode {
        match self {
            Self::Credentials(error) => credentials(*error),
            Self::Malformed(error) => malformed(error),
            Self::Key(error) => key(error),
            Self::Proof(error) => proof(error),
            Self::Nonce(error) => nonce(*error),
            Self::Token(error) => token(error),
            Self::Confirmation(error) => confirmation(error),
            Self::Policy(error) => policy(error),
            Self::Replay(error) => replay(error),
        }
    }
}

const fn credentials(error: CredentialsError) -> DiagnosisCode {
    match error {
        CredentialsError::AuthorizationRepeated => DiagnosisCode::AuthorizationRepeated,
        CredentialsError::Missing => DiagnosisCode::TokenMissing,
        CredentialsError::ProofMissing => DiagnosisCode::ProofMissing,
        CredentialsError::ProofNotText | CredentialsError::ProofRepeated => DiagnosisCode::ProofRepeated,
        CredentialsError::TokenMalformed => DiagnosisCode::TokenFieldMalformed,
        CredentialsError::TokenOutsideHeader => DiagnosisCode::TokenOutsideHeader,
    }
}

const fn malformed(error: &MalformedProof) -> DiagnosisCode {
    match error {
        MalformedProof::Jws(_) => DiagnosisCode::ProofNotCompact,
        MalformedProof::Json { .. } => DiagnosisCode::JsonBad,
        MalformedProof::ClaimMissing { .. }
        | MalformedProof::ClaimWrongType { .. }
        | MalformedProof::ClaimLength { .. } => DiagnosisCode::ClaimBad,
    }
}

const fn key(error: &KeyError) -> DiagnosisCode {
    match error {
        KeyError::PrivateMember { .. } => DiagnosisCode::KeyPrivate,
        KeyError::AlgMismatch
        | KeyError::BadMember { .. }
        | KeyError::Missing
        | KeyError::NotAnObject
        | KeyError::NotOnCurve
        | KeyError::UnsupportedType
        | KeyError::Weak { .. } => DiagnosisCode::KeyUnfit,
    }
}

const fn proof(error: &ProofError) -> DiagnosisCode {
    match error {
        ProofError::TypMismatch { .. } => DiagnosisCode::TypMismatch,
        ProofError::AlgNotAccepted { .. } => DiagnosisCode::AlgNotAccepted,
        ProofError::CritNotUnderstood => DiagnosisCode::CritPresent,
        ProofError::BadSignature => DiagnosisCode::SignatureInvalid,
        ProofError::HtmMismatch { .. } => DiagnosisCode::HtmMismatch,
        ProofError::HtuMalformed { .. } => DiagnosisCode::HtuMalformed,
        ProofError::HtuMismatch { difference, .. } => htu(*difference),
        ProofError::Stale { .. } | ProofError::Expired { .. } => DiagnosisCode::ProofStale,
        ProofError::FromFuture { .. } => DiagnosisCode::ProofFromFuture,
        ProofError::BeforeEpoch => DiagnosisCode::BeforeEpoch,
        ProofError::AthMissing => DiagnosisCode::AthMissing,
        ProofError::AthMismatch => DiagnosisCode::AthMismatch,
        ProofError::AthUnexpected => DiagnosisCode::AthUnexpected,
    }
}

const fn htu(difference: HtuDifference) -> DiagnosisCode {
    match difference {
        HtuDifference::Scheme => DiagnosisCode::HtuScheme,
        HtuDifference::Host => DiagnosisCode::HtuHost,
        HtuDifference::Port => DiagnosisCode::HtuPort,
        HtuDifference::TrailingSlash => DiagnosisCode::HtuTrailingSlash,
        HtuDifference::PathPrefix => DiagnosisCode::HtuPrefix,
        HtuDifference::PathCase => DiagnosisCode::HtuCase,
        HtuDifference::PathSlashes => DiagnosisCode::HtuSlashes,
        HtuDifference::Path => DiagnosisCode::HtuPath,
    }
}

const fn nonce(error: NonceError) -> DiagnosisCode {
    match error {
        NonceError::Missing => DiagnosisCode::NonceMissing,
        NonceError::EpochDemandsNonce => DiagnosisCode::NonceForEpoch,
        NonceError::Unknown => DiagnosisCode::NonceUnknown,
        NonceError::Expired { .. } => DiagnosisCode::NonceExpired,
    }
}

const fn token(error: &TokenError) -> DiagnosisCode {
    match error {
        TokenError::Malformed { .. } => DiagnosisCode::TokenMalformed,
        TokenError::TypMismatch { .. } => DiagnosisCode::TokenTypMismatch,
        TokenError::AlgNotAccepted { .. } => DiagnosisCode::TokenAlgNotAccepted,
        TokenError::IssuerUnknown { .. } => DiagnosisCode::IssuerUnknown,
        TokenError::KeyUnknown { .. } => DiagnosisCode::TokenKeyUnknown,
        TokenError::BadSignature => DiagnosisCode::TokenSignatureInvalid,
        TokenError::Expired { .. } => DiagnosisCode::TokenExpired,
        TokenError::NotYetValid { .. } => DiagnosisCode::TokenNotYetValid,
        TokenError::AudienceMismatch { .. } => DiagnosisCode::AudienceMismatch,
        TokenError::BadClaim { .. } => DiagnosisCode::TokenClaimBad,
        TokenError::Inactive => DiagnosisCode::TokenInactive,
        TokenError::IssuerUnavailable { .. } => DiagnosisCode::IssuerUnavailable,
    }
}

const fn confirmation(error: &ConfirmationError) -> DiagnosisCode {
    match error {
        ConfirmationError::Malformed => DiagnosisCode::ConfirmationMalformed,
        ConfirmationError::JktMismatch { .. } => DiagnosisCode::JktMismatch,
        ConfirmationError::NotBound => DiagnosisCode::NotBound,
        ConfirmationError::MethodNotSupported { .. } => DiagnosisCode::MethodNotSupported,
        ConfirmationError::BoundAsBearer => DiagnosisCode::BoundAsBearer,
        ConfirmationError::BearerNotAccepted => DiagnosisCode::BearerNotAccepted,
    }
}

const fn policy(error: &PolicyError) -> DiagnosisCode {
    match error {
        PolicyError::InsufficientScope { .. } => DiagnosisCode::InsufficientScope,
        PolicyError::ForeignAuthority { .. } => DiagnosisCode::AuthorityForeign,
        PolicyError::BadTarget => DiagnosisCode::TargetMalformed,
        PolicyError::Mcp(error) => mcp(*error),
    }
}

const fn mcp(error: McpError) -> DiagnosisCode {
    match error {
        McpError::NotAllowed => DiagnosisCode::McpNotAllowed,
        McpError::FieldMismatch { .. } => DiagnosisCode::McpFieldMismatch,
        McpError::Unreadable { .. } | McpError::ContentType | McpError::BodyBroken | McpError::BodySlow { .. } => {
            DiagnosisCode::McpUnreadable
        }
        McpError::TooLarge { .. } => DiagnosisCode::McpTooLarge,
        McpError::VersionTooOld => DiagnosisCode::McpVersionTooOld,
        McpError::HttpMethod => DiagnosisCode::McpHttpMethod,
        McpError::SessionUnknown => DiagnosisCode::McpSessionUnknown,
        McpError::ShareExhausted => DiagnosisCode::McpShareExhausted,
        McpError::Busy => DiagnosisCode::McpBusy,
    }
}

const fn replay(error: &ReplayError) -> DiagnosisCode {
    match error {
        ReplayError::Replayed => DiagnosisCode::Replayed,
        ReplayError::Store(ReplayStoreError::QuotaExhausted { .. }) => DiagnosisCode::QuotaExhausted,
        ReplayError::Store(ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. }) => {
            DiagnosisCode::StoreUnavailable
        }
    }
}
