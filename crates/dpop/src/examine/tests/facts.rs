//! What is told of proof, token and answer, and faults that lie close to what is good.

use super::{DATE, NOW, OPAQUE, URL, answered, case, claims, codes, fields, good_proof, header, key, sign, token};
use crate::challenge::Scheme;
use crate::examine::{Case, Check, CheckOutcome, Examination, Place, examine};
use crate::jose::encode_base64url;

fn is_not_made(examination: &Examination, check: Check) -> bool {
    matches!(examination.outcome(check), Some(CheckOutcome::NotMade { .. }))
}

#[test]
fn tells_what_a_token_says() {
    let jkt = key().public_jwk().jkt().to_string();
    let text = token(&format!(
        r#"{{"iss":"https://as.example","aud":"https://rs.example","scope":"a b","exp":1700000300,"cnf":{{"jkt":"{jkt}"}}}}"#
    ));
    let facts = examine(&Case::new(NOW).with_token(&text)).token.expect("facts");
    assert!(facts.is_jwt);
    assert_eq!((facts.typ.as_deref(), facts.alg.as_deref()), (Some("at+jwt"), Some("ES256")));
    assert_eq!((facts.iss.as_deref(), facts.scope.as_deref()), (Some("https://as.example"), Some("a b")));
    assert_eq!(facts.aud, ["https://rs.example"]);
    assert_eq!((facts.expires_in, facts.jkt), (Some(300), Some(jkt)));
    assert!(!examine(&Case::new(NOW).with_token(OPAQUE)).token.expect("facts").is_jwt);
}

#[test]
fn a_token_that_cannot_be_read_is_a_jwt_all_the_same() {
    let text = token(r#"{"exp":1,"exp":2}"#);
    let examination = examine(&Case::new(NOW).with_token(&text));
    assert_eq!(codes(&examination), ["K08"]);
    assert!(examination.token.expect("facts").is_jwt);
}

#[test]
fn a_token_is_good_from_its_nbf_on_and_need_not_have_an_end() {
    let headers = fields(&[DATE]);
    let examined = |claims: &str| {
        let text = token(claims);
        examine(&Case::new(NOW).with_token(&text).with_response(answered(401, &headers)))
    };
    let good = examined(r#"{"exp":1700000009,"nbf":1700000000}"#);
    assert_eq!((codes(&good), good.outcome(Check::TokenTime)), (vec![], Some(CheckOutcome::Passed)));
    assert!(is_not_made(&examined(r#"{"sub":"s"}"#), Check::TokenTime));
}

#[test]
fn a_proof_tells_the_scheme_where_none_is_known() {
    let (proof, text) = (good_proof(&key()), token(r#"{"exp":1700000300}"#));
    let with_proof = examine(&Case::new(NOW).with_proof(&proof).with_token(&text));
    assert!(codes(&with_proof).contains(&"B03"), "{with_proof:#?}");
    assert!(is_not_made(&examine(&Case::new(NOW).with_token(&text)), Check::Scheme));
}

#[test]
fn a_proof_without_a_token_at_a_resource_is_judged_by_its_ath() {
    let proof = good_proof(&key());
    let case = Case::new(NOW).with_proof(&proof).with_method("GET").with_url(URL).with_place(Place::Resource);
    let examination = examine(&case);
    assert_eq!(codes(&examination), [""; 0]);
    assert!(is_not_made(&examination, Check::Ath));
}

#[test]
fn tells_how_long_a_proof_was_for_431() {
    let proof = good_proof(&key());
    let examination = examine(&case(&proof).with_response(answered(431, &fields(&[]))));
    let found = examination.verdict().and_then(|finding| finding.found().map(str::to_owned));
    assert_eq!(found, Some(format!("a proof of {} bytes", proof.len())));
}

#[test]
fn a_signature_of_its_length_is_not_taken_for_der() {
    let key = key();
    let input = good_proof(&key);
    let input = input.rsplit_once('.').expect("a signature").0;
    let judged = |signature: &[u8]| codes(&examine(&case(&format!("{input}.{}", encode_base64url(signature)))));
    assert_eq!(judged(&[0x30; 64]), judged(&[0x31; 64]));
    assert_eq!(judged(&[0x30; 70]), ["P06-der"]);
    assert_ne!(judged(&[0x31; 70]), ["P06-der"]);
}

#[test]
fn only_a_date_near_now_is_taken_for_milliseconds() {
    let key = key();
    let judged = |iat: i64| {
        let age = NOW.seconds() - iat;
        let proof = sign(&key, &header(&key), &claims(age, "https://rs.example/a/b", OPAQUE));
        codes(&examine(&case(&proof).with_response(answered(401, &fields(&[DATE])))))
    };
    assert_eq!(judged(1_700_000_000_000), ["P07-ms"]);
    assert_eq!(judged(170_000_000_000_000), ["P10-future"]);
    assert_eq!(judged(1_000_000_000), ["P10-old"]);
    let ten_years = 315_576_000;
    for far in [NOW.seconds() - ten_years, NOW.seconds() + ten_years] {
        assert_eq!(judged(far * 1_000), ["P10-future"]);
    }
    for near in [NOW.seconds() - ten_years + 1, NOW.seconds() + ten_years - 1] {
        assert_eq!(judged(near * 1_000), ["P07-ms"]);
    }
}

#[test]
fn a_signature_is_not_judged_by_a_key_of_another_algorithm() {
    let key = key();
    let header = header(&key).replace("ES256", "ES384");
    let examination = examine(&case(&sign(&key, &header, &claims(0, "https://rs.example/a/b", OPAQUE))));
    assert_eq!(codes(&examination), ["P04"]);
    assert!(is_not_made(&examination, Check::Signature), "{examination:#?}");
}

#[test]
fn looks_into_a_malformed_proof_up_to_a_limit() {
    let form = |length: usize| {
        let front = format!("{}.{}.", encode_base64url("{}"), encode_base64url("{}"));
        let proof = format!("{front}{}", "=".repeat(length - front.len()));
        let examination = examine(&Case::new(NOW).with_proof(&proof));
        is_not_made(&examination, Check::Json)
    };
    assert!(!form(65_536), "padding is forgiven");
    assert!(form(65_537));
}

#[test]
fn what_was_signed_is_found_behind_a_malformed_form() {
    let proof = format!("{}.", good_proof(&key()));
    let examination = examine(&case(&proof));
    assert_eq!(examination.outcome(Check::Signature), Some(CheckOutcome::Passed));
    let padded = good_proof(&key()).replacen('.', "=.", 1);
    assert!(!is_not_made(&examine(&case(&padded)), Check::Json), "padding is forgiven");
}

#[test]
fn the_challenge_with_an_error_is_heard() {
    let judged = |challenge: &str| {
        let headers = fields(&[("www-authenticate", challenge)]);
        examine(&Case::new(NOW).with_response(answered(401, &headers))).response.expect("facts").error
    };
    assert_eq!(judged(r#"Bearer error="invalid_token", DPoP algs="ES256""#).as_deref(), Some("invalid_token"));
    assert_eq!(judged(r#"Bearer, DPoP error="invalid_dpop_proof""#).as_deref(), Some("invalid_dpop_proof"));
    assert_eq!(
        judged(r#"Bearer error="invalid_token", DPoP error="use_dpop_nonce""#).as_deref(),
        Some("use_dpop_nonce")
    );
    assert_eq!(judged("DPoP"), None);
}

#[test]
fn fields_are_judged_where_any_is_known() {
    assert!(is_not_made(&examine(&Case::new(NOW)), Check::Fields));
    let proof = good_proof(&key());
    let passed = Some(CheckOutcome::Passed);
    assert_eq!(examine(&Case::new(NOW).with_proof(&proof)).outcome(Check::Fields), passed);
    assert_eq!(examine(&Case::new(NOW).with_token(OPAQUE)).outcome(Check::Fields), passed);
    let without = Case::new(NOW).with_token(OPAQUE).with_scheme(Scheme::Dpop);
    assert_eq!(codes(&examine(&without)), ["H01"]);
}

#[test]
fn every_field_that_is_exposed_can_be_read() {
    let judged = |exposed: &str| {
        let headers = fields(&[
            ("access-control-allow-origin", "*"),
            ("www-authenticate", "DPoP"),
            ("dpop-nonce", "n"),
            ("access-control-expose-headers", exposed),
        ]);
        codes(&examine(&Case::new(NOW).with_response(answered(200, &headers))))
    };
    assert_eq!(judged("DPoP-Nonce, WWW-Authenticate"), [""; 0]);
    for hidden in ["DPoP-Nonce", "WWW-Authenticate", "ETag"] {
        assert_eq!(judged(hidden), ["H04"], "{hidden}");
    }
}

#[test]
fn a_server_is_said_to_differ_beyond_five_seconds_and_alone() {
    let key = key();
    let judged = |age: i64, date: &str| {
        let proof = sign(&key, &header(&key), &claims(age, "https://rs.example/a/b", OPAQUE));
        codes(&examine(&case(&proof).with_response(answered(401, &fields(&[("date", date)])))))
    };
    assert_eq!(judged(0, "Tue, 14 Nov 2023 22:13:25 GMT"), [""; 0]);
    assert_eq!(judged(0, "Tue, 14 Nov 2023 22:13:26 GMT"), ["S06"]);
    assert_eq!(judged(6, "Tue, 14 Nov 2023 22:13:26 GMT"), [""; 0], "the client's differs too");
}
