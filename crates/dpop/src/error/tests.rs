//! Every variant has a status, a code, a blame, a diagnosis and words. The mappings have no `_` arm: whoever adds a
//! variant is led there by the compiler and adds its row here.

use http::StatusCode;

use super::{
    Blame, Claim, ConfirmationError, CredentialsError, ErrorCode, KeyError, MalformedProof, McpError, NonceError,
    PolicyError, ProofError, Rejection, ReplayError, TokenError,
};
use crate::htu::{HtuDifference, HtuError};
use crate::jose::{Jkt, JsonError, JwsError, JwsPart};
use crate::replay::ReplayStoreError;

type Row = (Rejection, u16, Option<ErrorCode>, &'static str);

fn text() -> String {
    "canary".to_owned()
}

fn row(rejection: impl Into<Rejection>, status: u16, code: Option<ErrorCode>, diagnosis: &'static str) -> Row {
    (rejection.into(), status, code, diagnosis)
}

fn credentials() -> Vec<Row> {
    let (proof, token, request) = codes();
    vec![
        row(CredentialsError::AuthorizationRepeated, 400, request, "H10"),
        row(CredentialsError::Missing, 401, None, "H09"),
        row(CredentialsError::ProofMissing, 401, proof, "H01"),
        row(CredentialsError::ProofNotText, 401, proof, "H02"),
        row(CredentialsError::ProofRepeated, 401, proof, "H02"),
        row(CredentialsError::TokenMalformed, 401, token, "H11"),
        row(CredentialsError::TokenOutsideHeader, 400, request, "H12"),
    ]
}

fn codes() -> (Option<ErrorCode>, Option<ErrorCode>, Option<ErrorCode>) {
    (Some(ErrorCode::InvalidDpopProof), Some(ErrorCode::InvalidToken), Some(ErrorCode::InvalidRequest))
}

fn malformed_and_key() -> Vec<Row> {
    let (proof, ..) = codes();
    let key = |error: KeyError, diagnosis| row(error, 401, proof, diagnosis);
    vec![
        row(MalformedProof::Jws(JwsError::NotThreeParts { found: 2 }), 401, proof, "P01"),
        row(MalformedProof::Json { part: JwsPart::Header, fault: JsonError::MemberRepeated }, 401, proof, "P16"),
        row(MalformedProof::ClaimMissing { claim: Claim::Jti }, 401, proof, "P07"),
        row(MalformedProof::ClaimWrongType { claim: Claim::Iat }, 401, proof, "P07"),
        row(MalformedProof::ClaimLength { claim: Claim::Jti, length: 257, limit: 256 }, 401, proof, "P07"),
        key(KeyError::Missing, "P04"),
        key(KeyError::NotAnObject, "P04"),
        key(KeyError::PrivateMember { member: "d" }, "P05"),
        key(KeyError::UnsupportedType, "P04"),
        key(KeyError::BadMember { member: "x" }, "P04"),
        key(KeyError::AlgMismatch, "P04"),
        key(KeyError::Weak { reason: "1024 bits" }, "P04"),
        key(KeyError::NotOnCurve, "P04"),
    ]
}

fn proof() -> Vec<Row> {
    let row = |error: ProofError, diagnosis| row(error, 401, Some(ErrorCode::InvalidDpopProof), diagnosis);
    let htu = |difference| ProofError::HtuMismatch { expected: text(), found: text(), difference };
    vec![
        row(ProofError::TypMismatch { found: Some(text()) }, "P02"),
        row(ProofError::AlgNotAccepted { found: None, accepted: "ES256".to_owned() }, "P03"),
        row(ProofError::CritNotUnderstood, "P15"),
        row(ProofError::BadSignature, "P06"),
        row(ProofError::HtmMismatch { expected: text(), found: text() }, "P08"),
        row(ProofError::HtuMalformed { fault: HtuError::Scheme }, "P09-form"),
        row(htu(HtuDifference::Scheme), "P09-scheme"),
        row(htu(HtuDifference::Host), "P09-host"),
        row(htu(HtuDifference::Port), "P09-port"),
        row(htu(HtuDifference::TrailingSlash), "P09-slash"),
        row(htu(HtuDifference::PathPrefix), "P09-prefix"),
        row(htu(HtuDifference::PathCase), "P09-case"),
        row(htu(HtuDifference::PathSlashes), "H07"),
        row(htu(HtuDifference::Path), "P09-path"),
        row(ProofError::Stale { age: 90, max_age: 60 }, "P10-old"),
        row(ProofError::Expired { ago: 5 }, "P10-old"),
        row(ProofError::FromFuture { ahead: 90, max_ahead: 10 }, "P10-future"),
        row(ProofError::BeforeEpoch, "P17"),
        row(ProofError::AthMissing, "P11-missing"),
        row(ProofError::AthMismatch, "P11"),
        row(ProofError::AthUnexpected, "P11-extra"),
    ]
}

fn nonce_and_replay() -> Vec<Row> {
    let nonce = |error: NonceError, diagnosis| row(error, 401, Some(ErrorCode::UseDpopNonce), diagnosis);
    let store = |error: ReplayStoreError, status, diagnosis| row(ReplayError::Store(error), status, None, diagnosis);
    vec![
        nonce(NonceError::Missing, "P12-missing"),
        nonce(NonceError::EpochDemandsNonce, "P12-epoch"),
        nonce(NonceError::Unknown, "P12"),
        nonce(NonceError::Expired { age: 121, lifetime: 120 }, "P12-old"),
        row(ReplayError::Replayed, 401, Some(ErrorCode::InvalidDpopProof), "P14"),
        store(ReplayStoreError::Full { capacity: 9 }, 503, "S01"),
        store(ReplayStoreError::Unavailable { reason: text() }, 503, "S01"),
        store(ReplayStoreError::QuotaExhausted { quota: 9 }, 429, "S09"),
    ]
}

fn token() -> Vec<Row> {
    let row_401 = |error: TokenError, diagnosis| row(error, 401, Some(ErrorCode::InvalidToken), diagnosis);
    vec![
        row_401(TokenError::Malformed { reason: text() }, "K08"),
        row_401(TokenError::TypMismatch { found: Some(text()) }, "K07"),
        row_401(TokenError::AlgNotAccepted { found: None }, "K10"),
        row_401(TokenError::IssuerUnknown { found: Some(text()) }, "K01"),
        row_401(TokenError::KeyUnknown { kid: None }, "K01-kid"),
        row_401(TokenError::BadSignature, "K09"),
        row_401(TokenError::Expired { ago: 3 }, "K02"),
        row_401(TokenError::NotYetValid { ahead: 3 }, "K02-early"),
        row_401(TokenError::AudienceMismatch { expected: text(), found: vec![text()] }, "K03"),
        row_401(TokenError::BadClaim { claim: "sub" }, "K11"),
        row_401(TokenError::Inactive, "K06"),
        row(TokenError::IssuerUnavailable { reason: text() }, 503, None, "S10"),
    ]
}

fn confirmation_and_policy() -> Vec<Row> {
    let jkt = |byte| Jkt::from_bytes([byte; 32]);
    let bound = |error: ConfirmationError, diagnosis| row(error, 401, Some(ErrorCode::InvalidToken), diagnosis);
    vec![
        bound(ConfirmationError::Malformed, "B06"),
        bound(ConfirmationError::JktMismatch { token: jkt(1), proof: jkt(2) }, "B01"),
        bound(ConfirmationError::NotBound, "B03"),
        bound(ConfirmationError::MethodNotSupported { method: "x5t#S256".to_owned() }, "B04"),
        bound(ConfirmationError::BoundAsBearer, "B02"),
        bound(ConfirmationError::BearerNotAccepted, "B07"),
        row(PolicyError::InsufficientScope { required: text() }, 403, Some(ErrorCode::InsufficientScope), "K04"),
        row(PolicyError::ForeignAuthority { expected: text(), found: text() }, 421, None, "H13"),
        row(PolicyError::BadTarget, 400, Some(ErrorCode::InvalidRequest), "H14"),
    ]
}

fn mcp() -> Vec<Row> {
    let row = |error: McpError, status, diagnosis| row(PolicyError::Mcp(error), status, None, diagnosis);
    vec![
        row(McpError::NotAllowed, 403, "M01"),
        row(McpError::FieldMismatch { field: "Mcp-Name" }, 400, "M02"),
        row(McpError::Unreadable { reason: "canary" }, 400, "M03"),
        row(McpError::ContentType, 415, "M03"),
        row(McpError::BodyBroken, 400, "M03"),
        row(McpError::BodySlow { limit: 30 }, 408, "M03"),
        row(McpError::TooLarge { limit: 9 }, 413, "M04"),
        row(McpError::VersionTooOld, 400, "M05"),
        row(McpError::HttpMethod, 405, "M06"),
        row(McpError::SessionUnknown, 404, "M07"),
        row(McpError::Busy, 503, "M08"),
        row(McpError::ShareExhausted, 429, "M09"),
    ]
}

fn every_rejection() -> Vec<Row> {
    [credentials(), malformed_and_key(), proof(), nonce_and_replay(), token(), confirmation_and_policy(), mcp()]
        .concat()
}

#[test]
fn every_rejection_has_its_status_code_and_diagnosis() {
    for (rejection, status, code, diagnosis) in every_rejection() {
        assert_eq!(rejection.resource_status().as_u16(), status, "{rejection:?}");
        assert_eq!(rejection.code(), code, "{rejection:?}");
        assert_eq!(rejection.diagnosis().code().id(), diagnosis, "{rejection:?}");
    }
}

#[test]
fn the_server_is_to_blame_for_503_only() {
    for (rejection, status, ..) in every_rejection() {
        let expected = if status == 503 { Blame::Server } else { Blame::Client };
        assert_eq!(rejection.blame(), expected, "{rejection:?}");
    }
}

#[test]
fn the_token_endpoint_answers_400_where_there_is_a_code() {
    for (rejection, status, code, _) in every_rejection() {
        let expected = if code.is_some() || status == 401 { 400 } else { status };
        assert_eq!(
            rejection.token_endpoint_status(),
            StatusCode::from_u16(expected).expect("a status"),
            "{rejection:?}"
        );
    }
}

#[test]
fn descriptions_are_safe_in_a_quoted_string_row_458() {
    for (rejection, ..) in every_rejection() {
        let words = rejection.public_description();
        assert!((1..=80).contains(&words.len()), "{words}");
        assert!(words.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'), "{words}");
        assert!(!words.contains("canary"), "{words}");
    }
}

#[test]
fn a_thief_is_not_told_that_a_proof_was_used() {
    let words = |error: Rejection| error.public_description();
    let replayed = words(ReplayError::Replayed.into());
    assert_eq!(replayed, words(ProofError::BadSignature.into()));
    assert_eq!(replayed, words(ProofError::AthMismatch.into()));
    assert_eq!(replayed, words(ProofError::BeforeEpoch.into()));
    assert!(!replayed.contains(" used"));
}

/// Logs and dashboards count by them.
#[test]
fn names_never_change() {
    let mut names: Vec<_> = every_rejection().iter().map(|(rejection, ..)| rejection.name()).collect();
    names.dedup();
    assert_eq!(names.join(" "), NAMES);
}

const NAMES: &str = "\
    authorization_repeated no_credentials proof_missing proof_not_text proof_repeated token_not_text \
    token_outside_header proof_malformed jwk_missing jwk_malformed jwk_private jwk_unsupported jwk_bad_member \
    jwk_alg_mismatch jwk_weak jwk_not_on_curve proof_typ_mismatch proof_alg_not_accepted proof_crit \
    proof_bad_signature htm_mismatch htu_malformed htu_mismatch proof_stale proof_expired proof_from_future \
    proof_before_epoch ath_missing ath_mismatch ath_unexpected nonce_missing nonce_demanded nonce_unknown \
    nonce_expired replayed replay_store_full replay_store_unavailable replay_quota_exhausted token_malformed \
    token_typ_mismatch token_alg_not_accepted issuer_unknown issuer_key_unknown token_bad_signature token_expired \
    token_not_yet_valid audience_mismatch token_bad_claim token_inactive issuer_unavailable cnf_malformed \
    jkt_mismatch token_not_bound cnf_method_not_supported bound_as_bearer bearer_not_accepted insufficient_scope \
    foreign_authority bad_target mcp_not_allowed mcp_field_mismatch mcp_unreadable mcp_content_type mcp_body_broken \
    mcp_body_slow mcp_too_large mcp_version_too_old mcp_http_method mcp_session_unknown mcp_busy mcp_share_exhausted";

#[test]
fn descriptions_name_what_is_at_fault() {
    for (rejection, ..) in every_rejection() {
        let at_fault = match rejection {
            Rejection::Malformed(_) | Rejection::Key(_) => "DPoP proof",
            Rejection::Confirmation(_) => "access token",
            _ => continue,
        };
        assert!(rejection.public_description().contains(at_fault), "{rejection:?}");
    }
}

#[test]
fn a_diagnosis_says_what_would_have_been_good() {
    let expected = |rejection: Rejection| rejection.diagnosis().expected().map(str::to_owned);
    let of = |claim| expected(MalformedProof::ClaimMissing { claim }.into());
    assert_eq!(of(Claim::Jti).as_deref(), Some("text"));
    assert_eq!(of(Claim::Iat).as_deref(), Some("a number of seconds since 1970"));
    let stale = ProofError::Stale { age: 61, max_age: 60 };
    assert_eq!(expected(stale.into()).as_deref(), Some("at most 60 s old"));
}

#[test]
fn codes_and_claims_are_shown_by_name() {
    assert_eq!(ErrorCode::UseDpopNonce.to_string(), "use_dpop_nonce");
    assert!(MalformedProof::ClaimMissing { claim: Claim::Jti }.to_string().contains("jti"));
    assert_eq!(JwsPart::Header.to_string(), "header");
}
