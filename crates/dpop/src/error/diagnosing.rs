//! From a rejection to its diagnosis. No `_` arm, so that a new variant has to be given one.

use super::{
    Claim, ConfirmationError, CredentialsError, KeyError, MalformedProof, McpError, NonceError, PolicyError,
    ProofError, Rejection, ReplayError, TokenError,
};
use crate::diagnosis::{Diagnosis, DiagnosisCode};
use crate::htu::HtuDifference;
use crate::replay::ReplayStoreError;

impl Rejection {
    /// What is wrong, who has to act and how, with the evidence; without secrets.
    pub fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Credentials(error) => Diagnosis::new(credentials(*error)),
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

fn malformed(error: &MalformedProof) -> Diagnosis {
    let code = match error {
        MalformedProof::Jws(_) => DiagnosisCode::ProofNotCompact,
        MalformedProof::Json { .. } => DiagnosisCode::JsonBad,
        MalformedProof::ClaimMissing { claim }
        | MalformedProof::ClaimWrongType { claim }
        | MalformedProof::ClaimLength { claim, .. } => {
            return Diagnosis::new(DiagnosisCode::ClaimBad)
                .with_expected(claim_form(*claim))
                .with_detail(error.to_string());
        }
    };
    Diagnosis::new(code).with_detail(error.to_string())
}

const fn claim_form(claim: Claim) -> &'static str {
    match claim {
        Claim::Ath | Claim::Htm | Claim::Htu | Claim::Jti | Claim::Nonce => "text",
        Claim::Exp | Claim::Iat | Claim::Nbf => "a number of seconds since 1970",
    }
}

fn key(error: &KeyError) -> Diagnosis {
    let code = match error {
        KeyError::PrivateMember { .. } => DiagnosisCode::KeyPrivate,
        KeyError::AlgMismatch
        | KeyError::BadMember { .. }
        | KeyError::Missing
        | KeyError::NotAnObject
        | KeyError::NotOnCurve
        | KeyError::UnsupportedType
        | KeyError::Weak { .. } => DiagnosisCode::KeyUnfit,
    };
    Diagnosis::new(code).with_detail(error.to_string())
}

fn proof(error: &ProofError) -> Diagnosis {
    match error {
        ProofError::TypMismatch { found } => {
            with_found(Diagnosis::new(DiagnosisCode::TypMismatch).with_expected("dpop+jwt"), found.as_ref())
        }
        ProofError::AlgNotAccepted { found, accepted } => {
            with_found(Diagnosis::new(DiagnosisCode::AlgNotAccepted).with_expected(accepted), found.as_ref())
        }
        ProofError::CritNotUnderstood => Diagnosis::new(DiagnosisCode::CritPresent),
        ProofError::BadSignature => Diagnosis::new(DiagnosisCode::SignatureInvalid),
        ProofError::HtmMismatch { expected, found } => {
            Diagnosis::new(DiagnosisCode::HtmMismatch).with_expected(expected).with_found(found)
        }
        ProofError::HtuMalformed { fault } => {
            Diagnosis::new(DiagnosisCode::HtuMalformed).with_detail(fault.to_string())
        }
        ProofError::HtuMismatch { expected, found, difference } => {
            Diagnosis::new(htu_code(*difference)).with_expected(expected).with_found(found).with_difference(*difference)
        }
        ProofError::Stale { age, max_age } => {
            Diagnosis::new(DiagnosisCode::ProofStale).with_seconds(*age).with_expected(at_most(*max_age, "old"))
        }
        ProofError::Expired { ago } => {
            Diagnosis::new(DiagnosisCode::ProofStale).with_seconds(*ago).with_detail("its own exp has passed")
        }
        ProofError::FromFuture { ahead, max_ahead } => Diagnosis::new(DiagnosisCode::ProofFromFuture)
            .with_seconds(*ahead)
            .with_expected(at_most(*max_ahead, "ahead")),
        ProofError::BeforeEpoch => Diagnosis::new(DiagnosisCode::BeforeEpoch),
        ProofError::AthMissing => Diagnosis::new(DiagnosisCode::AthMissing),
        ProofError::AthMismatch => Diagnosis::new(DiagnosisCode::AthMismatch),
        ProofError::AthUnexpected => Diagnosis::new(DiagnosisCode::AthUnexpected),
    }
}

const fn htu_code(difference: HtuDifference) -> DiagnosisCode {
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

fn nonce(error: NonceError) -> Diagnosis {
    match error {
        NonceError::Missing => Diagnosis::new(DiagnosisCode::NonceMissing),
        NonceError::EpochDemandsNonce => Diagnosis::new(DiagnosisCode::NonceForEpoch),
        NonceError::Unknown => Diagnosis::new(DiagnosisCode::NonceUnknown),
        NonceError::Expired { age, lifetime } => {
            Diagnosis::new(DiagnosisCode::NonceExpired).with_seconds(age).with_expected(at_most(lifetime, "old"))
        }
    }
}

fn token(error: &TokenError) -> Diagnosis {
    match error {
        TokenError::Malformed { reason } => Diagnosis::new(DiagnosisCode::TokenMalformed).with_detail(reason),
        TokenError::TypMismatch { found } => {
            with_found(Diagnosis::new(DiagnosisCode::TokenTypMismatch).with_expected("at+jwt"), found.as_ref())
        }
        TokenError::AlgNotAccepted { found } => {
            with_found(Diagnosis::new(DiagnosisCode::TokenAlgNotAccepted), found.as_ref())
        }
        TokenError::IssuerUnknown { found } => with_found(Diagnosis::new(DiagnosisCode::IssuerUnknown), found.as_ref()),
        TokenError::KeyUnknown { kid } => with_found(Diagnosis::new(DiagnosisCode::TokenKeyUnknown), kid.as_ref()),
        TokenError::BadSignature => Diagnosis::new(DiagnosisCode::TokenSignatureInvalid),
        TokenError::Expired { ago } => Diagnosis::new(DiagnosisCode::TokenExpired).with_seconds(*ago),
        TokenError::NotYetValid { ahead } => Diagnosis::new(DiagnosisCode::TokenNotYetValid).with_seconds(*ahead),
        TokenError::AudienceMismatch { expected, found } => {
            Diagnosis::new(DiagnosisCode::AudienceMismatch).with_expected(expected).with_found(found.join(" "))
        }
        TokenError::BadClaim { claim } => Diagnosis::new(DiagnosisCode::TokenClaimBad).with_detail(*claim),
        TokenError::Inactive => Diagnosis::new(DiagnosisCode::TokenInactive),
        TokenError::IssuerUnavailable { reason } => {
            Diagnosis::new(DiagnosisCode::IssuerUnavailable).with_detail(reason)
        }
    }
}

fn confirmation(error: &ConfirmationError) -> Diagnosis {
    match error {
        ConfirmationError::Malformed => Diagnosis::new(DiagnosisCode::ConfirmationMalformed),
        ConfirmationError::JktMismatch { token, proof } => {
            Diagnosis::new(DiagnosisCode::JktMismatch).with_expected(token.to_string()).with_found(proof.to_string())
        }
        ConfirmationError::NotBound => Diagnosis::new(DiagnosisCode::NotBound),
        ConfirmationError::MethodNotSupported { method } => {
            Diagnosis::new(DiagnosisCode::MethodNotSupported).with_found(method)
        }
        ConfirmationError::BoundAsBearer => Diagnosis::new(DiagnosisCode::BoundAsBearer),
        ConfirmationError::BearerNotAccepted => Diagnosis::new(DiagnosisCode::BearerNotAccepted),
    }
}

fn policy(error: &PolicyError) -> Diagnosis {
    match error {
        PolicyError::InsufficientScope { required } => {
            Diagnosis::new(DiagnosisCode::InsufficientScope).with_expected(required)
        }
        PolicyError::ForeignAuthority { expected, found } => {
            Diagnosis::new(DiagnosisCode::AuthorityForeign).with_expected(expected).with_found(found)
        }
        PolicyError::BadTarget => Diagnosis::new(DiagnosisCode::TargetMalformed),
        PolicyError::Mcp(error) => mcp(*error),
    }
}

fn mcp(error: McpError) -> Diagnosis {
    match error {
        McpError::NotAllowed => Diagnosis::new(DiagnosisCode::McpNotAllowed),
        McpError::FieldMismatch { field } => Diagnosis::new(DiagnosisCode::McpFieldMismatch).with_detail(field),
        McpError::Unreadable { reason } => Diagnosis::new(DiagnosisCode::McpUnreadable).with_detail(reason),
        fault @ (McpError::ContentType | McpError::BodyBroken | McpError::BodySlow { .. }) => {
            Diagnosis::new(DiagnosisCode::McpUnreadable).with_detail(fault.to_string())
        }
        McpError::TooLarge { limit } => {
            Diagnosis::new(DiagnosisCode::McpTooLarge).with_expected(format!("at most {limit} bytes"))
        }
        McpError::VersionTooOld => Diagnosis::new(DiagnosisCode::McpVersionTooOld),
        McpError::HttpMethod => Diagnosis::new(DiagnosisCode::McpHttpMethod),
        McpError::SessionUnknown => Diagnosis::new(DiagnosisCode::McpSessionUnknown),
        McpError::ShareExhausted => Diagnosis::new(DiagnosisCode::McpShareExhausted),
        McpError::Busy => Diagnosis::new(DiagnosisCode::McpBusy),
    }
}

fn replay(error: &ReplayError) -> Diagnosis {
    match error {
        ReplayError::Replayed => Diagnosis::new(DiagnosisCode::Replayed),
        ReplayError::Store(ReplayStoreError::QuotaExhausted { quota }) => {
            Diagnosis::new(DiagnosisCode::QuotaExhausted).with_expected(format!("at most {quota} live entries"))
        }
        ReplayError::Store(fault @ (ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. })) => {
            Diagnosis::new(DiagnosisCode::StoreUnavailable).with_detail(fault.to_string())
        }
    }
}

fn with_found(diagnosis: Diagnosis, found: Option<&String>) -> Diagnosis {
    match found {
        Some(found) => diagnosis.with_found(found),
        None => diagnosis,
    }
}

fn at_most(seconds: i64, what: &str) -> String {
    format!("at most {seconds} s {what}")
}
