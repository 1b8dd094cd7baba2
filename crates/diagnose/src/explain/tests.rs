//! The commonest failures, as a person sees them.

use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use countersign_dpop::time::Timestamp;

use crate::examine::Known;
use crate::fixture::{Forge, JKT, NOW, TOKEN, URL, access_token, answer, codes, report, report_with, section, told};
use crate::report::Report;

const REFUSED: &str = "WWW-Authenticate: DPoP error=\"invalid_dpop_proof\", algs=\"ES256 Ed25519\"";

fn refused() -> String {
    answer("401 Unauthorized", REFUSED)
}

/// Evidence of the verdict.
fn evidence(report: &Report) -> Vec<String> {
    section(report, "evidence")
}

#[test]
fn tells_of_a_wrong_scheme_behind_a_tls_terminator() {
    let forge = Forge { htu: "http://api.example/orders".to_owned(), ..Forge::default() };
    let wanted = "\
P09-scheme htu and request differ in the scheme
the proof; to act: whoever runs the proxy, gateway or CDN in between
[evidence]
expected: https://api.example/orders
found: http://api.example/orders
differs in: scheme
[cause]
TLS ends at a proxy and the server behind it takes its own plain-http URL for the public one.
[fix]
Configure the public origin with https at the server; do not derive it from the connection.
countersign: gateway --public-origin https://the-name-that-clients-use
nginx: proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $host;
Spring: server.forward-headers-strategy=framework
Express: app.set('trust proxy', 1)
Keycloak: --proxy-headers=xforwarded
[also found]
T01: the server refuses the proof
[seen]
proof: ES256, jkt oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U, htm GET, htu http://api.example/orders, iat 1700000000, with ath, without nonce, 488 bytes
token: opaque; what it says only its issuer knows
answer: 401, invalid_dpop_proof, offers DPoP
clocks: server 1700000000 by its Date, the proof's iat is equal to it
[ruled out]
one proof, one token, compact form, strict JSON, typ, alg, crit, the key in the proof, the claims' types, time (iat), method (htm), token hash (ath), the proof's signature
[not checked]
nonce: only the server knows if it wants one
the token's form, the token's exp and nbf, the token's aud, the token's signature, the scheme, token and proof of one key: the access token is opaque; only its issuer can read it
replay: only the server knows which proofs it has seen
[taken for granted]
the scheme was taken from X-Forwarded-Proto; --url says better
judged by the algorithms that the server's challenge lists
[left out]
proof, access token, cookie field, query string, other field
[spec]
RFC 9449 §4.3 check 9
";
    assert_eq!(told(&report(&forge.request(&refused()))), wanted);
}

#[test]
fn the_url_that_the_server_takes_for_its_own_can_be_given() {
    let known = Known { url: Some("http://api.example/orders"), ..Known::default() };
    let report = report_with(&Forge::default().request(&refused()), &known);
    assert_eq!(codes(&report), ["P09-scheme", "T01"]);
    assert_eq!(evidence(&report)[..2], ["expected: http://api.example/orders", "found: https://api.example/orders"]);
}

#[test]
fn tells_of_a_clock_that_is_behind() {
    let report = report(&Forge { iat: NOW - 612, ..Forge::default() }.request(&refused()));
    assert_eq!(codes(&report), ["P10-old", "T01"]);
    assert_eq!(evidence(&report), ["expected: at most 60 s old", "off by: 612 s", "note: by the Date of the answer"]);
    assert_eq!(
        section(&report, "seen").last().map(String::as_str),
        Some("clocks: server 1700000000 by its Date, the proof's iat is 612 s behind it")
    );
}

#[test]
fn tells_that_a_private_key_is_burnt() {
    let forge = Forge { private_members: r#""d":"canary-private-member","#, ..Forge::default() };
    let report = report(&forge.request(&refused()));
    assert_eq!(codes(&report), ["P05", "T01"]);
    let fix = section(&report, "fix");
    assert_eq!(
        fix[0],
        "The key is lost: make a new one, revoke every token bound to it, and export public members only."
    );
    assert!(section(&report, "left out")[0].contains("private key"));
    assert!(section(&report, "seen")[0].contains(JKT));
}

#[test]
fn tells_of_a_signature_in_der() {
    let proof = Forge::default().proof();
    let (input, _) = proof.rsplit_once('.').expect("parts");
    let der = [&[0x30, 0x45][..], &[1; 69]].concat();
    let report = report(&format!("{input}.{}", encode_base64url(der)));
    assert_eq!(codes(&report), ["P06-der"]);
    assert_eq!(evidence(&report), ["found: 71 bytes of ASN.1"]);
    assert!(
        section(&report, "fix").contains(&"Java: Signature.getInstance(\"SHA256withECDSAinP1363Format\")".to_owned())
    );
}

#[test]
fn tells_of_a_bound_token_that_is_sent_as_bearer() {
    let token = access_token(&format!(r#"{{"exp":{},"cnf":{{"jkt":"{JKT}"}}}}"#, NOW + 60));
    let report = report(&format!("GET {URL} HTTP/1.1\nAuthorization: Bearer {token}\n\n{}", refused()));
    assert_eq!(codes(&report), ["B02", "T01"]);
    assert_eq!(
        report.explain().headline.remark,
        "the binding of token and key; to act: whoever writes or runs the client"
    );
    let bound = format!("token: JWT, not verified here, typ at+jwt, alg ES256, exp in 60 s, bound to jkt {JKT}");
    assert_eq!(section(&report, "seen")[0], bound);
}

#[test]
fn tells_of_the_hash_of_an_old_token() {
    let report = report(&Forge { token: Some("the-token-before"), ..Forge::default() }.request(&refused()));
    assert_eq!(codes(&report), ["P11", "T01"]);
    assert_eq!(
        section(&report, "cause"),
        ["The token was renewed after signing, or trimmed, or ath is hex, padded, or another hash."]
    );
}

#[test]
fn tells_of_a_nonce_that_is_asked_for() {
    let demand = "WWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\nDPoP-Nonce: canary-nonce";
    let asked = report(&Forge::default().request(&answer("401 Unauthorized", demand)));
    assert_eq!(codes(&asked), ["T02"]);
    assert!(section(&asked, "seen")[2].ends_with("with a nonce for the next proof"));
    let lost =
        report(&Forge::default().request(&answer("401 Unauthorized", demand.split("\r\n").next().expect("one"))));
    assert_eq!(codes(&lost), ["H08", "T02"]);
    let again = Forge { nonce: Some("canary-nonce"), ..Forge::default() };
    assert_eq!(codes(&report(&again.request(&answer("401 Unauthorized", demand)))), ["P13"]);
}

#[test]
fn tells_of_milliseconds() {
    let report = report(&Forge { iat: NOW * 1_000, ..Forge::default() }.request(&refused()));
    assert_eq!(codes(&report), ["P07-ms", "T01"]);
    assert_eq!(evidence(&report), ["found: 13 digits"]);
    assert!(section(&report, "fix").contains(&"JavaScript: Math.floor(Date.now() / 1000)".to_owned()));
}

#[test]
fn tells_of_two_proofs() {
    let proof = Forge::default().proof();
    let report = report(&format!("DPoP: {proof}\nDPoP: {proof}\nAuthorization: DPoP {TOKEN}\n"));
    assert_eq!(codes(&report), ["H02"]);
    assert_eq!(section(&report, "left out"), ["proof (2), access token"]);
}

#[test]
fn tells_of_ed25519_by_its_other_name() {
    let key = SoftwareKey::generate(Algorithm::EdDsa).expect("a key");
    let report = report(&Forge { key, alg: "EdDSA", ..Forge::default() }.request(&refused()));
    assert_eq!(codes(&report), ["P03-name", "T01"]);
    assert_eq!(evidence(&report), ["expected: Ed25519", "found: EdDSA"]);
    assert_eq!(section(&report, "spec"), ["RFC 9864 §2.2, RFC 8037 §3.1"]);
}

#[test]
fn says_when_nothing_is_wrong_and_what_was_not_checked() {
    let known = Known { moment: Some(Timestamp::from_seconds(NOW)), ..Known::default() };
    let report = report_with(&Forge::default().proof(), &known);
    let explanation = report.explain();
    assert_eq!((explanation.headline.code, explanation.headline.title), (None, "nothing wrong was found"));
    assert_eq!(explanation.headline.remark, "10 checks passed");
    let not_checked = section(&report, "not checked");
    assert!(not_checked.contains(&"URL (htu): the URL of the request is not known".to_owned()), "{not_checked:?}");
    assert_eq!(section(&report, "taken for granted"), [""; 0]);
}
