use proptest::prelude::*;

use super::{check_ath, check_htm, check_htu, check_nonce, check_time};
use crate::ath::{Ath, ExpectedAth};
use crate::error::{NonceError, ProofError, Rejection};
use crate::htu::{Htu, HtuDifference, HtuError};
use crate::nonce::{NonceAge, NonceIssuer, NonceKey, NoncePolicy};
use crate::proof::Claims;
use crate::replay::{Epoch, EpochId};
use crate::time::{NumericDate, Timestamp, Window};

const NOW: i64 = 1_700_000_000;

fn claims() -> Claims<'static> {
    Claims {
        jti: "j".into(),
        htm: "GET".into(),
        htu: "https://rs.example/a/b".into(),
        iat: NumericDate::from_seconds(NOW),
        ath: None,
        nonce: None,
        exp: None,
        nbf: None,
    }
}

fn fraction(seconds: f64) -> NumericDate {
    NumericDate::from_f64(seconds).expect("a number")
}

fn time_of(iat: NumericDate, window: Window) -> Result<(), ProofError> {
    check_time(&Claims { iat, ..claims() }, window, Timestamp::from_seconds(NOW))
}

#[test]
fn takes_iat_at_both_edges_of_every_window_and_not_beyond_row_248() {
    for name in ["rfc", "strict", "fapi2", "mcp", "atproto"] {
        let window = Window::preset(name).expect("a preset");
        let (age, ahead) = (window.max_age(), window.max_ahead());
        let at = |offset: i64| time_of(NumericDate::from_seconds(NOW + offset), window);
        assert_eq!(at(0), Ok(()), "{name}");
        assert_eq!(at(-age), Ok(()), "{name}");
        assert_eq!(at(-age - 1), Err(ProofError::Stale { age: age + 1, max_age: age }), "{name}");
        assert_eq!(at(ahead), Ok(()), "{name}");
        assert_eq!(at(ahead + 1), Err(ProofError::FromFuture { ahead: ahead + 1, max_ahead: ahead }), "{name}");
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "the seconds of this century are exact in f64")]
fn takes_fractions_of_a_second_by_their_exact_value_row_236() {
    let at = |offset: f64| time_of(fraction(NOW as f64 + offset), Window::RFC);
    assert_eq!(at(0.5), Ok(()));
    assert_eq!(at(-59.5), Ok(()));
    assert_eq!(at(-60.0), Ok(()));
    assert_eq!(at(-60.5), Err(ProofError::Stale { age: 61, max_age: 60 }));
    assert_eq!(at(10.0), Ok(()));
    assert_eq!(at(10.5), Err(ProofError::FromFuture { ahead: 11, max_ahead: 10 }));
}

#[test]
fn refuses_times_far_away_without_overflow() {
    let stale = |iat| matches!(time_of(iat, Window::RFC), Err(ProofError::Stale { .. }));
    let ahead = |iat| matches!(time_of(iat, Window::RFC), Err(ProofError::FromFuture { .. }));
    assert!(stale(NumericDate::from_seconds(i64::MIN))); // row 239
    assert!(stale(NumericDate::from_seconds(-1))); // row 240
    assert!(stale(fraction(-1e300)));
    assert!(stale(fraction(f64::NEG_INFINITY)));
    assert!(ahead(NumericDate::from_seconds(i64::MAX))); // row 239
    assert!(ahead(fraction(1e300))); // row 238
    assert!(ahead(fraction(f64::INFINITY)));
    assert!(stale(NumericDate::from_seconds(NOW - 3_600))); // row 243
    assert!(ahead(NumericDate::from_seconds(NOW + 3_600))); // row 244
    assert!(ahead(NumericDate::from_seconds(NOW * 1_000)));
}

#[test]
fn heeds_exp_and_nbf_when_they_are_there() {
    let date = |offset: i64| Some(NumericDate::from_seconds(NOW + offset));
    let check = |exp, nbf| check_time(&Claims { exp, nbf, ..claims() }, Window::RFC, Timestamp::from_seconds(NOW));
    assert_eq!(check(date(300), date(0)), Ok(())); // row 249
    assert_eq!(check(date(1), None), Ok(()));
    assert_eq!(check(date(0), None), Err(ProofError::Expired { ago: 0 }));
    assert_eq!(check(date(-60), None), Err(ProofError::Expired { ago: 60 })); // row 250
    assert_eq!(check(None, date(10)), Ok(()));
    assert_eq!(check(None, date(11)), Err(ProofError::FromFuture { ahead: 11, max_ahead: 10 }));
    assert_eq!(check(None, date(3_600)), Err(ProofError::FromFuture { ahead: 3_600, max_ahead: 10 })); // row 251
    let stale = Claims { iat: NumericDate::from_seconds(NOW - 61), exp: date(31_536_000), ..claims() }; // row 253
    let refusal = check_time(&stale, Window::RFC, Timestamp::from_seconds(NOW));
    assert_eq!(refusal, Err(ProofError::Stale { age: 61, max_age: 60 }));
}

#[test]
fn htm_is_the_method_to_the_letter() {
    assert_eq!(check_htm(&claims(), "GET"), Ok(()));
    let propfind = Claims { htm: "PROPFIND".into(), ..claims() };
    assert_eq!(check_htm(&propfind, "PROPFIND"), Ok(())); // row 231
    for found in ["PUT", "get", "", "GET ", "GE"] {
        let refusal = ProofError::HtmMismatch { expected: "GET".to_owned(), found: found.to_owned() };
        assert_eq!(check_htm(&Claims { htm: found.into(), ..claims() }, "GET"), Err(refusal)); // rows 223, 224, 227
    }
}

#[test]
fn htu_is_the_uri_of_the_request_normalised() {
    let expected = Htu::parse("https://rs.example/a/b").expect("an htu");
    let check = |htu: &'static str| check_htu(&Claims { htu: htu.into(), ..claims() }, &expected);
    assert_eq!(check("https://rs.example/a/b"), Ok(()));
    assert_eq!(check("HTTPS://rs.example:443/a/./b?c#d"), Ok(()));
    let mismatch = ProofError::HtuMismatch {
        expected: "https://rs.example/a/b".to_owned(),
        found: "http://rs.example/a/b".to_owned(),
        difference: HtuDifference::Scheme,
    };
    assert_eq!(check("http://rs.example/a/b"), Err(mismatch));
    assert_eq!(check("/a/b"), Err(ProofError::HtuMalformed { fault: HtuError::NotAbsolute })); // row 300
}

#[test]
fn the_evidence_of_htu_has_no_query() {
    let expected = Htu::parse("https://rs.example/a?canary").expect("an htu");
    let claim = Claims { htu: "https://rs.example/b?canary#canary".into(), ..claims() };
    let shown = format!("{:?}", check_htu(&claim, &expected));
    assert!(shown.contains("https://rs.example/b") && !shown.contains("canary"), "{shown}");
}

#[test]
fn ath_goes_with_a_token_and_only_with_one() {
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"; // row 263
    let ath = ExpectedAth::of(token);
    let check = |claim: Option<&str>, ath| {
        check_ath(&Claims { ath: claim.map(|text| text.to_owned().into()), ..claims() }, ath)
    };
    let right = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    assert_eq!(check(Some(right), Some(&ath)), Ok(()));
    assert_eq!(check(None, None), Ok(()));
    assert_eq!(check(None, Some(&ath)), Err(ProofError::AthMissing));
    assert_eq!(check(Some(right), None), Err(ProofError::AthUnexpected)); // row 264
    let hex = ath.get().as_bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")); // row 256
    let padded = format!("{right}=");
    let stray = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp";
    let other = Ath::of("DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU").to_string(); // row 260
    for wrong in [&hex, &padded, stray, &other, "", &right[..42]] {
        assert_eq!(check(Some(wrong), Some(&ath)), Err(ProofError::AthMismatch), "{wrong}"); // row 255
    }
}

struct Server {
    issuer: NonceIssuer,
    epoch: Epoch,
}

impl Server {
    /// An epoch that began `ago` seconds before now, with the window `rfc`.
    fn started(ago: i64) -> Self {
        let issuer = NonceIssuer::new("https://rs.example", NonceKey::from_bytes([1; 32]));
        let epoch = Epoch { id: EpochId::from_bytes([1; 16]), floor: Timestamp::from_seconds(NOW - ago + 10) };
        Self { issuer, epoch }
    }

    fn nonce(&self) -> String {
        self.issuer.issue(&self.epoch.id, Timestamp::from_seconds(NOW))
    }

    fn check(&self, policy: NoncePolicy, nonce: Option<String>) -> Result<Option<NonceAge>, Rejection> {
        let claims = Claims { nonce: nonce.map(Into::into), ..claims() };
        check_nonce(&claims, policy, &self.issuer, &self.epoch, Timestamp::from_seconds(NOW)).map(|used| {
            used.map(|(age, epoch)| {
                assert_eq!(epoch, self.epoch.id);
                age
            })
        })
    }
}

#[test]
fn without_nonces_one_that_is_sent_is_not_looked_at() {
    let server = Server::started(3_600);
    for nonce in [None, Some("whatever".to_owned()), Some(server.nonce())] {
        assert_eq!(server.check(NoncePolicy::Never, nonce), Ok(None)); // row 266
    }
}

#[test]
fn without_nonces_a_proof_older_than_the_memory_is_refused() {
    let server = Server::started(5);
    for nonce in [None, Some(server.nonce())] {
        assert_eq!(server.check(NoncePolicy::Never, nonce), Err(ProofError::BeforeEpoch.into()));
    }
}

#[test]
fn an_optional_nonce_is_checked_when_it_is_there() {
    let server = Server::started(3_600);
    assert_eq!(server.check(NoncePolicy::Optional, None), Ok(None));
    assert_eq!(server.check(NoncePolicy::Optional, Some(server.nonce())), Ok(Some(NonceAge::Fresh)));
    assert_eq!(server.check(NoncePolicy::Optional, Some("other".to_owned())), Err(NonceError::Unknown.into()));
}

#[test]
fn an_optional_nonce_is_demanded_where_memory_does_not_reach() {
    let server = Server::started(5);
    assert_eq!(server.check(NoncePolicy::Optional, None), Err(NonceError::EpochDemandsNonce.into()));
    assert_eq!(server.check(NoncePolicy::Optional, Some(server.nonce())), Ok(Some(NonceAge::Fresh)));
    // The floor itself still belongs to the time before: iat = floor is demanded of, one second later is not.
    assert_eq!(Server::started(10).check(NoncePolicy::Optional, None), Err(NonceError::EpochDemandsNonce.into()));
    assert_eq!(Server::started(11).check(NoncePolicy::Optional, None), Ok(None));
}

#[test]
fn a_required_nonce_is_required_rows_361_373() {
    let server = Server::started(3_600);
    assert_eq!(server.check(NoncePolicy::Required, None), Err(NonceError::Missing.into()));
    assert_eq!(server.check(NoncePolicy::Required, Some(server.nonce())), Ok(Some(NonceAge::Fresh)));
    let of_another_epoch =
        Server { epoch: Epoch { id: EpochId::from_bytes([2; 16]), ..server.epoch }, ..Server::started(0) };
    let refusal = server.check(NoncePolicy::Required, Some(of_another_epoch.nonce()));
    assert_eq!(refusal, Err(NonceError::Unknown.into()));
}

proptest! {
    /// The acceptance rule and the life of the replay record are one: whatever is accepted at `now` has a
    /// `not_after` that has not passed, and `not_after` is never later than the rule says.
    #[test]
    fn whatever_is_accepted_is_within_the_window(iat in any::<i64>(), now in any::<i64>(), half in any::<bool>(), age in 0..=400_i64, ahead in 0..=400_i64) {
        let window = Window::new(age, ahead).expect("a window");
        let near = now.saturating_add(iat % 1_000);
        for seconds in [iat, near] {
            #[expect(clippy::cast_precision_loss, reason = "any float will do")]
            let with_fraction = fraction(seconds as f64 + 0.5);
            let iat = if half { with_fraction } else { NumericDate::from_seconds(seconds) };
            let accepted = check_time(&Claims { iat, ..claims() }, window, Timestamp::from_seconds(now)).is_ok();
            let (floor, ceil) = (i128::from(iat.floor().seconds()), i128::from(iat.ceil().seconds()));
            let rule = ceil - i128::from(ahead) <= i128::from(now) && i128::from(now) <= floor + i128::from(age);
            prop_assert_eq!(accepted, rule);
            prop_assert!(!accepted || Timestamp::from_seconds(now) <= window.not_after(iat));
        }
    }
}
