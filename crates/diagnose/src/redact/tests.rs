use countersign_dpop::jose::encode_base64url;

use super::{Removed, SecretKind, without_jws};
use crate::examine::Known;
use crate::fixture::{Forge, JKT, NOW, access_token, answer, report, report_with, told};
use crate::report::Report;

/// Everything that anybody gets to see of a report.
fn shown(report: &Report) -> String {
    let json = serde_json::to_string_pretty(report).expect("JSON");
    format!("{json}\n{}\n{report:?}\n{:?}", told(report), report.explain())
}

fn shows_none_of(report: &Report, secrets: &[&str]) {
    let shown = shown(report);
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}

fn counts(report: &Report) -> Vec<(SecretKind, usize)> {
    report.removed().iter().map(|Removed { what, count }| (*what, *count)).collect()
}

/// A proof with a secret wherever there can be one, wrong in many ways so that there is much evidence.
fn full_of_canaries() -> String {
    let forge = Forge {
        private_members: r#""d":"canary-private-member","k":"canary-symmetric","kid":"canary-kid","#,
        htm: "PUT",
        htu: "http://api.example/other?canary-htu-query#canary-fragment".to_owned(),
        iat: NOW - 100,
        token: Some("canary-other-token"),
        nonce: Some("canary-proof-nonce"),
        ..Forge::default()
    };
    forge.proof()
}

fn bound_token() -> String {
    access_token(&format!(
        r#"{{"iss":"https://idp.example","sub":"canary-subject","jti":"canary-token-id","exp":1,"cnf":{{"jkt":"{JKT}"}}}}"#
    ))
}

#[test]
fn shows_nothing_secret_of_a_request_and_its_answer() {
    let (proof, token) = (full_of_canaries(), bound_token());
    // The server repeats everything that it can.
    let words = format!("bad {token} {proof} canary-new-nonce canary-cookie-value canary-subject canary-query-value");
    let answer = answer(
        "401 Unauthorized",
        &format!(
            "WWW-Authenticate: DPoP error=\"invalid_token\", error_description=\"{words}\"\r\nDPoP-Nonce: canary-new-nonce\r\n\
             Set-Cookie: a=canary-set-cookie; Path=/\r\nX-Request: canary-field\r\nLocation: https://x.example/?canary"
        ),
    );
    let request = format!(
        "POST /a?code=canary-query-value HTTP/1.1\r\nHost: api.example\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\
         Cookie: session=canary-cookie-value\r\nX-Api-Key: canary-api-key\r\n\r\nsecret=canary-body\r\n"
    );
    let report =
        report(&format!("{request}{answer}{{\"error\":\"invalid_token\",\"token\":\"canary-response-body\"}}"));
    let parts: Vec<&str> = proof.split('.').chain(token.split('.')).collect();
    shows_none_of(&report, &parts);
    assert!(shown(&report).contains(JKT));
    let wanted = [
        (SecretKind::Proof, 1),
        (SecretKind::PrivateKey, 1),
        (SecretKind::AccessToken, 1),
        (SecretKind::Nonce, 2),
        (SecretKind::Cookie, 2),
        (SecretKind::Query, 1),
        (SecretKind::RequestBody, 1),
        (SecretKind::ResponseBody, 1),
        (SecretKind::OtherField, 3),
    ];
    assert_eq!(counts(&report), wanted);
}

#[test]
fn shows_nothing_secret_of_a_short_error_description() {
    for secret in ["canary-opaque", "canary-nonce"] {
        let fields = format!(
            "WWW-Authenticate: DPoP error=\"invalid_token\", error_description=\"no {secret} here\"\r\nDPoP-Nonce: canary-nonce"
        );
        let text = "GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: DPoP canary-opaque\r\n\r\n";
        let report = report(&format!("{text}{}", answer("401 Unauthorized", &fields)));
        shows_none_of(&report, &[]);
        assert!(shown(&report).contains("the server says: no [removed] here"));
    }
}

#[test]
fn shows_nothing_secret_of_the_other_forms() {
    let (proof, token) = (full_of_canaries(), bound_token());
    let parts: Vec<&str> = proof.split('.').chain(token.split('.')).collect();
    let known = Known { token: Some(&token), url: Some("https://api.example/?canary-url-query"), ..Known::default() };
    let command = format!(
        "curl -u canary-user:canary-password -b canary-cookie --data canary-data -H 'DPoP: {proof}' \
         -H 'Authorization: DPoP {token}' 'https://canary-user:canary@api.example/?canary'"
    );
    let basic = format!("DPoP: {proof}\nAuthorization: Basic {}", encode_base64url("canary:canary"));
    let encoded = encode_base64url("canary:canary");
    for text in [proof.clone(), format!("DPoP: {proof}\nDPoP: {proof}x"), command, basic] {
        let report = report_with(&text, &known);
        shows_none_of(&report, &parts);
        shows_none_of(&report, &[&encoded]);
    }
}

#[test]
fn shows_nothing_of_what_steers_a_terminal() {
    let header = encode_base64url("{\"typ\":\"\\u001b[2J\\r\\n\\u202e\",\"alg\":\"\\u001b]0;x\\u0007\"}");
    let claims = encode_base64url("{\"htm\":\"\\u001b[31m\",\"htu\":\"https://a.example/\\u001b\",\"iat\":1}");
    let report = report(&format!("{header}.{claims}.c2ln"));
    let shown = shown(&report);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    assert!(!shown.contains('\u{202e}'));
}

#[test]
fn cuts_out_what_begins_as_a_jws() {
    assert_eq!(without_jws("say eyJhbGciOiJFUzI1NiJ9.e30.c2ln, please"), "say [removed], please");
    assert_eq!(without_jws("eyJ eyJhbGciOiJFUzI1NiJ9"), "eyJ [removed]");
    assert_eq!(without_jws("plain"), "plain");
}

#[test]
fn the_report_is_a_versioned_object() {
    let json = serde_json::to_value(report(&Forge::default().request(&answer("200 OK", "A: b")))).expect("JSON");
    assert_eq!((&json["version"], &json["input"]), (&1.into(), &"http".into()));
    assert_eq!(json["findings"], serde_json::json!([]));
    assert_eq!(json["proof"]["jkt"], JKT);
    assert_eq!(json["removed"][0], serde_json::json!({ "what": "proof", "count": 1 }));
    assert_eq!(json["notes"][0], "the scheme was taken from X-Forwarded-Proto; --url says better");
    let members: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted =
        ["version", "input", "findings", "checks", "clock", "proof", "token", "response", "notes", "removed"];
    wanted.sort_unstable();
    assert!(wanted.iter().all(|name| members.contains(name)) && members.len() == wanted.len(), "{members:?}");
}
