use proptest::prelude::*;
use serde_json::{Value, json};

use super::{JwkSet, JwkSetError};
use crate::error::KeyError;
use crate::jose::examples::{RFC7515_P256, RFC7515_RSA, RFC7638_RSA, RFC8037_ED25519, public, with};
use crate::jose::{Algorithm, JsonError};

fn key(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn parse(keys: impl Into<Value>) -> Result<JwkSet, JwkSetError> {
    JwkSet::parse(json!({ "keys": keys.into() }).to_string().as_bytes())
}

#[test]
fn keeps_what_verifies_and_counts_the_rest() {
    let set = parse(vec![
        key(RFC7638_RSA),
        key(&with(&public(RFC7515_P256), "kid", json!("ec"))),
        key(&with(&public(RFC7515_P256), "use", json!("enc"))),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        json!({}),
    ])
    .unwrap();
    assert_eq!((set.keys().len(), set.left_out()), (2, 4));
    assert_eq!(set.keys()[0].kid.as_deref(), Some("2011-04-29"));
    assert_eq!(set.keys()[0].alg, Some(Algorithm::Rs256));
}

#[test]
fn finds_candidates_by_kid_type_and_alg() {
    let set = parse(vec![
        key(RFC7638_RSA),
        key(&with(&public(RFC7515_RSA), "kid", json!("rsa"))),
        key(&with(&public(RFC8037_ED25519), "kid", json!("rsa"))),
        key(&public(RFC7515_P256)),
    ])
    .unwrap();
    let count = |kid, algorithm| set.candidates(kid, algorithm).count();
    assert_eq!(count(None, Algorithm::Rs256), 2);
    assert_eq!(count(None, Algorithm::Ps256), 1, "the other key is for RS256 only");
    assert_eq!(count(Some("rsa"), Algorithm::Rs256), 1);
    assert_eq!(count(Some("rsa"), Algorithm::EdDsa), 1);
    let old_name = parse(vec![key(&with(&public(RFC8037_ED25519), "alg", json!("EdDSA")))]).unwrap();
    assert_eq!(old_name.candidates(None, Algorithm::Ed25519).count(), 1);
    assert_eq!(count(Some("other"), Algorithm::Rs256), 0);
    assert_eq!(count(Some("rsa"), Algorithm::Es256), 0, "a key without kid has no kid");
}

#[test]
fn keys_at_hand_make_a_set() {
    let parsed = parse(vec![key(RFC7638_RSA)]).unwrap();
    assert_eq!(JwkSet::from_keys(parsed.keys().to_vec()), parsed);
}

#[test]
fn is_spoiled_by_a_private_or_symmetric_key() {
    for (json, member) in [(RFC7515_P256, "d"), (RFC8037_ED25519, "d"), (r#"{"kty":"oct","k":"AAAA"}"#, "k")] {
        let set = parse(vec![key(&public(RFC7515_RSA)), key(json)]);
        assert_eq!(set, Err(JwkSetError::Private { index: 1, fault: KeyError::PrivateMember { member } }));
    }
}

#[test]
fn refuses_what_is_no_set() {
    let fault = |json: &str| JwkSet::parse(json.as_bytes()).unwrap_err();
    for json in ["[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":["a"]}"#, r#"{"keys":[[]]}"#, "7"] {
        assert_eq!(fault(json), JwkSetError::Json(JsonError::Shape), "{json}");
    }
    assert_eq!(fault(r#"{"keys":[],"keys":[]}"#), JwkSetError::Json(JsonError::MemberRepeated));
    assert_eq!(fault(r#"{"keys":[{"x":1,"x":2}]}"#), JwkSetError::Json(JsonError::MemberRepeated));
    assert_eq!(fault(r#"{"keys":[]}x"#), JwkSetError::Json(JsonError::Syntax { offset: 11 }));
    assert_eq!(fault(r#"{"keys":[]}"#), JwkSetError::Empty { left_out: 0 });
    assert_eq!(parse(vec![json!({}); 3]), Err(JwkSetError::Empty { left_out: 3 }));
}

#[test]
fn bounds_the_number_of_keys() {
    let keys = |count| vec![key(&public(RFC7515_P256)); count];
    assert_eq!(parse(keys(JwkSet::MAX_KEYS)).unwrap().keys().len(), 64);
    assert_eq!(parse(keys(JwkSet::MAX_KEYS + 1)), Err(JwkSetError::TooManyKeys { limit: 64 }));
}

proptest! {
    #[test]
    fn never_panics(json in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = JwkSet::parse(&json);
    }
}
