//! From a rejection to its diagnosis: the code, and the evidence. No `_` arm, so that a new variant is thought of.

mod code;

use super::{
    Claim, ConfirmationError, MalformedProof, McpError, NonceError, PolicyError, ProofError, Rejection, ReplayError,
    TokenError,
};
use crate::diagnosis::Diagnosis;
use crate::replay::ReplayStoreError;

impl Rejection {
    /// What is wrong, who has to act and how, with the evidence; without secrets.
    pub fn diagnosis(&self) -> Diagnosis {
        let diagnosis = Diagnosis::new(self.diagnosis_code());
        match self {
            Self::Credentials(_) => diagnosis,
            Self::Malformed(error) => malformed(error, diagnosis),
            Self::Key(error) => diagnosis.with_detail(error.to_string()),
            Self::Proof(error) => proof(error, diagnosis),
            Self::Nonce(error) => nonce(*error, diagnosis),
            Self::Token(error) => token(error, diagnosis),
            Self::Confirmation(error) => confirmation(error, diagnosis),
            Self::Policy(error) => policy(error, diagnosis),
            Self::Replay(error) => replay(error, diagnosis),
        }
    }
}

fn malformed(error: &MalformedProof, diagnosis: Diagnosis) -> Diagnosis {
    let diagnosis = diagnosis.with_detail(error.to_string());
    match error {
        MalformedProof::Jws(_) | MalformedProof::Json { .. } => diagnosis,
        MalformedProof::ClaimMissing { claim }
        | MalformedProof::ClaimWrongType { claim }
        | MalformedProof::ClaimLength { claim, .. } => diagnosis.with_expected(claim_form(*claim)),
    }
}

const fn claim_form(claim: Claim) -> &'static str {
    match claim {
        Claim::Ath | Claim::Htm | Claim::Htu | Claim::Jti | Claim::Nonce => "text",
        Claim::Exp | Claim::Iat | Claim::Nbf => "a number of seconds since 1970",
    }
}

fn proof(error: &ProofError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        ProofError::TypMismatch { found } => with_found(diagnosis.with_expected("dpop+jwt"), found.as_ref()),
        ProofError::AlgNotAccepted { found, accepted } => with_found(diagnosis.with_expected(accepted), found.as_ref()),
        ProofError::HtmMismatch { expected, found } => diagnosis.with_expected(expected).with_found(found),
        ProofError::HtuMalformed { fault } => diagnosis.with_detail(fault.to_string()),
        ProofError::HtuMismatch { expected, found, difference } => {
            diagnosis.with_expected(expected).with_found(found).with_difference(*difference)
        }
        ProofError::Stale { age, max_age } => diagnosis.with_seconds(*age).with_expected(at_most(*max_age, "old")),
        ProofError::Expired { ago } => diagnosis.with_seconds(*ago).with_detail("its own exp has passed"),
        ProofError::FromFuture { ahead, max_ahead } => {
            diagnosis.with_seconds(*ahead).with_expected(at_most(*max_ahead, "ahead"))
        }
        ProofError::CritNotUnderstood
        | ProofError::BadSignature
        | ProofError::BeforeEpoch
        | ProofError::AthMissing
        | ProofError::AthMismatch
        | ProofError::AthUnexpected => diagnosis,
    }
}

fn nonce(error: NonceError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        NonceError::Missing | NonceError::EpochDemandsNonce | NonceError::Unknown => diagnosis,
        NonceError::Expired { age, lifetime } => diagnosis.with_seconds(age).with_expected(at_most(lifetime, "old")),
    }
}

fn token(error: &TokenError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        TokenError::TypMismatch { found } => with_found(diagnosis.with_expected("at+jwt"), found.as_ref()),
        TokenError::AlgNotAccepted { found } | TokenError::IssuerUnknown { found } => {
            with_found(diagnosis, found.as_ref())
        }
        TokenError::KeyUnknown { kid } => with_found(diagnosis, kid.as_ref()),
        TokenError::Expired { ago } => diagnosis.with_seconds(*ago),
        TokenError::NotYetValid { ahead } => diagnosis.with_seconds(*ahead),
        TokenError::AudienceMismatch { expected, found } => {
            diagnosis.with_expected(expected).with_found(found.join(" "))
        }
        TokenError::BadClaim { claim } => diagnosis.with_detail(*claim),
        TokenError::Malformed { reason } | TokenError::IssuerUnavailable { reason } => diagnosis.with_detail(reason),
        TokenError::BadSignature | TokenError::Inactive => diagnosis,
    }
}

fn confirmation(error: &ConfirmationError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        ConfirmationError::JktMismatch { token, proof } => {
            diagnosis.with_expected(token.to_string()).with_found(proof.to_string())
        }
        ConfirmationError::MethodNotSupported { method } => diagnosis.with_found(method),
        ConfirmationError::Malformed
        | ConfirmationError::NotBound
        | ConfirmationError::BoundAsBearer
        | ConfirmationError::BearerNotAccepted => diagnosis,
    }
}

fn policy(error: &PolicyError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        PolicyError::InsufficientScope { required } => diagnosis.with_expected(required),
        PolicyError::ForeignAuthority { expected, found } => diagnosis.with_expected(expected).with_found(found),
        PolicyError::BadTarget => diagnosis,
        PolicyError::Mcp(error) => mcp(*error, diagnosis),
    }
}

fn mcp(error: McpError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        McpError::FieldMismatch { field } => diagnosis.with_detail(field),
        McpError::Unreadable { reason } => diagnosis.with_detail(reason),
        McpError::ContentType | McpError::BodyBroken | McpError::BodySlow { .. } => {
            diagnosis.with_detail(error.to_string())
        }
        McpError::TooLarge { limit } => diagnosis.with_expected(format!("at most {limit} bytes")),
        McpError::NotAllowed
        | McpError::VersionTooOld
        | McpError::HttpMethod
        | McpError::SessionUnknown
        | McpError::ShareExhausted
        | McpError::Busy => diagnosis,
    }
}

fn replay(error: &ReplayError, diagnosis: Diagnosis) -> Diagnosis {
    match error {
        ReplayError::Replayed => diagnosis,
        ReplayError::Store(ReplayStoreError::QuotaExhausted { quota }) => {
            diagnosis.with_expected(format!("at most {quota} live entries"))
        }
        ReplayError::Store(fault @ (ReplayStoreError::Full { .. } | ReplayStoreError::Unavailable { .. })) => {
            diagnosis.with_detail(fault.to_string())
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
