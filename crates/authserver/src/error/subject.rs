//! Why a token that was presented to get another is refused.

use countersign_dpop::error::ConfirmationError;

use crate::keys::KeysAway;

/// What is wrong with a subject token (RFC 8693), an actor token or an assertion (RFC 7523). Carries nothing of it but
/// times and thumbprints.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SubjectError {
    #[error("not a JWT of the right shape")]
    Malformed,
    #[error("a token of a type that is not taken")]
    TypeUnknown,
    #[error("typ, or what it says, is that of something else")]
    TypMismatch,
    #[error("the algorithm is not accepted")]
    AlgNotAccepted,
    #[error("it has critical extensions")]
    CritNotUnderstood,
    #[error("not a token of this server, or one that has ended")]
    NotOurs,
    #[error("it was revoked")]
    Revoked,
    #[error("its issuer is not trusted")]
    IssuerNotTrusted,
    #[error("the client may not present tokens of its issuer")]
    ClientNotAllowed,
    #[error("it is not for the audience that is demanded")]
    AudienceMismatch,
    #[error("it ended {ago} s ago")]
    Expired { ago: i64 },
    #[error("it begins {ahead} s ahead")]
    FromFuture { ahead: i64 },
    #[error("it has no subject, or one that is not taken")]
    SubjectNotAllowed,
    #[error("its issuer has no key that could have signed it")]
    KeyUnknown,
    #[error("the signature does not verify")]
    BadSignature,
    #[error("the issuer's keys cannot be had: {0}")]
    KeysAway(#[from] KeysAway),
    #[error("a proof is required")]
    ProofRequired,
    #[error("{0}")]
    BoundToAnotherKey(ConfirmationError),
    #[error("it is bound by something that cannot be confirmed here")]
    BoundOtherwise,
    #[error("it was presented {most} times, which is as often as is allowed")]
    Exhausted { most: u32 },
    #[error("actor_token_type without actor_token")]
    ActorTokenMissing,
    #[error("the actor token is another client's")]
    ActorTokenOfAnother,
    #[error("too many act for one another")]
    ActorsTooDeep,
}

impl SubjectError {
    /// The name in logs and metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Malformed => "subject_token_malformed",
            Self::TypeUnknown => "subject_token_type_unknown",
            Self::TypMismatch => "subject_token_typ_mismatch",
            Self::AlgNotAccepted => "subject_token_alg_not_accepted",
            Self::CritNotUnderstood => "subject_token_crit",
            Self::NotOurs => "subject_token_not_ours",
            Self::Revoked => "subject_token_revoked",
            Self::IssuerNotTrusted => "subject_token_issuer_not_trusted",
            Self::ClientNotAllowed => "subject_token_client_not_allowed",
            Self::AudienceMismatch => "subject_token_audience_mismatch",
            Self::Expired { .. } => "subject_token_expired",
            Self::FromFuture { .. } => "subject_token_from_future",
            Self::SubjectNotAllowed => "subject_token_subject_not_allowed",
            Self::KeyUnknown => "subject_token_key_unknown",
            Self::BadSignature => "subject_token_bad_signature",
            Self::KeysAway(_) => "subject_token_keys_away",
            Self::ProofRequired => "proof_required",
            Self::BoundToAnotherKey(_) => "subject_token_of_another_key",
            Self::BoundOtherwise => "subject_token_bound_otherwise",
            Self::Exhausted { .. } => "subject_token_exhausted",
            Self::ActorTokenMissing => "actor_token_missing",
            Self::ActorTokenOfAnother => "actor_token_of_another",
            Self::ActorsTooDeep => "actors_too_deep",
        }
    }
}
