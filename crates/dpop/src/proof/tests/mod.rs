mod claims;
mod header;
mod known;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MAX_PROOF_LENGTH, Proof};
use crate::ath::Ath;
use crate::error::{Claim, KeyError, MalformedProof, ProofError, Rejection};
use crate::jose::examples::{RFC9449_REFRESH_PROOF, RFC9449_RESOURCE_PROOF, RFC9449_TOKEN_PROOF, key};
use crate::jose::{Algorithm, Algorithms, JsonError, JwsBuffer, JwsError, JwsPart, SoftwareKey, encode_base64url};
use crate::make::{ProofMaker, ProofRequest};
use crate::time::{NumericDate, Timestamp};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

static KEY: LazyLock<SoftwareKey> = LazyLock::new(|| SoftwareKey::generate(Algorithm::Es256).unwrap());
static ALL: LazyLock<Algorithms> = LazyLock::new(Algorithms::all);

/// A proof of these texts, signed as they stand.
fn signed(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(payload));
    let signature = encode_base64url(KEY.sign_now(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

fn header() -> Value {
    let jwk: Value = serde_json::from_str(&KEY.public_jwk().to_json()).unwrap();
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk })
}

fn claims() -> Value {
    json!({ "jti": "j", "htm": "GET", "htu": "https://rs.example/a/b", "iat": 1_700_000_000 })
}

/// `object` with `name` set to `value`; without it when `value` is [`ABSENT`].
fn with(mut object: Value, name: &str, value: Value) -> String {
    object.as_object_mut().unwrap().remove(name);
    if value != *ABSENT {
        object[name] = value;
    }
    object.to_string()
}

static ABSENT: LazyLock<Value> = LazyLock::new(|| json!("\u{0}absent"));

fn absent() -> Value {
    ABSENT.clone()
}

fn parsed<T>(text: &str, look: impl FnOnce(&Proof<'_>) -> T) -> Result<T, Rejection> {
    Proof::parse(text, &mut JwsBuffer::new(), &ALL).map(|proof| look(&proof))
}

fn refusal(text: &str) -> Rejection {
    match parsed(text, |proof| format!("{proof:?}")) {
        Err(rejection) => rejection,
        Ok(proof) => panic!("{text} gives {proof}"),
    }
}

fn claims_refusal(name: &str, value: Value) -> Rejection {
    refusal(&signed(&header().to_string(), &with(claims(), name, value)))
}

fn takes_header(header: &str) -> bool {
    parsed(&signed(header, &claims().to_string()), |_| ()).is_ok()
}

fn json_fault(part: JwsPart, fault: JsonError) -> Rejection {
    MalformedProof::Json { part, fault }.into()
}

#[test]
fn reads_the_proofs_of_rfc_9449() {
    let token = Ath::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU").to_string();
    for (text, jti, htm, htu, iat, ath) in [
        (RFC9449_TOKEN_PROOF, "-BwC3ESc6acc2lTc", "POST", "https://server.example.com/token", 1_562_262_616, None),
        (RFC9449_REFRESH_PROOF, "-BwC3ESc6acc2lTc", "POST", "https://server.example.com/token", 1_562_265_296, None),
        (
            RFC9449_RESOURCE_PROOF,
            "e1j3V_bKic8-LAEB",
            "GET",
            "https://resource.example.org/protectedresource",
            1_562_262_618,
            Some(token.as_str()),
        ),
    ] {
        let mut buffer = JwsBuffer::new();
        let proof = Proof::parse(text, &mut buffer, &ALL).unwrap();
        assert_eq!(proof.jkt().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!((&*proof.claims.jti, &*proof.claims.htm, &*proof.claims.htu), (jti, htm, htu));
        assert_eq!(proof.claims.iat, NumericDate::from_seconds(iat));
        assert_eq!((proof.jti(), proof.htm(), proof.htu(), proof.iat()), (jti, htm, htu, proof.claims.iat));
        assert_eq!((proof.ath(), proof.nonce()), (ath, None));
        assert_eq!((proof.claims.ath.as_deref(), proof.claims.nonce.as_deref()), (ath, None));
        let (message, signature) = (proof.signing_input(), proof.signature());
        assert_eq!(ALL.verify(proof.algorithm(), proof.key(), message, signature), Ok(()));
    }
}

#[test]
fn takes_what_the_maker_makes_with_every_algorithm() {
    let url = "https://rs.example/a/b?c=d";
    let request = ProofRequest { method: "GET", url, token: Some("token"), nonce: Some("nonce") };
    for &algorithm in Algorithm::ALL {
        let maker = ProofMaker::new(Arc::new(key(algorithm)));
        let text = maker.make_now(&request, NOW).unwrap();
        let mut buffer = JwsBuffer::new();
        let proof = Proof::parse(&text, &mut buffer, &ALL).unwrap();
        assert_eq!((proof.algorithm(), proof.jkt()), (algorithm, maker.jkt()));
        assert_eq!((&*proof.claims.htm, &*proof.claims.htu), ("GET", "https://rs.example/a/b"));
        assert_eq!(proof.claims.nonce.as_deref(), Some("nonce"));
        assert_eq!(proof.nonce(), Some("nonce"));
        let (message, signature) = (proof.signing_input(), proof.signature());
        assert_eq!(ALL.verify(algorithm, proof.key(), message, signature), Ok(()), "{algorithm}");
    }
}

#[test]
fn debug_shows_neither_the_proof_nor_its_claims() {
    let payload = with(claims(), "nonce", json!("canary-nonce"));
    let (text, mut buffer) = (signed(&header().to_string(), &payload), JwsBuffer::new());
    let shown = parsed(&text, |proof| format!("{proof:?}")).unwrap();
    assert_eq!(shown, format!("Proof {{ algorithm: Es256, jkt: Jkt({}), .. }}", KEY.public_jwk().jkt()));
    Proof::parse(&text, &mut buffer, &ALL).unwrap();
    let held = format!("{buffer:?}");
    assert!(held.starts_with("JwsBuffer { length: ") && held.len() < 40, "{held}");
}

#[test]
fn bounds_the_whole_before_decoding() {
    let base = signed(&header().to_string(), &with(claims(), "x", json!("")));
    // Three bytes make four characters; each claim character is one byte.
    let filler = (MAX_PROOF_LENGTH - base.len()) / 4 * 3;
    let fits = signed(&header().to_string(), &with(claims(), "x", json!("x".repeat(filler))));
    assert!(MAX_PROOF_LENGTH - fits.len() < 4 && parsed(&fits, |_| ()).is_ok(), "row 21");
    let text = "x".repeat(MAX_PROOF_LENGTH + 1);
    let fault = JwsError::TooLong { length: MAX_PROOF_LENGTH + 1, limit: MAX_PROOF_LENGTH };
    assert_eq!(refusal(&text), MalformedProof::Jws(fault).into(), "row 20");
}

#[test]
fn refuses_what_is_no_compact_jws() {
    let good = signed(&header().to_string(), &claims().to_string());
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let parts = |found| Rejection::from(MalformedProof::Jws(JwsError::NotThreeParts { found }));
    let base64 = |part| Rejection::from(MalformedProof::Jws(JwsError::BadBase64 { part }));
    assert_eq!(refusal("garbage"), parts(1), "row 67");
    assert_eq!(refusal(unsigned), parts(2), "row 68");
    assert_eq!(refusal(&format!("{good}.")), parts(4), "row 69");
    assert_eq!(refusal(&format!("{good},{good}")), parts(5), "row 5");
    assert_eq!(refusal(&format!("{good},")), base64(JwsPart::Signature), "row 6");
    assert_eq!(refusal(&format!("{good};param=1")), base64(JwsPart::Signature), "row 23");
    assert_eq!(refusal(&format!("DPoP {good}")), base64(JwsPart::Header), "row 15");
    assert_eq!(refusal(r#"{"payload":"","signatures":[]}"#), parts(1), "row 73");
    assert_eq!(refusal(&format!("{good}=")), base64(JwsPart::Signature), "row 76");
    assert_eq!(refusal(&good.replacen('.', ".\n", 1)), base64(JwsPart::Payload), "row 77");
    assert_eq!(refusal(&format!("{unsigned}.{}+", &signature[1..])), base64(JwsPart::Signature), "row 75");
    let last = signature.chars().last().unwrap();
    let other = if last == 'A' { 'B' } else { char::from(last as u8 + 1) };
    let stray = format!("{unsigned}.{}{other}", &signature[..85]);
    assert_eq!(refusal(&stray), base64(JwsPart::Signature), "row 78");
}

#[test]
fn refuses_headers_and_payloads_that_are_no_strict_objects() {
    let (header, payload) = (header().to_string(), claims().to_string());
    let syntax = |rejection: &Rejection, wanted| match rejection {
        Rejection::Malformed(MalformedProof::Json { part, fault: JsonError::Syntax { .. } }) => *part == wanted,
        _ => false,
    };
    for text in ["[]", "\"text\"", "null", "7"] {
        assert_eq!(refusal(&signed(text, &payload)), json_fault(JwsPart::Header, JsonError::Shape), "row 80");
        assert_eq!(refusal(&signed(&header, text)), json_fault(JwsPart::Payload, JsonError::Shape));
    }
    assert!(syntax(&refusal(&signed(&header, "")), JwsPart::Payload), "row 72");
    assert!(syntax(&refusal(&signed("", &payload)), JwsPart::Header));
    assert!(syntax(&refusal(&signed(&format!("{header}x"), &payload)), JwsPart::Header), "row 89");
    for bad in [r#","x":NaN}"#, r#","x":Infinity}"#, ",}", r#","x":1/**/}"#, r#","x":"\ud800"}"#] {
        let text = format!("{}{bad}", payload.strip_suffix('}').unwrap());
        assert!(syntax(&refusal(&signed(&header, &text)), JwsPart::Payload), "rows 90, 91, 99: {bad}");
    }
    let unencoded = format!("{}.{payload}.AAAA", encode_base64url(&header));
    assert!(matches!(refusal(&unencoded), Rejection::Malformed(MalformedProof::Jws(_))), "row 98");
}

#[test]
fn refuses_members_that_occur_twice() {
    let (header, payload) = (header().to_string(), claims().to_string());
    let again = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
    for more in [r#""htm":"PUT""#, r#""h\u0074u":"https://other.example/""#, r#""x":{"a":1,"a":1}"#] {
        let text = signed(&header, &again(&payload, more));
        assert_eq!(refusal(&text), json_fault(JwsPart::Payload, JsonError::MemberRepeated), "rows 85, 86: {more}");
    }
    for more in [r#""alg":"none""#, r#""typ":"JWT""#, r#""jwk":{}"#] {
        let text = signed(&again(&header, more), &payload);
        assert_eq!(refusal(&text), json_fault(JwsPart::Header, JsonError::MemberRepeated), "row 87: {more}");
    }
    let in_key = header.replace(r#""jwk":{"#, r#""jwk":{"x":"AA","#);
    assert_eq!(refusal(&signed(&in_key, &payload)), json_fault(JwsPart::Header, JsonError::MemberRepeated), "row 186");
}

#[test]
fn bounds_the_structure() {
    let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
    let payload = claims().to_string().replacen('{', &format!(r#"{{"x":{deep},"#), 1);
    let text = signed(&header().to_string(), &payload);
    assert_eq!(refusal(&text), json_fault(JwsPart::Payload, JsonError::TooDeep { limit: 8 }));
    let many = claims_refusal("x", json!(vec![0; 129]));
    assert_eq!(many, json_fault(JwsPart::Payload, JsonError::TooManyMembers { limit: 128 }));
}

#[test]
fn ignores_what_it_does_not_know() {
    let text = signed(&with(header(), "x", json!({ "y": [1] })), &with(claims(), "x", json!([{}, null])));
    assert!(parsed(&text, |_| ()).is_ok(), "row 93");
    let odd = with(claims(), "aud", json!([1])).replacen('{', r#"{"iss":7,"sub":null,"#, 1);
    assert!(parsed(&signed(&header().to_string(), &odd), |_| ()).is_ok(), "row 265");
    let shuffled = r#"{"iat":1,"htu":"https://rs.example/","\u0068tm":"G\u0045T","j\u0074i":"j"}"#;
    let htm = parsed(&signed(&header().to_string(), shuffled), |proof| proof.claims.htm.to_string());
    assert_eq!(htm.as_deref(), Ok("GET"), "rows 95, 96");
    for (name, value) in [
        ("kid", json!("k")),
        ("jku", json!("http://127.0.0.1:1/")),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("x5c", json!(["AAAA"])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
        ("b64", json!(true)),
    ] {
        assert!(takes_header(&with(header(), name, value)), "rows 138, 139, 145, 146: {name}");
    }
}

#[test]
fn tells_the_first_fault_in_the_order_of_the_checks() {
    let wrong = |names: &[&str]| {
        let (mut header, mut claims) = (header(), claims());
        for name in names {
            match *name {
                "iat" => claims["iat"] = json!("x"),
                name => header[name] = json!("x"),
            }
        }
        refusal(&signed(&header.to_string(), &claims.to_string()))
    };
    assert!(matches!(wrong(&["typ", "alg", "crit", "jwk", "iat"]), Rejection::Proof(ProofError::TypMismatch { .. })));
    assert!(matches!(wrong(&["alg", "crit", "jwk", "iat"]), Rejection::Proof(ProofError::AlgNotAccepted { .. })));
    assert_eq!(wrong(&["crit", "jwk", "iat"]), ProofError::CritNotUnderstood.into());
    assert_eq!(wrong(&["jwk", "iat"]), KeyError::NotAnObject.into());
    assert_eq!(wrong(&["iat"]), MalformedProof::ClaimWrongType { claim: Claim::Iat }.into());
}

#[test]
fn refuses_an_access_token_as_a_proof() {
    let text = signed(r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#, r#"{"iss":"https://as.example","jti":"j"}"#);
    assert!(matches!(refusal(&text), Rejection::Proof(ProofError::TypMismatch { .. })), "row 64");
}

#[test]
fn shows_neither_nonce_nor_proof() {
    let payload = with(claims(), "nonce", json!("canary"));
    let text = signed(&header().to_string(), &payload);
    let shown = parsed(&text, |proof| format!("{proof:?}")).unwrap();
    let signature = text.rsplit('.').next().unwrap();
    assert!(!shown.contains("canary") && !shown.contains(signature), "{shown}");
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,300}") {
        let _ = Proof::parse(&text, &mut JwsBuffer::new(), &ALL);
    }

    #[test]
    fn never_panics_on_any_json(header in "[{}\\[\\]\":,a-z0-9\\\\]{0,60}", payload in prop::collection::vec(any::<u8>(), 0..60)) {
        let text = format!("{}.{}.AAAA", encode_base64url(header), encode_base64url(payload));
        let _ = Proof::parse(&text, &mut JwsBuffer::new(), &ALL);
    }

    #[test]
    fn never_panics_on_a_damaged_proof(place in 0_usize..1_000, byte in any::<char>()) {
        let mut text: Vec<char> = RFC9449_RESOURCE_PROOF.chars().collect();
        let place = place % text.len();
        text[place] = byte;
        let text: String = text.into_iter().collect();
        let _ = Proof::parse(&text, &mut JwsBuffer::new(), &ALL);
    }

    #[test]
    fn reads_back_any_claims(jti in ".{1,60}", htm in ".{1,20}", nonce in ".{0,60}") {
        let payload = json!({ "jti": jti, "htm": htm, "htu": "h", "iat": 0, "nonce": nonce }).to_string();
        let read = parsed(&signed(&header().to_string(), &payload), |proof| {
            let claims = &proof.claims;
            (claims.jti.to_string(), claims.htm.to_string(), claims.nonce.as_deref().map(str::to_owned))
        });
        prop_assert_eq!(read, Ok((jti, htm, Some(nonce))));
    }
}
