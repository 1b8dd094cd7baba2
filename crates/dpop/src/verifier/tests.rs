use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::{CheckedProof, ExpectedRequest, Verifier};
use crate::ath::{Ath, ExpectedAth};
use crate::confirm::Confirmation;
use crate::error::{
    ConfirmationError, CredentialsError, KeyError, MalformedProof, NonceError, ProofError, Rejection, ReplayError,
};
use crate::htu::{Htu, PublicOrigin};
use crate::jose::{Algorithm, Algorithms, Jkt, JwsBuffer, JwsError, SoftwareKey, encode_base64url, examples};
use crate::make::{ProofMaker, ProofRequest};
use crate::nonce::{NonceAge, NonceKey, NoncePolicy};
use crate::proof::MAX_PROOF_LENGTH;
use crate::replay::{
    Epoch, EpochId, RealmId, Recorded, Recording, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError,
};
use crate::time::{NumericDate, Timestamp, Window};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const EPOCH: Epoch = Epoch { id: EpochId::from_bytes([9; 16]), floor: Timestamp::from_seconds(1_600_000_000) };
const REALM: &str = "https://rs.example";
const TOKEN: &str = "to.k~en";

fn verifier() -> Verifier {
    Verifier::new(REALM, NonceKey::from_bytes([1; 32]))
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("a key")
}

fn maker() -> ProofMaker {
    ProofMaker::new(Arc::new(key()))
}

fn request() -> ProofRequest<'static> {
    ProofRequest { method: "GET", url: "https://rs.example/a/b?c", token: Some(TOKEN), nonce: None }
}

/// Checks against `GET https://rs.example/a/b` with the token.
fn check(verifier: &Verifier, proof: &str) -> Result<CheckedProof, Rejection> {
    check_at(verifier, proof, &EPOCH, NOW)
}

fn check_at(verifier: &Verifier, proof: &str, epoch: &Epoch, now: Timestamp) -> Result<CheckedProof, Rejection> {
    let htu = PublicOrigin::parse(REALM).expect("an origin").htu("/a/b?d").expect("an htu");
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ExpectedAth::of(TOKEN)) };
    verifier.check(proof, &expected, epoch, now)
}

/// Signs these two JSON texts as they are.
fn sign(key: &SoftwareKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(payload));
    let signature = key.sign_now(input.as_bytes()).expect("a signature");
    format!("{input}.{}", encode_base64url(signature))
}

fn header(key: &SoftwareKey) -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, key.public_jwk().to_json())
}

fn payload() -> String {
    format!(r#"{{"jti":"j","htm":"GET","htu":"https://rs.example/a/b","iat":1700000000,"ath":"{}"}}"#, Ath::of(TOKEN))
}

fn refusal(result: Result<CheckedProof, Rejection>) -> Rejection {
    result.expect_err("a refusal")
}

#[test]
fn takes_a_good_proof_of_every_algorithm() {
    for &algorithm in Algorithm::ALL {
        let maker = ProofMaker::new(Arc::new(examples::key(algorithm)));
        let proof = maker.make_now(&request(), NOW).expect("a proof");
        let checked = check(&verifier(), &proof).expect("a good proof");
        assert_eq!((checked.facts().algorithm(), checked.jkt()), (algorithm, maker.jkt()));
        assert_eq!(checked.facts().iat(), NumericDate::from_seconds(NOW.seconds()));
        assert_eq!(checked.facts().nonce_age(), None);
        let entry = checked.replay_entry(None);
        assert_eq!((entry.not_after, entry.nonce_epoch), (NOW.plus(60), None));
    }
}

#[test]
fn takes_a_proof_without_token_where_none_is_presented() {
    let proof = maker().make_now(&ProofRequest { token: None, ..request() }, NOW).expect("a proof");
    let htu = Htu::parse("https://rs.example/a/b").expect("an htu");
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: None };
    assert!(verifier().check(&proof, &expected, &EPOCH, NOW).is_ok());
    assert_eq!(refusal(check(&verifier(), &proof)), ProofError::AthMissing.into());
}

#[test]
fn the_replay_key_is_made_of_realm_key_and_jti() {
    let key = key();
    let proof = sign(&key, &header(&key), &payload());
    let checked = check(&verifier(), &proof).expect("a good proof");
    let expected = ReplayKey::new(&RealmId::of(REALM), &key.public_jwk().jkt(), "j");
    assert_eq!(checked.replay_entry(None).key, expected);
}

#[test]
fn one_buffer_serves_many_proofs() {
    let (maker, verifier, mut buffer) = (maker(), verifier(), JwsBuffer::new());
    let htu = Htu::parse("https://rs.example/a/b").expect("an htu");
    let expected = ExpectedRequest { method: "GET", htu: &htu, ath: Some(&ExpectedAth::of(TOKEN)) };
    for _ in 0..3 {
        let proof = maker.make_now(&request(), NOW).expect("a proof");
        assert!(verifier.check_in(&proof, &expected, &EPOCH, NOW, &mut buffer).is_ok());
        assert!(verifier.check_in("a.b", &expected, &EPOCH, NOW, &mut buffer).is_err());
    }
}

/// Each text has this fault and all that are looked for later, so the order of the checks is the order of the list.
#[test]
fn the_first_failure_in_the_order_of_the_checks_wins() {
    let key = key();
    let (jwk, private) = (key.public_jwk().to_json(), r#"{"kty":"EC","d":""}"#);
    let header =
        |typ: &str, alg: &str, crit: &str, jwk: &str| format!(r#"{{"typ":"{typ}","alg":"{alg}"{crit},"jwk":{jwk}}}"#);
    let claims = |iat: i64, htm: &str, htu: &str, ath: &str, nonce: &str| {
        format!(r#"{{"jti":"j","iat":{iat},"htm":"{htm}","htu":"{htu}","ath":"{ath}","nonce":"{nonce}"}}"#)
    };
    let (now, ath) = (NOW.seconds(), Ath::of(TOKEN).to_string());
    let right = "https://rs.example/a/b";
    let broken = |header: String, payload: String| {
        let proof = sign(&key, &header, &payload);
        format!("{}.{}", proof.rsplit_once('.').expect("three parts").0, encode_base64url([1; 64]))
    };
    let good = |payload| broken(header("dpop+jwt", "ES256", "", &jwk), payload);
    let bad_claims = || claims(0, "PUT", "x", "x", "x");
    let names: Vec<(String, &str)> = vec![
        ("x".repeat(MAX_PROOF_LENGTH + 1), "P01"),
        (broken("{".to_owned(), bad_claims()), "P16"),
        (broken(header("x", "x", r#","crit":[]"#, private), bad_claims()), "P02"),
        (broken(header("dpop+jwt", "x", r#","crit":[]"#, private), bad_claims()), "P03"),
        (broken(header("dpop+jwt", "ES256", r#","crit":[]"#, private), bad_claims()), "P15"),
        (broken(header("dpop+jwt", "ES256", "", private), bad_claims()), "P05"),
        (good(r#"{"jti":"j","htm":"PUT","htu":"x","iat":"0"}"#.to_owned()), "P07"),
        (good(claims(0, "PUT", "x", "x", "x")), "P10-old"),
        (good(claims(now, "PUT", "x", "x", "x")), "P08"),
        (good(claims(now, "GET", "x", "x", "x")), "P09-form"),
        (good(claims(now, "GET", right, "x", "x")), "P11"),
        (good(claims(now, "GET", right, &ath, "x")), "P12"),
    ];
    for (proof, diagnosis) in names {
        assert_eq!(refusal(check(&verifier(), &proof)).diagnosis().code().id(), diagnosis);
    }
    let last = good(format!(r#"{{"jti":"j","htm":"GET","htu":"{right}","iat":{now},"ath":"{ath}"}}"#));
    assert_eq!(refusal(check(&verifier(), &last)), ProofError::BadSignature.into()); // row 192
}

#[test]
fn a_key_that_is_no_point_is_told_from_a_bad_signature() {
    let key = key();
    let zeros = encode_base64url([0; 32]);
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{zeros}","y":"{zeros}"}}"#);
    let proof = sign(&key, &format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#), &payload());
    assert_eq!(refusal(check(&verifier(), &proof)), KeyError::NotOnCurve.into()); // rows 155, 156
    let other = sign(&key, &header(&self::key()), &payload());
    assert_eq!(refusal(check(&verifier(), &other)), ProofError::BadSignature.into()); // row 193
}

#[test]
fn a_narrowed_list_refuses_the_rest_row_128() {
    let narrowed = Algorithms::all().narrowed_to(&[Algorithm::Ed25519]).expect("a list");
    let proof = maker().make_now(&request(), NOW).expect("a proof");
    let refused = refusal(check(&verifier().with_algorithms(narrowed), &proof));
    let expected = ProofError::AlgNotAccepted { found: Some("ES256".to_owned()), accepted: "Ed25519".to_owned() };
    assert_eq!(refused, expected.into());
}

#[test]
fn a_proof_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let key = key();
    let padded = |json: &str, length: usize| format!(r#"{},"x":"{}"}}"#, &json[..json.len() - 1], "x".repeat(length));
    let room = (MAX_PROOF_LENGTH - sign(&key, &header(&key), &payload()).len()) / 4 * 3;
    // Some lengths are no base64url's, so header and payload have to give and take.
    let at_limit = (0..3)
        .flat_map(|extra| (room - 24..room).map(move |length| (extra, length)))
        .map(|(extra, length)| sign(&key, &padded(&header(&key), extra), &padded(&payload(), length)))
        .find(|proof| proof.len() == MAX_PROOF_LENGTH)
        .expect("a length that fits");
    assert!(check(&verifier(), &at_limit).is_ok()); // row 21
    let longer = format!("{at_limit}A");
    let too_long = MalformedProof::Jws(JwsError::TooLong { length: longer.len(), limit: MAX_PROOF_LENGTH });
    assert_eq!(refusal(check(&verifier(), &longer)), too_long.into()); // row 20
}

#[test]
fn a_used_nonce_and_its_epoch_are_known_afterwards() {
    let verifier = verifier().with_nonce_policy(NoncePolicy::Required);
    let maker = maker();
    let without = maker.make_now(&request(), NOW).expect("a proof");
    assert_eq!(refusal(check(&verifier, &without)), NonceError::Missing.into()); // row 361
    let nonce = verifier.issue_nonce(&EPOCH.id, NOW.plus(-60));
    let with = maker.make_now(&ProofRequest { nonce: Some(&nonce), ..request() }, NOW).expect("a proof");
    let checked = check(&verifier, &with).expect("a good proof");
    assert_eq!(checked.facts().nonce_age(), Some(NonceAge::Ageing));
    assert_eq!(checked.replay_entry(None).nonce_epoch, Some(EPOCH.id));
}

#[test]
fn a_valid_nonce_does_not_excuse_a_stale_iat_row_374() {
    let verifier = verifier();
    let nonce = verifier.issue_nonce(&EPOCH.id, NOW);
    let old = NOW.plus(-3_600);
    let proof = maker().make_now(&ProofRequest { nonce: Some(&nonce), ..request() }, old).expect("a proof");
    assert_eq!(refusal(check(&verifier, &proof)), ProofError::Stale { age: 3_600, max_age: 60 }.into());
}

#[test]
fn a_nonce_is_asked_for_before_the_signature_is_looked_at_row_376() {
    let key = key();
    let proof = sign(&self::key(), &header(&key), &payload());
    let verifier = verifier().with_nonce_policy(NoncePolicy::Required);
    assert_eq!(refusal(check(&verifier, &proof)), NonceError::Missing.into());
}

#[test]
fn without_nonces_a_proof_from_before_the_epoch_is_refused() {
    let verifier = verifier().with_nonce_policy(NoncePolicy::Never);
    let proof = maker().make_now(&request(), NOW).expect("a proof");
    let restarted = Epoch { floor: NOW, ..EPOCH };
    assert_eq!(refusal(check_at(&verifier, &proof, &restarted, NOW)), ProofError::BeforeEpoch.into());
    assert!(check(&verifier, &proof).is_ok());
}

/// Remembers keys, and can be told what to answer.
#[derive(Debug, Default)]
struct Store {
    seen: Mutex<HashSet<ReplayKey>>,
    answer: Option<Result<Recorded, ReplayStoreError>>,
}

impl ReplayStore for Store {
    fn epoch(&self, _now: Timestamp) -> Epoch {
        EPOCH
    }

    fn record<'a>(&'a self, entry: &'a ReplayEntry, _now: Timestamp) -> Recording<'a> {
        let first = self.seen.lock().expect("no panic").insert(entry.key);
        let judged = Ok(if first { Recorded::First } else { Recorded::Replayed });
        Recording::pending(std::future::ready(self.answer.clone().unwrap_or(judged)))
    }
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn record(verifier: &Verifier, maker: &ProofMaker, store: &Store) -> Result<Jkt, Rejection> {
    let proof = maker.make_now(&request(), NOW).expect("a proof");
    let checked = check(verifier, &proof)?;
    let bound = checked.confirm(&Confirmation::bound_to(*maker.jkt()))?;
    finish(bound.record(store, None, NOW)).map(|request| *request.jkt())
}

#[test]
fn a_proof_is_recorded_once_row_326() {
    let (maker, store) = (maker(), Store::default());
    let proof = maker.make_now(&request(), NOW).expect("a proof");
    let record = || {
        let checked = check(&verifier(), &proof)?;
        let bound = checked.confirm(&Confirmation::bound_to(*maker.jkt()))?;
        finish(bound.record(&store, None, NOW)).map(|request| *request.jkt())
    };
    assert_eq!(record(), Ok(*maker.jkt()));
    assert_eq!(record(), Err(ReplayError::Replayed.into()));
}

#[test]
fn a_refused_proof_leaves_no_record() {
    let (maker, store) = (maker(), Store::default());
    let proof = maker.make_now(&request(), NOW).expect("a proof");
    let other = Confirmation::bound_to(Jkt::from_bytes([1; 32]));
    let refused = check(&verifier(), &proof).and_then(|proof| proof.confirm(&other).map(|_| ()));
    assert!(matches!(refused, Err(Rejection::Confirmation(ConfirmationError::JktMismatch { .. }))));
    assert!(store.seen.lock().expect("no panic").is_empty());
}

#[test]
fn a_store_that_cannot_judge_refuses() {
    let down = || ReplayStoreError::Unavailable { reason: "down".to_owned() };
    let store = Store { answer: Some(Err(down())), ..Store::default() };
    assert_eq!(record(&verifier(), &maker(), &store), Err(ReplayError::Store(down()).into())); // row 338
}

#[test]
fn an_epoch_that_begins_between_check_and_record_demands_a_nonce() {
    let store = Store { answer: Some(Ok(Recorded::NonceDemanded)), ..Store::default() };
    assert_eq!(record(&verifier(), &maker(), &store), Err(NonceError::EpochDemandsNonce.into()));
    let never = verifier().with_nonce_policy(NoncePolicy::Never);
    assert_eq!(record(&never, &maker(), &store), Err(ProofError::BeforeEpoch.into()));
}

#[test]
fn the_authorization_server_accepts_by_what_its_transaction_says() {
    let maker = maker();
    let checked = || check(&verifier(), &maker.make_now(&request(), NOW).expect("a proof")).expect("a good proof");
    assert_eq!(checked().accept(Recorded::First).map(|proof| *proof.jkt()), Ok(*maker.jkt()));
    assert_eq!(checked().accept(Recorded::Replayed).map(|_| ()), Err(ReplayError::Replayed.into()));
    let demanded = checked().accept(Recorded::NonceDemanded).map(|_| ());
    assert_eq!(demanded, Err(NonceError::EpochDemandsNonce.into()));
}

#[test]
fn settings_are_kept() {
    let verifier = verifier().with_window(Window::STRICT).with_nonce_policy(NoncePolicy::Required);
    assert_eq!(verifier.realm(), REALM);
    assert_eq!(verifier.window(), Window::STRICT);
    assert_eq!(verifier.nonce_policy(), NoncePolicy::Required);
    assert_eq!(verifier.algorithms().names(), Algorithms::all().names());
    assert_eq!(Rejection::from(CredentialsError::Missing).to_string(), "no access token");
}

#[test]
fn debug_output_holds_no_secret() {
    let checked = check(&verifier(), &maker().make_now(&request(), NOW).expect("a proof")).expect("a good proof");
    let shown = format!("{:?} {checked:?}", verifier());
    assert!(!shown.contains(TOKEN) && !shown.contains("[1, 1, 1"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_panics_whatever_the_proof(text in "\\PC*") {
        let _ = check(&verifier(), &text);
    }

    /// Whatever byte of a good proof is changed, it is refused.
    #[test]
    fn refuses_every_change_of_one_character(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]") {
        let proof = maker().make_now(&request(), NOW).expect("a proof");
        let at = at.index(proof.len());
        prop_assume!(proof[at..=at] != with);
        let changed = format!("{}{with}{}", &proof[..at], &proof[at + 1..]);
        prop_assert!(check(&verifier(), &changed).is_err());
    }

    #[test]
    fn what_is_made_is_taken(
        method in "[A-Z]{1,12}",
        path in "(/[a-zA-Z0-9~._%!@:-]{0,12}){1,5}",
        query in "(\\?[a-z=&]{0,10})?",
        token in "[A-Za-z0-9._~+/-]{1,60}=?",
        nonce in prop::option::of(Just(())),
        ahead in -60_i64..=10,
    ) {
        let origin = PublicOrigin::parse(REALM).expect("an origin");
        let url = format!("{REALM}{path}{query}");
        let Ok(htu) = origin.htu(&format!("{path}{query}")) else { return Ok(()) };
        let verifier = verifier();
        let nonce = nonce.map(|()| verifier.issue_nonce(&EPOCH.id, NOW));
        let request = ProofRequest { method: &method, url: &url, token: Some(&token), nonce: nonce.as_deref() };
        let proof = maker().make_now(&request, NOW.plus(ahead)).expect("a proof");
        let ath = ExpectedAth::of(&token);
        let expected = ExpectedRequest { method: &method, htu: &htu, ath: Some(&ath) };
        let checked = verifier.check(&proof, &expected, &EPOCH, NOW);
        prop_assert!(checked.is_ok(), "{:?}", checked);
    }
}
