use countersign_dpop::examine::{Check, CheckOutcome};
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_dpop::time::{Timestamp, Window};

use super::{Known, body_error};
use crate::capture::Note;
use crate::fixture::{Forge, NOW, TOKEN, URL, access_token, answer, codes, report, report_with};

#[test]
fn what_is_known_overrides_what_was_captured() {
    let text = Forge { iat: NOW - 100, ..Forge::default() }.request(&answer("200 OK", "A: b"));
    let judged = |known: &Known<'_>| codes(&report_with(&text, known));
    assert_eq!(judged(&Known::default()), ["P10-old"]);
    assert_eq!(judged(&Known { window: Some(Window::MCP), ..Known::default() }), [""; 0]);
    let in_time = Known { moment: Some(Timestamp::from_seconds(NOW - 90)), ..Known::default() };
    assert_eq!(judged(&in_time), [""; 0]);
    assert_eq!(judged(&Known { method: Some("POST"), ..in_time.clone() }), ["P08"]);
    assert_eq!(judged(&Known { url: Some("https://other.example/orders"), ..in_time.clone() }), ["P09-host"]);
    assert_eq!(judged(&Known { token: Some("another"), ..in_time.clone() }), ["P11"]);
    let narrowed = Algorithms::all().narrowed_to(&[Algorithm::Ed25519]);
    assert_eq!(judged(&Known { algorithms: narrowed, ..in_time }), ["P03"]);
}

#[test]
fn compares_the_audience() {
    let token = access_token(&format!(r#"{{"aud":"https://api.example","exp":{}}}"#, NOW + 60));
    let judged = |audience| {
        let known = Known { audience: Some(audience), ..Known::default() };
        codes(&report_with(&format!("Authorization: Bearer {token}"), &known))
    };
    assert_eq!(judged("https://api.example"), [""; 0]);
    assert_eq!(judged("https://other.example"), ["K03"]);
}

#[test]
fn judges_by_the_algorithms_of_the_challenge() {
    let refused = |algs: &str| {
        let field = format!("WWW-Authenticate: DPoP error=\"invalid_dpop_proof\", algs=\"{algs}\"");
        report(&Forge::default().request(&answer("401 Unauthorized", &field)))
    };
    assert_eq!(codes(&refused("RS256 PS256")), ["P03", "T01"]);
    assert_eq!(codes(&refused("RS256 ES256")), ["T01"]);
    let unknown = refused("XY99");
    assert_eq!(codes(&unknown), ["T01"]);
    assert!(!unknown.notes().contains(&Note::AlgorithmsOfChallenge));
}

#[test]
fn knows_the_token_endpoint_by_its_form() {
    let proof = Forge { htm: "POST", token: None, ..Forge::default() }.proof();
    let with_ath = Forge { htm: "POST", ..Forge::default() }.proof();
    let request = |proof: &str, body: &str| format!("POST {URL} HTTP/1.1\nDPoP: {proof}\nDate: x\n\n{body}\n");
    assert_eq!(codes(&report(&request(&proof, "grant_type=client_credentials"))), [""; 0]);
    assert_eq!(codes(&report(&request(&with_ath, "a=b&grant_type=refresh_token"))), ["P11-extra"]);
    assert_eq!(codes(&report(&request(&with_ath, "client_id=c&response_type=code"))), ["P11-extra"]);
    let command = format!("curl {URL} -d grant_type=client_credentials -H 'DPoP: {with_ath}'");
    assert_eq!(codes(&report(&command)), ["P11-extra"]);
    let missing = report(&format!("GET {URL} HTTP/1.1\nAuthorization: DPoP {TOKEN}\nDPoP: {proof}\n"));
    assert_eq!(codes(&missing), ["P08", "P11-missing"]);
}

#[test]
fn finds_a_token_that_is_missing_or_in_the_wrong_place() {
    let challenge = answer("401 Unauthorized", "WWW-Authenticate: DPoP algs=\"ES256\"");
    let bare = format!("GET {URL} HTTP/1.1\nAccept: */*\n\n{challenge}");
    assert_eq!(codes(&report(&bare)), ["H09"]);
    assert_eq!(codes(&report(&format!("GET {URL}?access_token=canary HTTP/1.1\nAccept: */*\n"))), ["H12"]);
    assert_eq!(codes(&report(&format!("curl {URL} -d access_token=canary"))), ["H12"]);
    assert_eq!(codes(&report(&format!("GET {URL} HTTP/1.1\nAuthorization: DPoP t\n\n{challenge}"))), ["H01"]);
}

#[test]
fn looks_at_the_scheme_of_a_token_that_is_not_there() {
    let proof = Forge::default().proof();
    let report = report(&format!("curl {URL} -H 'Authorization: DPoP $TOKEN' -H 'DPoP: {proof}'"));
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!(report.notes()[0], Note::Placeholder);
    assert!(matches!(report.examination().outcome(Check::Ath), Some(CheckOutcome::NotMade { .. })));
    assert_eq!(codes(&self::report(&format!("curl {URL} -H 'Authorization: DPoP $TOKEN'"))), ["H01"]);
}

#[test]
fn reads_the_error_of_a_body_if_it_is_a_code() {
    assert_eq!(body_error("{\"error\":\"use_dpop_nonce\"}").as_deref(), Some("use_dpop_nonce"));
    assert_eq!(body_error("1f\r\n{\"error\":\"invalid_grant\"}\r\n0\r\n").as_deref(), Some("invalid_grant"));
    for body in
        ["", "{", "{\"error\":1}", "{\"error\":\"a text\"}", "{\"error\":\"\"}", "[{}]", "{\"error\":{\"x\":1}}"]
    {
        assert_eq!(body_error(body), None, "{body}");
    }
    assert_eq!(body_error(&format!("{{\"error\":\"{}\"}}", "x".repeat(65))), None);
    assert_eq!(body_error(&"{\"a\":".repeat(100_000)), None);
}

#[test]
fn says_nothing_of_what_is_known_in_debug() {
    let known = Known { token: Some("canary"), url: Some("https://a.example/?canary"), ..Known::default() };
    assert!(!format!("{known:?}").contains("canary"));
}
