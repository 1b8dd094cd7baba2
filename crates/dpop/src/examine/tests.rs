mod facts;

use std::sync::Arc;

use super::{Case, Check, CheckOutcome, Examination, Place, Response, examine};
use crate::ath::Ath;
use crate::challenge::Scheme;
use crate::error::CredentialsError;
use crate::headers::DPOP;
use crate::jose::{Algorithm, Algorithms, SoftwareKey, encode_base64url};
use crate::make::{ProofMaker, ProofRequest};
use crate::time::{Timestamp, Window};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
/// [`NOW`] as a server says it.
const DATE: (&str, &str) = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
pub(super) const URL: &str = "https://rs.example/a/b?canary-query=1";
pub(super) const OPAQUE: &str = "canary-token";

pub(super) fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("a key")
}

pub(super) fn header(key: &SoftwareKey) -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, key.public_jwk().to_json())
}

/// The claims of a good proof of this age for [`URL`] and the token.
pub(super) fn claims(age: i64, htu: &str, token: &str) -> String {
    let iat = NOW.seconds() - age;
    format!(r#"{{"jti":"canary-jti","htm":"GET","htu":"{htu}","iat":{iat},"ath":"{}"}}"#, Ath::of(token))
}

pub(super) fn sign(key: &SoftwareKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(payload));
    let signature = key.sign_now(input.as_bytes()).expect("a signature");
    format!("{input}.{}", encode_base64url(signature))
}

pub(super) fn good_proof(key: &SoftwareKey) -> String {
    sign(key, &header(key), &claims(0, "https://rs.example/a/b", OPAQUE))
}

pub(super) fn case(proof: &str) -> Case<'_> {
    Case::new(NOW).with_proof(proof).with_token(OPAQUE).with_scheme(Scheme::Dpop).with_method("GET").with_url(URL)
}

fn fields(list: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a field value"));
    }
    headers
}

fn answered(status: u16, headers: &HeaderMap) -> Response<'_> {
    Response { status, headers, error: None }
}

pub(super) fn codes(examination: &Examination) -> Vec<&'static str> {
    examination.findings.iter().map(|finding| finding.code().id()).collect()
}

fn token(claims: &str) -> String {
    let header = encode_base64url(r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#);
    format!("{header}.{}.{}", encode_base64url(claims), encode_base64url("canary-signature"))
}

#[test]
fn finds_nothing_wrong_with_a_good_proof() {
    let key = key();
    let proof = good_proof(&key);
    let examination = examine(&case(&proof));
    assert_eq!(codes(&examination), [""; 0]);
    assert_eq!(examination.verdict(), None);
    let passed = |check| examination.outcome(check) == Some(CheckOutcome::Passed);
    let of_proof = [
        Check::Fields,
        Check::Compact,
        Check::Json,
        Check::Typ,
        Check::Alg,
        Check::Extensions,
        Check::Key,
        Check::Claims,
        Check::Time,
        Check::Htm,
        Check::Htu,
        Check::Ath,
        Check::Signature,
    ];
    assert!(of_proof.into_iter().all(passed), "{examination:#?}");
    let not_made = |check| matches!(examination.outcome(check), Some(CheckOutcome::NotMade { .. }));
    assert!([Check::Nonce, Check::Replay, Check::Binding, Check::TokenSignature].into_iter().all(not_made));
    let facts = examination.proof.expect("facts");
    assert_eq!(facts.jkt, Some(key.public_jwk().jkt().to_string()));
    assert_eq!((facts.alg, facts.htm.as_deref()), (Some("ES256"), Some("GET")));
    assert_eq!(facts.htu.as_deref(), Some("https://rs.example/a/b"));
}

#[test]
fn says_of_every_check_what_came_of_it() {
    let all = Check::OF_PROOF.len() + Check::OF_TOKEN.len() + 1;
    for case in [Case::new(NOW), Case::new(NOW).with_proof("x"), Case::new(NOW).with_token("x"), case("a.b.c")] {
        let examination = examine(&case);
        assert_eq!(examination.checks.len(), all);
        assert!(examination.checks.is_sorted_by_key(|report| report.check as u8));
    }
}

#[test]
fn a_wrong_scheme_outranks_the_stale_iat_that_it_came_with() {
    let key = key();
    let proof = sign(&key, &header(&key), &claims(600, "http://rs.example/a/b", OPAQUE));
    let headers = fields(&[DATE]);
    let examination = examine(&case(&proof).with_response(answered(401, &headers)));
    assert_eq!(codes(&examination), ["P09-scheme", "P10-old"]);
    let verdict = examination.verdict().expect("a finding");
    assert_eq!(verdict.expected(), Some("https://rs.example/a/b"));
    assert_eq!(verdict.found(), Some("http://rs.example/a/b"));
    assert_eq!(examination.findings[1].seconds(), Some(600));
    assert_eq!(examination.clock.iat_ahead_of_server, Some(-600));
}

#[test]
fn every_failing_check_is_found_at_once() {
    let key = key();
    let header = format!(r#"{{"typ":"JWT","alg":"ES256","crit":[],"jwk":{}}}"#, key.public_jwk().to_json());
    let payload = r#"{"htm":"get","htu":"https://other.example/","iat":1700000000123,"ath":"x"}"#;
    let proof = sign(&self::key(), &header, payload);
    let examination = examine(&case(&proof));
    let mut found = codes(&examination);
    found.sort_unstable();
    assert_eq!(found, ["P02", "P06", "P07", "P07-ms", "P08", "P09-host", "P11", "P15"]);
    assert_eq!(examination.outcome(Check::Key), Some(CheckOutcome::Passed));
}

#[test]
fn goes_on_behind_a_malformed_form() {
    let key = key();
    let proof = good_proof(&key);
    for malformed in [format!("{proof}="), proof.rsplit_once('.').expect("parts").0.to_owned(), format!("{proof}.x")] {
        let examination = examine(&case(&malformed));
        assert_eq!(codes(&examination)[0], "P01", "{malformed}");
        assert_eq!(examination.outcome(Check::Htu), Some(CheckOutcome::Passed));
        assert_eq!(examination.proof.expect("facts").jkt, Some(key.public_jwk().jkt().to_string()));
    }
    for hopeless in ["", ".", "{}", "a.b.c", &"a".repeat(200_000)] {
        assert_eq!(codes(&examine(&case(hopeless)))[0], "P01", "{hopeless}");
    }
}

#[test]
fn goes_on_behind_a_repeated_member() {
    let key = key();
    let payload = claims(0, "https://rs.example/a/b", OPAQUE).replacen('{', r#"{"htm":"PUT","#, 1);
    let examination = examine(&case(&sign(&key, &header(&key), &payload)));
    assert_eq!(codes(&examination), ["P16"]);
    assert_eq!(examination.outcome(Check::Signature), Some(CheckOutcome::Passed));
}

#[test]
fn a_shown_private_key_is_the_worst_and_the_rest_is_still_judged() {
    let key = key();
    let jwk = key.public_jwk().to_json().replacen('{', r#"{"d":"canary-private","#, 1);
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let proof = sign(&key, &header, &claims(0, "http://rs.example/a/b", OPAQUE));
    let examination = examine(&case(&proof));
    assert_eq!(codes(&examination), ["P05", "P09-scheme"]);
    assert_eq!(examination.outcome(Check::Signature), Some(CheckOutcome::Passed));
}

#[test]
fn names_a_signature_in_der() {
    let key = key();
    let proof = good_proof(&key);
    let (input, _) = proof.rsplit_once('.').expect("parts");
    let mut der = vec![0x30, 0x45];
    der.resize(71, 1);
    let examination = examine(&case(&format!("{input}.{}", encode_base64url(der))));
    assert_eq!(codes(&examination), ["P06-der"]);
}

#[test]
fn a_list_of_algorithms_narrows_what_is_accepted_and_not_what_is_understood() {
    let key = key();
    let narrowed = Algorithms::all().narrowed_to(&[Algorithm::Ed25519]).expect("a list");
    let proof = good_proof(&key);
    let examination = examine(&case(&proof).with_algorithms(narrowed));
    assert_eq!(codes(&examination), ["P03"]);
    assert_eq!(examination.outcome(Check::Signature), Some(CheckOutcome::Passed));
}

#[test]
fn names_an_algorithm_that_is_accepted_by_its_other_name() {
    let key = SoftwareKey::generate(Algorithm::EdDsa).expect("a key");
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{}}}"#, key.public_jwk().to_json());
    let proof = sign(&key, &header, &claims(0, "https://rs.example/a/b", OPAQUE));
    let judged_by = |list: &[Algorithm]| {
        let narrowed = Algorithms::all().narrowed_to(list).expect("a list");
        examine(&case(&proof).with_algorithms(narrowed))
    };
    let examination = judged_by(&[Algorithm::Ed25519]);
    assert_eq!(codes(&examination), ["P03-name"]);
    let verdict = examination.verdict().expect("a finding");
    assert_eq!((verdict.expected(), verdict.found()), (Some("Ed25519"), Some("EdDSA")));
    assert_eq!(codes(&judged_by(&[Algorithm::Es256])), ["P03"]);
    assert_eq!(codes(&judged_by(&[Algorithm::EdDsa])), [""; 0]);
}

#[test]
fn judges_for_the_moment_that_is_given() {
    let key = key();
    let proof = sign(&key, &header(&key), &claims(600, "https://rs.example/a/b", OPAQUE));
    let headers = fields(&[DATE]);
    let judged_for = |moment| examine(&case(&proof).with_response(answered(401, &headers)).with_moment(moment));
    assert_eq!(codes(&judged_for(NOW.plus(-600))), [""; 0]);
    let examination = judged_for(NOW);
    assert_eq!(codes(&examination), ["P10-old"]);
    assert_eq!(examination.findings[0].detail(), Some("by the moment given"));
}

#[test]
fn takes_a_fault_of_the_fields_that_only_the_reader_can_see() {
    let judged = |case: &Case<'_>| codes(&examine(case));
    assert_eq!(judged(&Case::new(NOW).with_field_error(CredentialsError::TokenOutsideHeader)), ["H12"]);
    let authorization = fields(&[("authorization", "DPoP t")]);
    let case = Case::new(NOW).with_request_headers(&authorization).with_field_error(CredentialsError::Missing);
    assert_eq!(judged(&case), ["H01"]);
}

#[test]
fn without_the_servers_clock_an_old_proof_is_only_suspicious() {
    let key = key();
    let proof = sign(&key, &header(&key), &claims(86_400, "https://rs.example/a/b/", OPAQUE));
    let examination = examine(&case(&proof));
    assert_eq!(codes(&examination), ["P09-slash", "P10-old"]);
    assert!(examination.findings[1].detail().expect("a remark").contains("examiner"));
}

#[test]
fn heeds_the_window() {
    let key = key();
    let proof = sign(&key, &header(&key), &claims(200, "https://rs.example/a/b", OPAQUE));
    assert_eq!(codes(&examine(&case(&proof))), ["P10-old"]);
    assert_eq!(codes(&examine(&case(&proof).with_window(Window::MCP))), [""; 0]);
}

#[test]
fn ath_depends_on_the_place() {
    let key = key();
    let with = good_proof(&key);
    let without = ProofMaker::new(Arc::new(key));
    let request = ProofRequest { method: "GET", url: URL, token: None, nonce: None };
    let without = without.make_now(&request, NOW).expect("a proof");
    let base = |proof| Case::new(NOW).with_proof(proof).with_method("GET").with_url(URL);
    assert_eq!(codes(&examine(&base(&with).with_place(Place::AuthorizationServer))), ["P11-extra"]);
    assert_eq!(codes(&examine(&base(&without).with_place(Place::AuthorizationServer))), [""; 0]);
    assert_eq!(codes(&examine(&base(&without).with_place(Place::Resource))), ["P11-missing"]);
    assert_eq!(codes(&examine(&base(&without).with_token(OPAQUE))), ["P11-missing"]);
    assert_eq!(codes(&examine(&base(&with).with_token("another"))), ["P11"]);
    let unknown = examine(&base(&with));
    assert!(matches!(unknown.outcome(Check::Ath), Some(CheckOutcome::NotMade { .. })));
}

#[test]
fn reads_the_fields_of_a_request() {
    let proof = good_proof(&key());
    let authorization = format!("DPoP {OPAQUE}");
    let headers = fields(&[("authorization", &authorization), ("dpop", &proof)]);
    let examination = examine(&Case::new(NOW).with_request_headers(&headers).with_method("GET").with_url(URL));
    assert_eq!(codes(&examination), [""; 0]);
    assert_eq!(examination.outcome(Check::Fields), Some(CheckOutcome::Passed));
    let mut twice = headers.clone();
    twice.append(DPOP, HeaderValue::from_static("x"));
    assert_eq!(codes(&examine(&Case::new(NOW).with_request_headers(&twice))), ["H02"]);
    let mut without = headers.clone();
    without.remove(DPOP);
    assert_eq!(codes(&examine(&Case::new(NOW).with_request_headers(&without))), ["H01"]);
    let mut malformed = headers;
    malformed.insert(AUTHORIZATION, HeaderValue::from_static("DPoP a,b"));
    assert_eq!(codes(&examine(&Case::new(NOW).with_request_headers(&malformed))), ["H11"]);
}

#[test]
fn reads_the_binding_of_a_token() {
    let key = key();
    let jkt = key.public_jwk().jkt().to_string();
    let other = self::key().public_jwk().jkt().to_string();
    let judged = |claims: &str, scheme| {
        let token = token(claims);
        let proof = sign(&key, &header(&key), &self::claims(0, "https://rs.example/a/b", &token));
        let examination = examine(&case(&proof).with_token(&token).with_scheme(scheme));
        (codes(&examination), examination.outcome(Check::Binding))
    };
    let good = format!(r#"{{"exp":1700000300,"cnf":{{"jkt":"{jkt}"}}}}"#);
    assert_eq!(judged(&good, Scheme::Dpop), (vec![], Some(CheckOutcome::Passed)));
    assert_eq!(judged(&good, Scheme::Bearer).0, ["B02"]);
    assert_eq!(judged(&format!(r#"{{"cnf":{{"jkt":"{other}"}}}}"#), Scheme::Dpop).0, ["B01"]);
    assert_eq!(judged(r#"{"sub":"s"}"#, Scheme::Dpop).0, ["B03"]);
    assert_eq!(judged(r#"{"sub":"s"}"#, Scheme::Bearer).0, [""; 0]);
    assert_eq!(judged(r#"{"cnf":{"x5t#S256":"x"}}"#, Scheme::Dpop).0, ["B04"]);
    assert_eq!(judged(r#"{"cnf":null}"#, Scheme::Dpop).0, ["B06"]);
    assert_eq!(judged(r#"{"cnf":{},"cnf":{}}"#, Scheme::Dpop).0, ["K08"]);
}

#[test]
fn reads_time_audience_and_type_of_a_token() {
    let headers = fields(&[DATE]);
    let judged = |text: &str| {
        let case = Case::new(NOW).with_token(text).with_scheme(Scheme::Bearer).with_audience("https://rs.example");
        codes(&examine(&case.with_response(answered(401, &headers))))
    };
    let aud = r#""aud":["https://other.example","https://rs.example"]"#;
    assert_eq!(judged(&token(&format!(r#"{{{aud},"exp":1700000001}}"#))), [""; 0]);
    assert_eq!(judged(&token(&format!(r#"{{{aud},"exp":1700000000}}"#))), ["K02"]);
    assert_eq!(judged(&token(&format!(r#"{{{aud},"exp":1700000009,"nbf":1700000001}}"#))), ["K02-early"]);
    assert_eq!(judged(&token(r#"{"aud":"https://other.example","exp":1700000001}"#)), ["K03"]);
    let jwt = |claims: String| format!("{}.{}.c2ln", encode_base64url(r#"{"typ":"JWT"}"#), encode_base64url(claims));
    assert_eq!(judged(&jwt(format!("{{{aud}}}"))), [""; 0]);
    assert_eq!(judged(&jwt(format!(r#"{{{aud},"at_hash":"x"}}"#))), ["K07"]);
    assert_eq!(judged(&good_proof(&key())), ["K07", "K03"]); // row 63
    assert_eq!(judged("opaque"), [""; 0]);
}

#[test]
fn reads_what_the_answer_says() {
    let judged = |status, list: &[(&'static str, &str)], proof: &str| {
        codes(&examine(&case(proof).with_response(answered(status, &fields(list)))))
    };
    let key = key();
    let proof = good_proof(&key);
    let with_nonce = claims(0, "https://rs.example/a/b", OPAQUE).replacen('{', r#"{"nonce":"canary-nonce","#, 1);
    let with_nonce = sign(&key, &header(&key), &with_nonce);
    let challenge = |error: &str| format!("DPoP error=\"{error}\", algs=\"ES256\", scope=\"read\"");
    let demand = challenge("use_dpop_nonce");
    assert_eq!(judged(401, &[("www-authenticate", &demand), ("dpop-nonce", "n")], &proof), ["T02"]);
    assert_eq!(judged(401, &[("www-authenticate", &demand), ("dpop-nonce", "n")], &with_nonce), ["P13"]);
    assert_eq!(judged(401, &[("www-authenticate", &demand)], &proof), ["H08", "T02"]);
    let twice = [("www-authenticate", demand.as_str()), ("dpop-nonce", "n"), ("dpop-nonce", "n")];
    assert_eq!(judged(401, &twice, &proof), ["H08", "T02"]);
    assert_eq!(judged(401, &[("www-authenticate", &challenge("invalid_dpop_proof"))], &proof), ["T01"]);
    assert_eq!(judged(401, &[("www-authenticate", &challenge("invalid_token"))], &proof), ["K12"]);
    assert_eq!(judged(403, &[("www-authenticate", &challenge("insufficient_scope"))], &proof), ["K04"]);
    let step_up = challenge("insufficient_user_authentication");
    assert_eq!(judged(401, &[("www-authenticate", &step_up)], &proof), ["K05"]);
    assert_eq!(judged(307, &[("location", "https://rs.example/c")], &proof), ["H05"]);
    assert_eq!(judged(304, &[], &proof), [""; 0]);
    assert_eq!(judged(431, &[], &proof), ["H03"]);
    assert_eq!(judged(500, &[], &proof), ["S11"]);
    assert_eq!(judged(200, &[("www-authenticate", "\"not a challenge\"")], &proof), [""; 0]);
}

#[test]
fn reads_the_error_of_a_body() {
    let (headers, proof) = (fields(&[("dpop-nonce", "n")]), good_proof(&key()));
    let response = Response { status: 400, headers: &headers, error: Some("use_dpop_nonce") };
    let examination = examine(&case(&proof).with_response(response));
    assert_eq!(codes(&examination), ["T02"]);
    let facts = examination.response.expect("facts");
    assert_eq!((facts.status, facts.error.as_deref(), facts.has_nonce), (400, Some("use_dpop_nonce"), true));
}

#[test]
fn says_which_field_a_browser_cannot_read() {
    let judged = |exposed: &[(&'static str, &str)]| {
        let mut list = vec![("access-control-allow-origin", "https://app.example"), ("dpop-nonce", "n")];
        list.extend_from_slice(exposed);
        let headers = fields(&list);
        codes(&examine(&Case::new(NOW).with_response(answered(200, &headers))))
    };
    assert_eq!(judged(&[]), ["H04"]);
    assert_eq!(judged(&[("access-control-expose-headers", "ETag, dpop-nonce")]), [""; 0]);
    assert_eq!(judged(&[("access-control-expose-headers", "*")]), [""; 0]);
}

#[test]
fn a_server_whose_clock_alone_differs_is_named() {
    let key = key();
    let proof = good_proof(&key);
    let headers = fields(&[("date", "Tue, 14 Nov 2023 22:33:20 GMT")]);
    let examination = examine(&case(&proof).with_response(answered(401, &headers)));
    assert_eq!(codes(&examination), ["S06", "P10-old"]);
    assert_eq!(examination.verdict().expect("a finding").seconds(), Some(1_200));
    let early = sign(&key, &header(&key), &claims(-1_200, "https://rs.example/a/b", OPAQUE));
    let examination = examine(&case(&early).with_response(answered(401, &fields(&[DATE]))));
    assert_eq!(codes(&examination), ["P10-future"]);
}

#[test]
fn nothing_secret_is_in_the_report() {
    let key = key();
    let jwk = key.public_jwk().to_json().replacen('{', r#"{"d":"canary-private","#, 1);
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let payload = r#"{"jti":"canary-jti","htm":"PUT","iat":1,"htu":"https://x.example/?canary-htu#canary","nonce":"canary-nonce","ath":"canary-ath"}"#;
    let proof = sign(&key, &header, payload);
    let bound = token(r#"{"sub":"canary-subject","cnf":{"jkt":"canary"},"exp":1}"#);
    let headers = fields(&[("dpop-nonce", "canary-new-nonce"), ("set-cookie", "canary"), ("location", "/?canary")]);
    for token in [&bound, OPAQUE] {
        let case = case(&proof).with_token(token).with_response(answered(302, &headers));
        let examination = examine(&case);
        let json = serde_json::to_string(&examination).expect("JSON");
        let shown = format!("{json} {examination:?} {case:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(!shown.contains(&encode_base64url("canary-signature")), "{shown}");
        for part in proof.split('.').chain(token.split('.').filter(|part| part.len() > 8)) {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}

#[test]
fn is_written_as_json() {
    let proof = good_proof(&key());
    let json = serde_json::to_value(examine(&case(&proof).with_method("PUT"))).expect("JSON");
    assert_eq!(json["findings"][0]["code"], "P08");
    assert_eq!(json["checks"][0], serde_json::json!({ "check": "fields", "outcome": "passed" }));
    let htm = json["checks"].as_array().expect("checks").iter().find(|check| check["check"] == "htm");
    assert_eq!(htm, Some(&serde_json::json!({ "check": "htm", "outcome": "failed", "code": "P08" })));
}

#[test]
fn debug_of_a_case_says_what_is_there_and_not_what_it_is() {
    let headers = fields(&[DATE]);
    let case = case("canary").with_token("canary").with_response(answered(401, &headers));
    let shown = format!("{case:?}");
    assert!(shown.starts_with("Case { proof: true, token: true, "), "{shown}");
    assert!(shown.contains("response: Some(401)") && !shown.contains("canary"), "{shown}");
    assert_eq!(format!("{:?}", answered(401, &headers)), "Response { status: 401, .. }");
}

#[test]
fn how_much_an_old_proof_tells_depends_on_the_clock() {
    let key = key();
    let proof = sign(&key, &header(&key), &claims(86_400, "https://rs.example/a/b", OPAQUE));
    let case = Case::new(NOW).with_proof(&proof).with_url(URL).with_place(Place::AuthorizationServer);
    assert_eq!(codes(&examine(&case.clone().with_moment(NOW))), ["P10-old", "P11-extra"]);
    assert_eq!(codes(&examine(&case)), ["P11-extra", "P10-old"], "the examiner's clock says little");
}

#[test]
fn what_is_only_suspected_keeps_its_order() {
    let (key, expired) = (key(), token(r#"{"exp":1600000000}"#));
    let proof = sign(&key, &header(&key), &claims(-86_400, "https://rs.example/a/b", &expired));
    let case = Case::new(NOW).with_proof(&proof).with_token(&expired).with_scheme(Scheme::Bearer);
    assert_eq!(codes(&examine(&case.clone().with_moment(NOW))), ["K02", "P10-future"]);
    assert_eq!(codes(&examine(&case)), ["K02", "P10-future"], "by the examiner's clock");
}
