use countersign_dpop::error::{
    ConfirmationError, CredentialsError, KeyError as JwkError, NonceError, PolicyError, ProofError, ReplayError,
};
use countersign_dpop::jose::{Jkt, SignError};
use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::{NoRandomness, Rejection};
use http::header;

use super::{GrantError, IssueError, Refusal, SubjectError};
use crate::authentication::{AssertionError, ClientError};
use crate::client::AuthMethod;
use crate::form::FormError;
use crate::keys::KeysAway;
use crate::signed_jwt::SignedJwtError;
use crate::storage::StorageError;

/// Status, code and whether there is a Basic challenge.
type Wire = (u16, Option<&'static str>, bool);

const fn bad(code: &'static str) -> Wire {
    (400, Some(code), false)
}

const CLIENT: Wire = (401, Some("invalid_client"), false);
const CLIENT_BASIC: Wire = (401, Some("invalid_client"), true);
const AWAY: Wire = (503, None, false);

fn store(error: ReplayStoreError) -> Refusal {
    Refusal::Proof(ReplayError::from(error).into())
}

fn proof(rejection: impl Into<Rejection>) -> Refusal {
    Refusal::Proof(rejection.into())
}

fn wrong_method(basic: bool) -> Refusal {
    let (registered, used) = (AuthMethod::None, AuthMethod::PrivateKeyJwt);
    ClientError::MethodNotRegistered { registered, used, basic }.into()
}

fn all() -> Vec<(Refusal, Wire)> {
    let jkt = |byte| Jkt::from_bytes([byte; 32]);
    vec![
        (FormError::MediaType.into(), bad("invalid_request")),
        (FormError::TooLong.into(), bad("invalid_request")),
        (FormError::Incomplete.into(), bad("invalid_request")),
        (FormError::Encoding.into(), bad("invalid_request")),
        (FormError::TooManyParameters.into(), bad("invalid_request")),
        (FormError::ParameterRepeated.into(), bad("invalid_request")),
        (FormError::Missing("x").into(), bad("invalid_request")),
        (proof(CredentialsError::ProofRepeated), bad("invalid_dpop_proof")),
        (proof(CredentialsError::ProofNotText), bad("invalid_dpop_proof")),
        (proof(JwkError::Missing), bad("invalid_dpop_proof")),
        (proof(ProofError::BadSignature), bad("invalid_dpop_proof")),
        (proof(ProofError::BeforeEpoch), bad("invalid_dpop_proof")),
        (proof(ReplayError::Replayed), bad("invalid_dpop_proof")),
        (proof(NonceError::Missing), bad("use_dpop_nonce")),
        (proof(NonceError::EpochDemandsNonce), bad("use_dpop_nonce")),
        (proof(ConfirmationError::JktMismatch { token: jkt(1), proof: jkt(2) }), bad("invalid_grant")),
        (proof(PolicyError::BadTarget), bad("invalid_request")),
        (store(ReplayStoreError::QuotaExhausted { quota: 1 }), (429, None, false)),
        (store(ReplayStoreError::Full { capacity: 1 }), AWAY),
        (store(ReplayStoreError::Unavailable { reason: String::new() }), AWAY),
        (ClientError::SeveralMethods.into(), bad("invalid_request")),
        (ClientError::AuthorizationRepeated.into(), bad("invalid_request")),
        (ClientError::AssertionIncomplete.into(), bad("invalid_request")),
        (ClientError::Missing.into(), CLIENT),
        (ClientError::AssertionTypeUnknown.into(), CLIENT),
        (ClientError::ClientIdMismatch.into(), CLIENT),
        (ClientError::ClientUnknown { basic: false }.into(), CLIENT),
        (ClientError::ClientUnknown { basic: true }.into(), CLIENT_BASIC),
        (wrong_method(false), CLIENT),
        (wrong_method(true), CLIENT_BASIC),
        (ClientError::SchemeUnknown.into(), CLIENT_BASIC),
        (ClientError::BasicMalformed.into(), CLIENT_BASIC),
        (ClientError::KeysAway(KeysAway::TooSoon).into(), AWAY),
        (ClientError::SecretWrong { basic: true }.into(), CLIENT_BASIC),
        (ClientError::SecretWrong { basic: false }.into(), CLIENT),
        (ClientError::Assertion(AssertionError::Replayed).into(), CLIENT),
        (ClientError::Assertion(AssertionError::Forgotten).into(), CLIENT),
        (ClientError::Assertion(SignedJwtError::TypMismatch.into()).into(), CLIENT),
        (GrantError::ClientNotRegisteredForGrant.into(), bad("unauthorized_client")),
        (GrantError::GrantTypeUnknown.into(), bad("unsupported_grant_type")),
        (GrantError::ProofRequired.into(), bad("invalid_dpop_proof")),
        (GrantError::ResourceNotNamed.into(), bad("invalid_target")),
        (GrantError::ResourceUnknown.into(), bad("invalid_target")),
        (GrantError::SeveralResources.into(), bad("invalid_target")),
        (GrantError::ResourceBeyondToken.into(), bad("invalid_target")),
        (Refusal::Exchange(SubjectError::Malformed), bad("invalid_request")),
        (Refusal::Exchange(SubjectError::BoundOtherwise), bad("invalid_request")),
        (Refusal::Exchange(SubjectError::Exhausted { most: 1 }), bad("invalid_request")),
        (Refusal::Exchange(SubjectError::ProofRequired), bad("invalid_dpop_proof")),
        (Refusal::Exchange(SubjectError::KeysAway(KeysAway::TooSoon)), AWAY),
        (Refusal::Assertion(SubjectError::Malformed), bad("invalid_grant")),
        (Refusal::Assertion(SubjectError::TypeUnknown), bad("invalid_request")),
        (GrantError::ScopeMalformed.into(), bad("invalid_scope")),
        (GrantError::ScopeNotAllowed.into(), bad("invalid_scope")),
        (StorageError::Unavailable { reason: String::new() }.into(), AWAY),
        (IssueError::from(NoRandomness).into(), AWAY),
        (IssueError::from(SignError::Failed).into(), AWAY),
    ]
}

#[test]
fn every_refusal_has_its_status_and_code() {
    for (refusal, expected) in all() {
        let error = refusal.to_oauth_error();
        let found = (error.status.as_u16(), error.code.map(countersign_dpop::ErrorCode::as_str), error.challenge);
        assert_eq!(found, expected, "{refusal:?}");
        assert_eq!(error.retry_after.is_some(), error.code.is_none(), "{refusal:?}");
    }
}

#[test]
fn every_refusal_is_printable_and_explains_itself_in_the_log_only() {
    for (refusal, _) in all() {
        let error = refusal.to_oauth_error();
        let plain = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte);
        assert!(!error.description.is_empty() && error.description.bytes().all(plain), "{refusal:?}");
        assert!(!refusal.to_string().is_empty());
        let name = refusal.name();
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    }
}

#[test]
fn what_goes_on_the_wire_is_never_cached() {
    use axum::response::IntoResponse;
    for (refusal, (status, _, challenge)) in all() {
        let response = refusal.to_oauth_error().into_response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), challenge);
    }
}
