use serde_json::{Value, json};

use super::{ALL, KEY, absent, claims, header, refusal, signed, takes_header, with};
use crate::error::{KeyError, ProofError, Rejection};
use crate::jose::{Algorithm, JwsBuffer, SoftwareKey, encode_base64url};
use crate::proof::Proof;

fn header_refusal(name: &str, value: Value) -> Rejection {
    refusal(&signed(&with(header(), name, value), &claims().to_string()))
}

#[test]
fn takes_typ_as_a_media_type_and_no_other() {
    for typ in ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt", "Application/DPOP+jwt"] {
        assert!(takes_header(&with(header(), "typ", json!(typ))), "rows 106, 107: {typ}");
    }
    for typ in [
        "",
        "JWT",
        "at+jwt",
        "dpop+jwt;x=y",
        "dpop+jwt ",
        " dpop+jwt",
        "dpop+jwt+x",
        "dpop+jwtx",
        "text/dpop+jwt",
        "application/application/dpop+jwt",
        "applicationxdpop+jwt",
        "application/",
        "application/x/dpop+jwt",
        "dpop\u{0}+jwt",
        "ｄpop+jwt",
        "application／dpop+jwt",
    ] {
        let fault = header_refusal("typ", json!(typ));
        assert!(
            matches!(fault, Rejection::Proof(ProofError::TypMismatch { found: Some(_) })),
            "rows 102, 103: {typ} {fault:?}"
        );
    }
    for typ in [absent(), json!(true), json!(7), json!(null), json!(["dpop+jwt"])] {
        let fault = ProofError::TypMismatch { found: None };
        assert_eq!(header_refusal("typ", typ.clone()), fault.into(), "rows 101, 105, 108: {typ}");
    }
}

#[test]
fn takes_accepted_algorithms_by_their_exact_names_only() {
    let refused = |found: Option<&str>| {
        Rejection::from(ProofError::AlgNotAccepted { found: found.map(str::to_owned), accepted: ALL.names() })
    };
    for name in ["none", "None", "HS256", "es256", "ES256 ", "ES256K", "ES521", "XX999", "", "Ed448", "RS384", "PS512"]
    {
        assert_eq!(header_refusal("alg", json!(name)), refused(Some(name)), "rows 110 to 113, 119 to 123");
    }
    for value in [absent(), json!(null), json!(["ES256"]), json!(7)] {
        assert_eq!(header_refusal("alg", value), refused(None), "row 109");
    }
    let narrow = ALL.narrowed_to(&[Algorithm::Ed25519]).unwrap();
    let text = signed(&header().to_string(), &claims().to_string());
    let fault = Proof::parse(&text, &mut JwsBuffer::new(), &narrow).unwrap_err();
    let (found, accepted) = (Some("ES256".to_owned()), "Ed25519".to_owned());
    assert_eq!(fault, ProofError::AlgNotAccepted { found, accepted }.into(), "rows 128, 188");
}

#[test]
fn refuses_critical_extensions_whatever_they_are() {
    for crit in [json!([]), json!(["alg"]), json!(["x"]), json!(["b64"]), json!("x"), json!(null), json!({}), json!(0)]
    {
        let fault = header_refusal("crit", crit.clone());
        assert_eq!(fault, ProofError::CritNotUnderstood.into(), "rows 98, 133, 134: {crit}");
    }
    for b64 in [json!(false), json!("true"), json!(null)] {
        assert_eq!(header_refusal("b64", b64), ProofError::CritNotUnderstood.into());
    }
}

#[test]
fn refuses_keys_that_are_no_public_key_of_the_algorithm() {
    let jwk = |name: &str, value: Value| {
        let mut jwk = header()["jwk"].clone();
        jwk[name] = value;
        header_refusal("jwk", jwk)
    };
    assert_eq!(header_refusal("jwk", absent()), KeyError::Missing.into(), "row 140");
    for value in [json!(KEY.public_jwk().to_json()), json!([header()["jwk"]]), json!(null), json!("thumb"), json!(1)] {
        assert_eq!(header_refusal("jwk", value), KeyError::NotAnObject.into(), "rows 141, 142");
    }
    assert_eq!(
        header_refusal("jwk", json!({ "keys": [header()["jwk"]] })),
        KeyError::UnsupportedType.into(),
        "row 143"
    );
    assert_eq!(jwk("d", json!(null)), KeyError::PrivateMember { member: "d" }.into(), "row 148");
    assert_eq!(jwk("k", json!("AAAA")), KeyError::PrivateMember { member: "k" }.into(), "row 154");
    assert_eq!(jwk("x", json!("AA")), KeyError::BadMember { member: "x" }.into(), "row 158");
    assert_eq!(jwk("alg", json!("ES384")), KeyError::AlgMismatch.into(), "row 129");
    assert_eq!(jwk("use", json!("enc")), KeyError::AlgMismatch.into());
    for name in ["PS256", "RS256", "ES384", "ES512", "Ed25519", "EdDSA"] {
        assert_eq!(header_refusal("alg", json!(name)), KeyError::AlgMismatch.into(), "rows 116 to 118: {name}");
    }
    let mut small = [0; 32];
    small[0] = 1;
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode_base64url(small) });
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": key });
    let fault = refusal(&signed(&header.to_string(), &claims().to_string()));
    assert!(matches!(fault, Rejection::Key(KeyError::Weak { .. })), "row 184");
}

#[test]
fn takes_either_name_of_ed25519_in_header_and_key() {
    let key = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    for (alg, own) in [("EdDSA", "EdDSA"), ("Ed25519", "Ed25519"), ("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")] {
        let mut jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
        jwk["alg"] = json!(own);
        assert!(takes_header(&json!({ "typ": "dpop+jwt", "alg": alg, "jwk": jwk }).to_string()), "row 125");
    }
}
