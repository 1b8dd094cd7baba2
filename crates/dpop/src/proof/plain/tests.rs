use proptest::prelude::*;
use proptest::sample::select;

use super::{claims, header};
use crate::jose::{decode_base64url, examples};
use crate::proof::{ClaimMembers, HeaderMembers};

/// What is read is what the reader of any JSON reads.
fn claims_are_read_as_ever(json: &str) -> bool {
    claims(json).is_none_or(|members| ClaimMembers::read_any(json.as_bytes()).is_ok_and(|any| any == members))
}

fn header_is_read_as_ever(json: &str) -> bool {
    header(json).is_none_or(|members| HeaderMembers::read_any(json.as_bytes()).is_ok_and(|any| any == members))
}

#[test]
fn reads_the_proofs_of_rfc_9449() {
    for proof in [examples::RFC9449_TOKEN_PROOF, examples::RFC9449_RESOURCE_PROOF] {
        let mut parts = proof.split('.').map(|part| String::from_utf8(decode_base64url(part).unwrap()));
        let (header_json, claims_json) = (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap());
        assert!(header(&header_json).is_some() && header_is_read_as_ever(&header_json), "{header_json}");
        assert!(claims(&claims_json).is_some() && claims_are_read_as_ever(&claims_json), "{claims_json}");
    }
}

#[test]
fn reads_every_claim_there_is() {
    let json = r#"{"jti":"a","htm":"b","htu":"c","iat":1,"ath":"d","nonce":"e","exp":2,"nbf":3}"#;
    assert!(claims(json).is_some());
    assert!(claims_are_read_as_ever(json));
}

#[test]
fn leaves_claims_in_every_other_form_to_the_other_reader() {
    for json in [
        "",
        "{",
        "{}",
        "[]",
        r#""jti""#,
        r#"{"jti":"a""#,
        r#"{"jti":"a"}}"#,
        r#"{"jti":"a"} "#,
        r#" {"jti":"a"}"#,
        r#"{"jti" :"a"}"#,
        r#"{"jti": "a"}"#,
        r#"{"jti":"a",}"#,
        r#"{"jti":"a","jti":"a"}"#,
        r#"{"iat":1,"iat":1}"#,
        r#"{"iat":01}"#,
        r#"{"iat":0}"#,
        r#"{"iat":}"#,
        r#"{"iat":-1}"#,
        r#"{"iat":1.5}"#,
        r#"{"iat":1e3}"#,
        r#"{"iat":1000000000000000000}"#,
        r#"{"iat":"1"}"#,
        r#"{"jti":1}"#,
        r#"{"jti":null}"#,
        r#"{"jti":"\u0061"}"#,
        r#"{"\u006ati":"a"}"#,
        "{\"jti\":\"a\tb\"}",
        r#"{"other":"a"}"#,
        r#"{"jti":{}}"#,
        r#"{"jti":"a" "htm":"b"}"#,
    ] {
        assert!(claims(json).is_none(), "{json}");
    }
}

#[test]
fn leaves_headers_in_every_other_form_to_the_other_reader() {
    for json in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"typ":"a"}}"#,
        r#"{"typ":"a"} "#,
        r#"{"typ": "a"}"#,
        r#"{"typ":"a",}"#,
        r#"{"typ":"a","typ":"a"}"#,
        r#"{"typ":1}"#,
        r#"{"alg":null}"#,
        r#"{"t\u0079p":"a"}"#,
        r#"{"kid":"a"}"#,
        r#"{"crit":["a"]}"#,
        r#"{"b64":false}"#,
        r#"{"jwk":"a"}"#,
        r#"{"jwk":{}}"#,
        r#"{"jwk":{"kty":"EC"}"#,
        r#"{"jwk":{"kty":"EC",}}"#,
        r#"{"jwk":{"kty":"EC","kty":"EC"}}"#,
        r#"{"jwk":{"kty":"EC"},"jwk":{"kty":"EC"}}"#,
        r#"{"jwk":{"kty":"EC","d":"a"}}"#,
        r#"{"jwk":{"kty":"EC","priv":"a"}}"#,
        r#"{"jwk":{"kty":"EC","key_ops":["verify"]}}"#,
        r#"{"jwk":{"x":1}}"#,
        r#"{"jwk":{"x":{}}}"#,
    ] {
        assert!(header(json).is_none(), "{json}");
    }
}

/// An object with up to six of `names`, or something close to one.
fn near_object(names: Vec<&'static str>, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let colon = select(vec![":", ":", ":", ":", ":", ":", " :", ": ", "", "::"]);
    let member = (select(names), value, colon).prop_map(|(name, value, colon)| format!("\"{name}\"{colon}{value}"));
    let ends = select(vec!["}", "}", "}", "}", "}", "} ", "", "}}", ",}"]);
    let members = prop::collection::vec(member, 0..7);
    (members, ends).prop_map(|(members, end)| format!("{{{}{end}", members.join(","))).boxed()
}

fn text() -> BoxedStrategy<String> {
    "[ -~äß\u{0}\u{1f}]{0,12}|[A-Za-z0-9_-]{43}".prop_map(|text| format!("\"{text}\"")).boxed()
}

fn near_claims() -> BoxedStrategy<String> {
    let names = vec!["jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf", "kid", "jt", ""];
    let number = "0|[1-9][0-9]{0,20}|[0-9]{1,3}";
    let other = "-?[0-9]{1,2}(\\.[0-9])?|null|true|\\{\\}|\\[\\]";
    near_object(names, prop_oneof![4 => text(), 4 => number, 1 => other].boxed())
}

fn near_header() -> BoxedStrategy<String> {
    let other = "[0-9]|null|true|\\{\\}|\\[\\]|\\[\"verify\"\\]";
    let value = prop_oneof![6 => text(), 1 => other].boxed();
    let names = vec!["kty", "crv", "x", "y", "n", "e", "pub", "alg", "kid", "use", "key_ops", "d", "k", "other", ""];
    let key = near_object(names, value.clone());
    near_object(vec!["typ", "alg", "jwk", "jwk", "crit", "b64", "kid", ""], prop_oneof![value, key].boxed())
}

/// `json` with one character replaced, removed or added.
fn changed(json: &'static str) -> impl Strategy<Value = String> {
    let change = (0..json.len(), "[\"\\\\:,{}0-9a-z \u{0}ä]?", any::<bool>());
    change.prop_map(|(at, by, more)| format!("{}{by}{}", &json[..at], &json[at + usize::from(!more)..]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reads_claims_as_the_other_reader_does(json in near_claims()) {
        prop_assert!(claims_are_read_as_ever(&json), "{}", json);
    }

    #[test]
    fn reads_headers_as_the_other_reader_does(json in near_header()) {
        prop_assert!(header_is_read_as_ever(&json), "{}", json);
    }

    #[test]
    fn reads_changed_claims_as_the_other_reader_does(
        json in changed(r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/a","iat":1562262618,"ath":"fUHyO2r2"}"#),
    ) {
        prop_assert!(claims_are_read_as_ever(&json), "{}", json);
    }

    #[test]
    fn reads_changed_headers_as_the_other_reader_does(
        json in changed(r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx","y":"9VE4jf_O"}}"#),
    ) {
        prop_assert!(header_is_read_as_ever(&json), "{}", json);
    }

    #[test]
    fn reads_no_text_of_another_kind(json in ".{0,40}") {
        prop_assert!(claims_are_read_as_ever(&json) && header_is_read_as_ever(&json), "{}", json);
    }
}
